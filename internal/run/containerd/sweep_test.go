//go:build linux

package containerd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"naru/internal/run"
	"naru/internal/run/runtest"
)

func TestSweepAfterAStartThatDied(t *testing.T) {
	e, d := open(t)
	f := runtest.Fixture{Image: runtest.AppImage(t, "1234")}
	kept := runtest.Spec(f)
	if _, err := d.Start(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	addr, err := d.Attach(t.Context(), "half", "space-2")
	if err != nil {
		t.Fatal(err)
	}
	// One that lost its namespace too, as after a reboot.
	lost, err := d.Attach(t.Context(), "lost", "space-3")
	if err != nil {
		t.Fatal(err)
	}
	netns := filepath.Join(e.config().RunDir, "netns")
	if err := exec.Command("umount", filepath.Join(netns, "lost")).Run(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(netns, "lost")); err != nil {
		t.Fatal(err)
	}
	removed, err := d.Sweep(t.Context(), func(id run.InstanceID) bool { return id == kept.ID })
	if err != nil || !slices.Equal(removed, []run.InstanceID{"half"}) {
		t.Errorf("Sweep = %v, %v", removed, err)
	}
	rules, err := exec.Command("nft", "list", "table", "ip", "naru_"+e.hash).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, rules)
	}
	leases, _ := filepath.Glob(filepath.Join(e.config().StateDir, "addresses", "*", "10.*"))
	for _, a := range []string{addr.String(), lost.String()} {
		if strings.Contains(string(rules), a) {
			t.Errorf("the rules still know %s", a)
		}
		if slices.ContainsFunc(leases, func(l string) bool { return filepath.Base(l) == a }) {
			t.Errorf("%s is still leased", a)
		}
	}
	if len(leases) != 1 {
		t.Errorf("leases %v, want the kept one's", leases)
	}
	again := runtest.Spec(f)
	again.ID = "half"
	if st, err := d.Start(t.Context(), again); err != nil {
		t.Errorf("the same id cannot start again: %+v, %v", st, err)
	}
}

// The next attempt needs no sweep: nobody sweeps what is still wanted.
func TestAStartThatDiedIsMadeAgain(t *testing.T) {
	_, d := open(t)
	spec := runtest.Spec(runtest.Fixture{Image: runtest.AppImage(t, "1234")})
	if _, err := d.Attach(t.Context(), spec.ID, string(spec.Space)); err != nil {
		t.Fatal(err)
	}
	if st, err := d.Start(t.Context(), spec); err != nil || st.Phase != run.Running {
		t.Errorf("Start = %+v, %v", st, err)
	}
}

func TestTwoPlatformsSideBySide(t *testing.T) {
	_, a := open(t)
	_, b := open(t)
	f := runtest.Fixture{Image: runtest.AppImage(t, "1234")}
	sa, err := a.Start(t.Context(), runtest.Spec(f))
	if err != nil {
		t.Fatal(err)
	}
	sb, err := b.Start(t.Context(), runtest.Spec(f))
	if err != nil {
		t.Fatal(err)
	}
	reached(t, sa.Addr.String())
	reached(t, sb.Addr.String())
	if code, err := a.Exec(t.Context(), sa.ID, run.ExecSpec{Argv: []string{runtest.TestApp, "dial", sb.Addr.String()}}); err != nil || code == 0 {
		t.Errorf("one platform's instance reaches the other's: exit %d, %v", code, err)
	}
	if removed, err := a.Sweep(t.Context(), func(run.InstanceID) bool { return false }); err != nil || len(removed) != 1 {
		t.Errorf("Sweep = %v, %v", removed, err)
	}
	reached(t, sb.Addr.String())
}

func TestTeardownOfAGroupInSeveralShims(t *testing.T) {
	_, d := open(t)
	f := runtest.Fixture{Image: runtest.AppImage(t, "1234")}
	for i := range 26 {
		spec := runtest.Spec(f)
		spec.Index = i
		if _, err := d.Start(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Teardown(t.Context()); err != nil {
		t.Error(err)
	}
	if all, err := d.List(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("%d are left, %v", len(all), err)
	}
}
