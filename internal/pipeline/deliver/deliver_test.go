package deliver_test

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/run"
	"naru/internal/store"
)

var by = operation.Ask{Actor: "ada"}

func push(image string) client.Push {
	return client.Push{App: "shop", Source: client.Source{Image: image}}
}

// healthy returns how many instances of each process type are healthy.
func (p *platform) healthy(t *testing.T, id app.ID) map[string]int {
	t.Helper()
	groups, err := p.store.Groups(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	have, err := p.store.Instances(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, g := range groups {
		for _, i := range have {
			if i.Group == g.ID && i.State == run.Healthy {
				out[g.Process]++
			}
		}
	}
	return out
}

func TestTheLifeOfAnApp(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()

	op, err := p.Push(ctx, by, w.space, push("serve"))
	p.done(t, op, err)
	id := op.App
	first, err := w.served("shop.apps.test")
	if err != nil {
		t.Fatalf("after the push: %v", err)
	}

	op, err = p.Scale(ctx, by, id, map[string]int{app.Web: 3, "worker": 2})
	p.done(t, op, err)
	if got := p.healthy(t, id); got[app.Web] != 3 || got["worker"] != 2 {
		t.Errorf("after scale: %v", got)
	}
	if _, err := p.Scale(ctx, by, id, map[string]int{"clock": 1}); !fault.Is(err, fault.NotFound) {
		t.Errorf("scale of a process it has not = %v", err)
	}

	_, changed, err := p.SetEnv(ctx, by, id, app.EnvChange{Set: map[string]string{"COLOR": "red"}}, true)
	if err != nil || changed == nil {
		t.Fatalf("SetEnv() = %v, %v", changed, err)
	}
	p.done(t, *changed, nil)
	now, err := w.served("shop.apps.test")
	if err != nil || now == first {
		t.Fatalf("after set-env %q serves (%v), as before", now, err)
	}
	if spec, ok := w.driver.Spec(run.InstanceID(now)); !ok || spec.Env["COLOR"].Reveal() != "red" {
		t.Errorf("what serves has no COLOR: %v", spec.Env)
	}

	// What does not work is taken back, and can be pushed over.
	op, err = p.Push(ctx, by, w.space, push("exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	if end := p.await(t, op); end.State != operation.Failed || !strings.Contains(end.Error.Message, "what ran before keeps running") {
		t.Errorf("push of what exits = %s, %v", end.State, end.Error)
	}
	if got := p.healthy(t, id); got[app.Web] != 3 || got["worker"] != 2 {
		t.Errorf("after a push that failed: %v", got)
	}

	// Rollback twice goes back and forth.
	for _, want := range []string{"", "red"} {
		op, err = p.Rollback(ctx, by, id, "")
		p.done(t, op, err)
		now, err := w.served("shop.apps.test")
		if err != nil {
			t.Fatal(err)
		}
		if spec, _ := w.driver.Spec(run.InstanceID(now)); spec.Env["COLOR"].Reveal() != want {
			t.Errorf("after rollback COLOR = %q, want %q", spec.Env["COLOR"].Reveal(), want)
		}
	}

	op, err = p.Stop(ctx, by, id)
	p.done(t, op, err)
	op, err = p.Start(ctx, by, id)
	p.done(t, op, err)
	op, err = p.Delete(ctx, by, id)
	p.done(t, op, err)
	w.empty(t)
}

// empty fails when anything is left to run.
func (w *world) empty(t *testing.T) {
	t.Helper()
	left, err := w.driver.List(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("left running: %+v, %v", left, err)
	}
}

func TestTheFirstReleaseFails(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	op, err := p.Push(t.Context(), by, w.space, push("exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	if end := p.await(t, op); end.State != operation.Failed || !strings.Contains(end.Error.Message, "did not work") {
		t.Fatalf("push = %s, %v", end.State, end.Error)
	}
	if got := p.healthy(t, op.App); len(got) > 0 {
		t.Errorf("instances are left: %v", got)
	}
	op, err = p.Push(t.Context(), by, w.space, push("serve"))
	p.done(t, op, err)
}

func TestARouteThatIsTakenMakesNoApp(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	in := push("serve")
	in.Routes = []client.NewRoute{{Host: "bad host"}}
	if _, err := p.Push(t.Context(), by, w.space, in); err == nil {
		t.Fatal("a push with a bad host was taken")
	}
	if _, err := p.store.AppNamed(t.Context(), w.space, "shop"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the app is there: %v", err)
	}
}

func TestWhatCrashesIsRemovedAndReplaced(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	op, err := p.Push(t.Context(), by, w.space, push("serve"))
	p.done(t, op, err)
	changed, stop := p.store.WatchApp(op.App)
	defer stop()
	old, err := w.served("shop.apps.test")
	if err != nil {
		t.Fatal(err)
	}
	w.driver.Exit(run.InstanceID(old), 7)
	tick := time.NewTicker(10 * time.Millisecond) // removal is no commit
	defer tick.Stop()
	for late := time.After(10 * time.Second); ; {
		_, there := w.driver.Spec(run.InstanceID(old))
		if now, err := w.served("shop.apps.test"); err == nil && now != old && !there {
			return
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-late:
			t.Fatalf("the instance was not replaced, or what is left of it (%t) not removed", there)
		}
	}
}

var seed = flag.Uint64("seed", 0, "of the kills; 0 takes another every time")

func TestKilledAtAnyCommitItGoesOn(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	rnd := rand.New(rand.NewPCG(*seed, 0))
	w := newWorld(t)
	p := w.up(t)
	// Each wish survives kills at random commits until it has ended.
	through := func(name string, ask func(p *platform) (operation.Operation, error)) operation.Operation {
		t.Helper()
		op, err := ask(p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for kills := 0; kills < 4; kills++ {
			p.kill.Store(1 + rnd.Int64N(12))
			p.untilEnd(t, op.ID)
			p.down()
			p = w.up(t)
		}
		end := p.await(t, op)
		if end.State != operation.Done {
			t.Fatalf("%s is %s: %v", name, end.State, end.Error)
		}
		return end
	}
	op := through("push", func(p *platform) (operation.Operation, error) { return p.Push(t.Context(), by, w.space, push("serve")) })
	id := op.App
	through("scale", func(p *platform) (operation.Operation, error) {
		return p.Scale(t.Context(), by, id, map[string]int{app.Web: 3})
	})
	for _, image := range []string{"serve 2", "serve 3"} {
		through("push "+image, func(p *platform) (operation.Operation, error) { return p.Push(t.Context(), by, w.space, push(image)) })
	}
	through("rollback", func(p *platform) (operation.Operation, error) { return p.Rollback(t.Context(), by, id, "") })
	if got := p.healthy(t, id); got[app.Web] != 3 {
		t.Errorf("healthy at the end: %v", got)
	}
	groups, err := p.store.Groups(t.Context(), id)
	if err != nil || len(groups) != 2 {
		t.Errorf("groups at the end: %+v, %v; want one each of web and worker", groups, err)
	}
	through("delete", func(p *platform) (operation.Operation, error) { return p.Delete(t.Context(), by, id) })
	w.empty(t)
}

func TestKilledAtEachCommitAPushGoesOn(t *testing.T) {
	for name, strategy := range map[string]*client.Strategy{
		"rolling":   nil,
		"canary":    {Kind: "canary", Steps: []string{"10%/0s", "50%/1ms"}, Watch: lasting(0)},
		"bluegreen": {Kind: "bluegreen", Watch: lasting(time.Millisecond)},
		"recreate":  {Kind: "recreate"},
	} {
		t.Run(name, func(t *testing.T) { killedAtEachCommit(t, strategy) })
	}
}

func killedAtEachCommit(t *testing.T, strategy *client.Strategy) {
	w := newWorld(t)
	p := w.up(t)
	op, err := p.Push(t.Context(), by, w.space, push("serve"))
	p.done(t, op, err)
	kills := 0
	for n := int64(1); ; n += everyCommit() {
		in := push("serve " + []string{"a", "b"}[n%2])
		in.Strategy = strategy
		op, err := p.Push(t.Context(), by, w.space, in)
		if err != nil {
			t.Fatal(err)
		}
		p.down()
		w.killAt = n
		p = w.up(t)
		w.killAt = 0
		p.untilEnd(t, op.ID)
		p.down()
		killed := p.kill.Load() <= 0
		p = w.up(t)
		if end := p.await(t, op); end.State != operation.Done {
			t.Fatalf("killed at commit %d the push is %s: %v", n, end.State, end.Error)
		}
		p.reaches(t, op, rollout.Done)
		if got := p.healthy(t, op.App); got[app.Web] != 1 {
			t.Fatalf("killed at commit %d: %v", n, got)
		}
		if !killed {
			break
		}
		kills++
	}
	if int64(kills) < max(1, 10/everyCommit()) {
		t.Errorf("only %d commits: nothing was tried", kills)
	}
	t.Logf("%d commits", kills)
}

// everyCommit is 1, or what is left out where tests are to be short: the same
// under the race detector takes minutes.
func everyCommit() int64 {
	if testing.Short() {
		return 11
	}
	return 1
}

// untilEnd returns when an operation has ended or the platform is dead.
func (p *platform) untilEnd(t *testing.T, id operation.ID) {
	t.Helper()
	sub := p.store.Listen(store.OperationTopic(id))
	defer sub.Close()
	for {
		op, err := p.store.Operation(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if op.State.Ended() {
			return
		}
		select {
		case <-p.dead:
			return
		case <-sub.C:
		case <-time.After(30 * time.Second):
			t.Fatalf("%s is still %s", op.Kind, op.State)
		}
	}
}

func TestScaleToFifty(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	op, err := p.Push(t.Context(), by, w.space, push("serve"))
	p.done(t, op, err)
	before := p.kill.Load()
	began := time.Now()
	op, err = p.Scale(t.Context(), by, op.App, map[string]int{app.Web: 50})
	p.done(t, op, err)
	if got := p.healthy(t, op.App); got[app.Web] != 50 {
		t.Errorf("healthy: %v", got)
	}
	t.Logf("1 to 50 in %s with %d commits", time.Since(began).Round(time.Millisecond), before-p.kill.Load())
}
