package deliver_test

import (
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
)

// stuck begins a push over an app that runs, whose instances do not answer, and
// returns when they are being started. It ends when its rollout is aborted.
func (p *platform) stuck(t *testing.T, w *world, id app.ID, in client.Push) operation.Operation {
	t.Helper()
	in.Source.Image = "stubborn"
	in.Processes = map[string]client.PushedProcess{app.Web: {ProcessSettings: client.ProcessSettings{
		MemoryMiB: 64, Check: "http", Path: "/new", StopGrace: client.Duration(10 * time.Millisecond),
	}}}
	changed, stop := p.store.WatchApp(id)
	defer stop()
	op, err := p.Push(t.Context(), by, w.space, in)
	if err != nil {
		t.Fatal(err)
	}
	late := time.After(30 * time.Second)
	for {
		if ro, err := p.store.Rollout(t.Context(), rollout.ID(op.ID)); err == nil && ro.State == rollout.Shifting {
			return op
		}
		select {
		case <-changed:
		case <-late:
			t.Fatal("the rollout does not begin")
		}
	}
}

func (p *platform) abort(t *testing.T, op operation.Operation) {
	t.Helper()
	if _, err := p.store.SteerRollout(t.Context(), rollout.ID(op.ID), rollout.Abort, "bob"); err != nil {
		t.Fatal(err)
	}
	p.failed(t, op, nil)
}

func TestSetEnvDoesNotStartAnAppThatIsStoppedBeforeItsTurn(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	id := p.shop(t, w)
	pushed := p.stuck(t, w, id, push(""))
	stop, err := p.Stop(t.Context(), by, id)
	if err != nil {
		t.Fatal(err)
	}
	a, set, err := p.SetEnv(t.Context(), by, id, app.EnvChange{Set: map[string]string{"COLOR": "blue"}}, true)
	if err != nil || set == nil || a.State != app.Started {
		t.Fatalf("SetEnv() = %s, %v, %v: the app still runs, so that its instances must get the change", a.State, set, err)
	}
	p.abort(t, pushed)
	p.done(t, stop, nil)
	p.done(t, *set, nil)
	if a := p.app(t, id); a.State != app.Stopped || a.Draft.Env["COLOR"] != "blue" {
		t.Errorf("the app is %s with %v, want stopped with the change", a.State, a.Draft.Env)
	}
	if n := p.healthy(t, id)[app.Web]; n != 0 {
		t.Errorf("%d instances run in a stopped app", n)
	}
	op, err := p.Start(t.Context(), by, id)
	p.done(t, op, err)
}

func TestSetEnvStartsNothingWhereNothingRuns(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	a, err := p.CreateApp(t.Context(), by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	change := app.EnvChange{Set: map[string]string{"COLOR": "blue"}}
	if _, op, err := p.SetEnv(t.Context(), by, a.ID, change, true); err != nil || op != nil {
		t.Errorf("SetEnv of an app without a release = %v, %v", op, err)
	}
	id := a.ID
	op, err := p.Push(t.Context(), by, w.space, push("serve"))
	p.done(t, op, err)
	if _, op, err := p.SetEnv(t.Context(), by, id, change, false); err != nil || op != nil {
		t.Errorf("SetEnv without restart = %v, %v", op, err)
	}
}

func TestSetEnvThatIsRefusedChangesNothing(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	id := p.shop(t, w)
	other := p.shopNamed(t, w, "other")
	keyed := operation.Ask{Actor: "ada", Key: "one"}
	_, op, err := p.SetEnv(t.Context(), keyed, id, app.EnvChange{Set: map[string]string{"COLOR": "blue"}}, true)
	if err != nil || op == nil {
		t.Fatalf("SetEnv() = %v, %v", op, err)
	}
	p.done(t, *op, nil)
	// The key was used for another request: neither draft nor secret may change.
	if _, _, err := p.SetEnv(t.Context(), keyed, other, app.EnvChange{Set: map[string]string{"COLOR": "black"}}, true); err == nil {
		t.Fatal("a used key was taken")
	}
	if got := p.app(t, other).Draft.Env["COLOR"]; got != "red" {
		t.Errorf("COLOR = %q, want red as before", got)
	}
}
