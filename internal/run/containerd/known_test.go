//go:build linux

package containerd_test

import (
	"os/exec"
	"strings"
	"testing"

	"naru/internal/run/runtest"
)

// TestAnImageTakenAwayIsFetchedAgain removes an image that the driver remembers
// without asking it.
func TestAnImageTakenAwayIsFetchedAgain(t *testing.T) {
	e, d := open(t)
	f := runtest.Fixture{Image: runtest.AppImage(t, "1234")}
	first := runtest.Spec(f)
	if _, err := d.Start(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	ctr := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("ctr", append([]string{"-a", e.socket(), "-n", "naru"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ctr %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, image := range strings.Fields(ctr("images", "ls", "-q")) {
		ctr("images", "rm", "--sync", image)
	}
	if left := ctr("snapshots", "ls"); strings.Count(left, "\n") > 0 {
		t.Fatalf("the image's snapshots are there still:\n%s", left)
	}
	st, err := d.Start(t.Context(), runtest.Spec(f))
	if err != nil {
		t.Fatalf("Start = %v", err)
	}
	reached(t, st.Addr.String())
}
