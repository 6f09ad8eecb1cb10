package run_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"naru/internal/artifact"
	"naru/internal/run"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestEnvNeverPrints(t *testing.T) {
	spec := run.Spec{Env: run.PlainEnv(map[string]string{"TOKEN": "hunter2"})}
	text, err := json.Marshal(spec.Env)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(spec), fmt.Sprintf("%+v", spec), fmt.Sprintf("%#v", spec), string(text)} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("printed: %s", s)
		}
	}
	if got := spec.Env.Reveal(); !slices.Equal(got, []string{"TOKEN=hunter2"}) {
		t.Errorf("Reveal = %q", got)
	}
}

func TestSpecCheck(t *testing.T) {
	good := run.Spec{ID: "i1", Group: "g1", Space: "s", Image: run.Image{Ref: artifact.Ref{Repository: "a", Digest: "d"}}}
	for name, tc := range map[string]struct {
		change func(*run.Spec)
		want   string
	}{
		"good":                  {func(*run.Spec) {}, ""},
		"id leaves its folder":  {func(s *run.Spec) { s.ID = "../x" }, "instance id"},
		"no group":              {func(s *run.Spec) { s.Group = "" }, "group id"},
		"a task needs no group": {func(s *run.Spec) { s.Group, s.Task = "", true }, ""},
		"no image":              {func(s *run.Spec) { s.Image = run.Image{} }, "image"},
		"port":                  {func(s *run.Spec) { s.Port = 70000 }, "70000"},
		"env":                   {func(s *run.Spec) { s.Env = run.PlainEnv(map[string]string{"A=B": ""}) }, "A=B"},
		"memory":                {func(s *run.Spec) { s.Limits.MemoryMiB = 1 }, "limits.memory"},
		"attached web":          {func(s *run.Spec) { s.IO = &run.IO{} }, "task"},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			tc.change(&s)
			err := s.Check()
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Check = %v, want %q", err, tc.want)
			}
		})
	}
}

func TestMovesSurviveSaving(t *testing.T) {
	all := []run.State{run.Pending, run.Starting, run.Healthy, run.Unhealthy, run.Draining, run.Lingering, run.Stopping, run.Stopped, run.Crashed}
	for _, from := range all {
		for _, to := range all {
			text, err := json.Marshal(run.Instance{ID: "i", State: from, Since: epoch})
			if err != nil {
				t.Fatal(err)
			}
			var i run.Instance
			if err := json.Unmarshal(text, &i); err != nil {
				t.Fatal(err)
			}
			moved, err := i.Move(to, epoch.Add(time.Second))
			if legal := from.CanBecome(to); legal != (err == nil) || legal && (moved.State != to || moved.Since.Equal(epoch)) || !legal && moved.State != from {
				t.Errorf("%s -> %s: legal %v, err %v, is %s", from, to, legal, err, moved.State)
			}
		}
	}
}

func TestCrashesAreForgottenAfterACalmTime(t *testing.T) {
	i := run.Instance{State: run.Healthy, Crashes: 4, Started: epoch}
	soon, _ := i.Move(run.Crashed, epoch.Add(time.Second))
	late, _ := i.Move(run.Crashed, epoch.Add(run.Calm))
	if soon.Crashes != 5 || late.Crashes != 1 {
		t.Errorf("crashes %d and %d, want 5 and 1", soon.Crashes, late.Crashes)
	}
}

func TestGroupName(t *testing.T) {
	if a, b := run.GroupName("my-shop", "web", 42), run.GroupName("shop", "worker", 1000); a != "my-shop-v042" || b != "shop--worker-v1000" {
		t.Errorf("%s, %s", a, b)
	}
}

// apply carries out changes the way an obedient world would.
func apply(t *rapid.T, have []run.Instance, changes []run.Change, now time.Time, next *int) []run.Instance {
	find := func(id run.InstanceID) *run.Instance {
		i := slices.IndexFunc(have, func(i run.Instance) bool { return i.ID == id })
		if i < 0 {
			t.Fatalf("change of unknown instance %s", id)
		}
		return &have[i]
	}
	move := func(i *run.Instance, to run.State) {
		moved, err := i.Move(to, now)
		if err != nil {
			t.Fatal(err)
		}
		*i = moved
	}
	for _, c := range changes {
		*next++
		id := run.InstanceID(fmt.Sprintf("n%05d", *next))
		switch c.Act {
		case run.Start:
			have = append(have, run.Instance{ID: id, Group: c.Group, Index: c.Index, State: run.Healthy, Since: now})
		case run.Restart:
			old := find(c.Instance)
			again := old.Again(id, now)
			again.State = run.Healthy
			move(old, run.Stopped)
			have = append(have, again)
		case run.Drain:
			i := find(c.Instance)
			if i.State != run.Draining && i.State != run.Lingering {
				move(i, run.Draining)
			}
			i.Drained = true
		case run.Stop:
			i := find(c.Instance)
			if i.State == run.Healthy || i.State == run.Unhealthy || (i.State == run.Draining || i.State == run.Lingering) && !i.Drained {
				t.Fatalf("stopped while it had traffic: %+v", *i)
			}
			if i.State != run.Stopping {
				move(i, run.Stopping)
			}
			move(i, run.Stopped)
		case run.Forget:
			move(find(c.Instance), run.Stopped)
		}
	}
	return have
}

func TestPlanConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := []run.State{run.Pending, run.Starting, run.Healthy, run.Unhealthy, run.Draining, run.Lingering, run.Stopping, run.Stopped, run.Crashed}
		var have []run.Instance
		for n := range rapid.IntRange(0, 12).Draw(t, "instances") {
			have = append(have, run.Instance{
				ID: run.InstanceID(fmt.Sprintf("i%02d", n)), Group: run.GroupID(rapid.SampledFrom([]string{"a", "b", "gone"}).Draw(t, "group")),
				Index: rapid.IntRange(0, 5).Draw(t, "index"), State: rapid.SampledFrom(all).Draw(t, "state"),
				Drained: rapid.Bool().Draw(t, "drained"), Crashes: rapid.IntRange(0, 40).Draw(t, "crashes"), Since: epoch,
			})
		}
		want := []run.Want{{Group: "a", Size: rapid.IntRange(0, 5).Draw(t, "a")}, {Group: "b", Size: rapid.IntRange(0, 5).Draw(t, "b")}}
		p, now, next := run.DefaultPolicy(), epoch, 0
		if a, b := p.Plan(want, have, now), p.Plan(want, slices.Clone(have), now); !slices.Equal(a, b) {
			t.Fatalf("planning twice differs: %v, %v", a, b)
		}
		for range 8 {
			now = now.Add(10 * time.Minute)
			have = apply(t, have, p.Plan(want, have, now), now, &next)
			for i := range have { // the world gets on
				if have[i].State == run.Pending || have[i].State == run.Starting {
					have[i].State = run.Healthy
				}
			}
		}
		if rest := p.Plan(want, have, now); len(rest) > 0 {
			t.Fatalf("still to do: %v with %v", rest, have)
		}
		for _, w := range append(want, run.Want{Group: "gone"}) {
			got := map[int]int{}
			for _, i := range have {
				if i.Group == w.Group && i.State.Live() {
					got[i.Index]++
				}
			}
			for index := range w.Size {
				if got[index] != 1 {
					t.Fatalf("%s has %v of indexes 0..%d", w.Group, got, w.Size-1)
				}
			}
			if len(got) != w.Size {
				t.Fatalf("%s has %v, want %d", w.Group, got, w.Size)
			}
		}
	})
}

func TestPlanWaitsBeforeRestarting(t *testing.T) {
	p := run.DefaultPolicy()
	crashed := []run.Instance{{ID: "i", Group: "g", State: run.Crashed, Crashes: 3, Since: epoch}}
	want := []run.Want{{Group: "g", Size: 1}}
	if got := p.Plan(want, crashed, epoch.Add(time.Second)); len(got) != 0 {
		t.Errorf("restarted at once: %v", got)
	}
	due := p.Due(crashed, epoch)
	if wait := due.Sub(epoch); wait < 3*time.Second || wait > 4*time.Second {
		t.Errorf("third crash waits %s, want 4s less at most a fifth", wait)
	}
	if got := p.Plan(want, crashed, due); len(got) != 1 || got[0].Act != run.Restart {
		t.Errorf("at its time: %v", got)
	}
}

func TestPlanOrder(t *testing.T) {
	have := []run.Instance{
		{ID: "0", Group: "g", Index: 0, State: run.Crashed, Since: epoch.Add(-time.Hour)}, {ID: "2", Group: "g", Index: 2, State: run.Crashed, Since: epoch.Add(-time.Hour)},
		{ID: "4", Group: "g", Index: 4, State: run.Healthy}, {ID: "5", Group: "g", Index: 5, State: run.Healthy},
	}
	var got []string
	for _, c := range run.DefaultPolicy().Plan([]run.Want{{Group: "g", Size: 4}}, have, epoch) {
		got = append(got, fmt.Sprintf("%s %d", c.Act, c.Index))
	}
	if want := []string{"drain 5", "drain 4", "restart 0", "start 1", "restart 2", "start 3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseListening(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 18 1 0 100 0 0 10 0
   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19 1 0 100 0 0 10 0
   3: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20 1 0 100 0 0 10 0
`
	got, err := run.ParseListening(strings.NewReader(table))
	want := []run.Socket{
		{Addr: netip.MustParseAddrPort("127.0.0.1:3000"), Inode: 17},
		{Addr: netip.MustParseAddrPort("[::]:8080"), Inode: 19},
		{Addr: netip.MustParseAddrPort("[::1]:8081"), Inode: 20},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
