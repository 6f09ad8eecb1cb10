package deliver_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/run"
)

// stream opens a stream at the app and returns the instance it is at.
func (w *world) stream(t *testing.T) (instance run.InstanceID, end func()) {
	t.Helper()
	got, answer, end, err := w.gateway.Ask("shop.apps.test", "/")
	if err != nil {
		t.Fatal(err)
	}
	answer()
	return run.InstanceID(got), end
}

// states are those of the app's instances, by id.
func (p *platform) states(t *testing.T, a app.ID) map[run.InstanceID]run.State {
	t.Helper()
	all, err := p.store.Instances(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	out := map[run.InstanceID]run.State{}
	for _, i := range all {
		out[i.ID] = i.State
	}
	return out
}

// groupsAre waits until the app has so many groups, and returns them.
func (p *platform) groupsAre(t *testing.T, a app.ID, n int) (groups []run.Group) {
	t.Helper()
	p.until(t, a, "the number of groups", func() bool {
		var err error
		groups, err = p.store.Groups(t.Context(), a)
		return err == nil && len(groups) == n
	})
	return groups
}

// TestAStreamHoldsNoRolloutUp pushes twice while a WebSocket stays at the first
// release, and kills the control plane in between.
func TestAStreamHoldsNoRolloutUp(t *testing.T) {
	for _, kind := range []string{"rolling", "bluegreen", "highlander"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			p, id, _ := w.begun(t)
			at, end := w.stream(t)
			next := func(image string) {
				t.Helper()
				op, err := p.Push(t.Context(), by, w.space, with(image, client.Strategy{Kind: kind, Watch: lasting(0)}))
				p.done(t, op, err)
				p.reaches(t, op, rollout.Done)
				if got := p.states(t, id)[at]; got != run.Lingering {
					t.Fatalf("with a stream the old instance is %q, want it to linger", got)
				}
			}
			next("serve second")
			retired := slices.DeleteFunc(p.groupsAre(t, id, 3), func(g run.Group) bool { return !g.Retired })
			p.down()
			p = w.up(t)
			next("serve third")
			newest, err := p.store.Rollouts(t.Context(), id, 1)
			if err != nil || len(retired) == 0 || slices.ContainsFunc(retired, func(g run.Group) bool { return slices.Contains(newest[0].Old, g.ID) }) {
				t.Fatalf("retired are %+v, replaced %v, %v", retired, newest[0].Old, err)
			}
			end()
			p.until(t, id, "the end of what lingered", func() bool { return p.states(t, id)[at] == "" })
			for _, g := range p.groupsAre(t, id, 2) { // web and worker of the third
				if g.Retired {
					t.Errorf("%s is left", g.Name)
				}
			}
		})
	}
}

func TestAStreamHoldsNoScaleDownUpButAStop(t *testing.T) {
	w := newWorld(t)
	p, id, first := w.begun(t)
	op, err := p.Scale(t.Context(), by, id, map[string]int{app.Web: 2})
	p.done(t, op, err)
	// The least busy instance takes the next request, so one of two streams is at
	// the instance that leaves.
	one, end := w.stream(t)
	two, end2 := w.stream(t)
	defer end()
	defer end2()
	leaving := two
	if two == run.InstanceID(first) {
		leaving = one
	}
	op, err = p.Scale(t.Context(), by, id, map[string]int{app.Web: 1})
	p.done(t, op, err)
	if got := p.states(t, id); got[leaving] != run.Lingering || got[run.InstanceID(first)] != run.Healthy {
		t.Fatalf("states %v", got)
	}
	op, err = p.Stop(t.Context(), by, id)
	p.done(t, op, err)
	if got := p.states(t, id); len(got) > 0 {
		t.Errorf("after the stop there are %v", got)
	}
}

// TestARecreatedAppNeverRunsTwice: its old instances have the ordinary deadline
// for everything, and the new ones start after that.
func TestARecreatedAppNeverRunsTwice(t *testing.T) {
	w := newWorld(t)
	p, id, _ := w.begun(t)
	at, end := w.stream(t)
	defer end()
	began := time.Now()
	op, err := p.Push(t.Context(), by, w.space, with("serve second", client.Strategy{Kind: "recreate"}))
	p.done(t, op, err)
	if took := time.Since(began); took < drainTimeout {
		t.Errorf("it was through after %s, before the old instance had its time", took)
	}
	if got, ok := p.states(t, id)[at]; ok {
		t.Errorf("the old instance is %s", got)
	}
}

// TestAWayBackIsNotHeldUp aborts a canary that has a stream.
func TestAWayBackIsNotHeldUp(t *testing.T) {
	w := newWorld(t)
	p, id, first := w.begun(t)
	op, err := p.Push(t.Context(), by, w.space, with("serve second", client.Strategy{Kind: "canary", Steps: []string{"60%/hold"}, Watch: lasting(0)}))
	if err != nil {
		t.Fatal(err)
	}
	ro := p.reaches(t, op, rollout.Paused)
	at, end := w.stream(t)
	if at == run.InstanceID(first) {
		t.Fatal("the stream is at the old release")
	}
	if _, err := p.store.SteerRollout(context.Background(), ro.ID, rollout.Abort, "ada"); err != nil {
		t.Fatal(err)
	}
	if got := p.await(t, op); got.State != operation.Failed {
		t.Fatalf("the push is %s", got.State)
	}
	p.reaches(t, op, rollout.RolledBack)
	w.serves(t, first)
	if got := p.states(t, id)[at]; got != run.Lingering {
		t.Errorf("the instance with a stream is %s", got)
	}
	op, err = p.Push(t.Context(), by, w.space, with("serve third", client.Strategy{Kind: "rolling", Watch: lasting(0)}))
	p.done(t, op, err)
	end()
	p.groupsAre(t, id, 2)
}
