package deliver_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/objective"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/store"
)

// left is the share of its error budget that every app has: each question gets the
// next answer, and the last one for ever.
type left struct {
	mu     sync.Mutex
	shares []float64
}

func (l *left) set(shares ...float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shares = shares
}

func (l *left) Owners(context.Context) ([]app.ID, error) { return nil, nil }

func (l *left) Reports(context.Context, app.ID, time.Time) ([]objective.Report, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	share := l.shares[0]
	if len(l.shares) > 1 {
		l.shares = l.shares[1:]
	}
	r := objective.Report{Objective: app.Objective{Name: "home", Window: app.Window{Rolling: app.Duration(28 * 24 * time.Hour)}}, Left: share, Budget: objective.Budget(0.999, 28*24*time.Hour)}
	r.Known, r.Target, r.Ratio = true, 0.999, 1-0.001*(1-share)
	return []objective.Report{r}, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// recorded counts events of a kind.
func (p *platform) recorded(t *testing.T, kind event.Kind) int {
	t.Helper()
	evs, err := p.store.Events(t.Context(), store.EventFilter{Kinds: []event.Kind{kind}})
	must(t, err)
	return len(evs)
}

// standing is all of an app that a refusal must leave as it is.
func (p *platform) standing(t *testing.T, id app.ID) string {
	t.Helper()
	a, err := p.store.App(t.Context(), id)
	must(t, err)
	rel, err := p.store.CurrentRelease(t.Context(), id)
	must(t, err)
	routes, err := p.store.RoutesOf(t.Context(), id)
	must(t, err)
	return fmt.Sprintf("%s %v %v %s %d routes", a.Image, a.Draft, a.Scale, rel.Name(), len(routes))
}

func TestAFrozenAppTakesNoFeatures(t *testing.T) {
	w := newWorld(t)
	budget := &left{shares: []float64{1}}
	w.budgets = budget
	p := w.up(t)
	ctx, push := t.Context(), push("serve")
	op, err := p.Push(ctx, by, w.space, push)
	p.done(t, op, err)
	a, err := p.store.AppNamed(ctx, w.space, "shop")
	must(t, err)

	budget.set(-0.5)
	before := p.standing(t, a.ID)
	operations := func() int {
		all, err := p.store.Operations(ctx, operation.Filter{App: a.ID, Limit: 100})
		must(t, err)
		return len(all)
	}
	had := operations()
	next := push
	next.Image, next.Env, next.Routes = "serve again", map[string]string{"A": "b"}, []client.NewRoute{{Host: "other"}}
	for name, try := range map[string]func() error{
		"asked before it is sent": func() error {
			_, err := p.MayPush(ctx, by, w.space, client.PushCheck{App: "shop"})
			return err
		},
		"a push": func() error { _, err := p.Push(ctx, by, w.space, next); return err },
		"a push as a canary": func() error {
			n := next
			n.Strategy = &client.Strategy{Kind: "canary"}
			_, err := p.Push(ctx, by, w.space, n)
			return err
		},
	} {
		err := try()
		if f := fault.Of(err); f.Kind != fault.Conflict || !strings.Contains(f.Message, "the error budget of shop is spent: home: 99.85 % measured") || !strings.Contains(f.Try, "--reliability-fix") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := p.standing(t, a.ID); got != before || operations() != had {
		t.Errorf("a refusal left\n%s, %d operations; before\n%s, %d", got, operations(), before, had)
	}
	if n := p.recorded(t, "push.refused"); n != 3 {
		t.Errorf("%d refusals are recorded", n)
	}

	// What keeps it going, and what goes back, passes.
	op, err = p.Scale(ctx, by, a.ID, map[string]int{"web": 2})
	p.done(t, op, err)
	op, err = p.Restart(ctx, by, a.ID)
	p.done(t, op, err)
	if n := p.recorded(t, "budget.passed"); n != 0 {
		t.Errorf("%d passes are recorded of what nothing forbids", n)
	}
	fix := next
	fix.ReliabilityFix = true
	op, err = p.Push(ctx, by, w.space, fix)
	p.done(t, op, err)
	if rel, err := p.store.CurrentRelease(ctx, a.ID); err != nil || rel.Reason != "reliability fix" || rel.By != "ada" {
		t.Errorf("the fix is %+v, %v", rel, err)
	}
	op, err = p.Rollback(ctx, by, a.ID, "")
	p.done(t, op, err)
	evs, err := p.store.Events(ctx, store.EventFilter{Kinds: []event.Kind{"budget.passed"}})
	must(t, err)
	if len(evs) != 2 || evs[0].Detail["by"] != "reliability-fix" || evs[1].Detail["by"] != "rollback" || evs[0].Actor != "ada" || !strings.Contains(fmt.Sprint(evs[0].Detail["why"]), "spent") {
		t.Errorf("passes %+v", evs)
	}

	// An image that was brought without being started is a feature when it is.
	quiet := next
	quiet.NoStart, quiet.Image = true, "serve thrice"
	op, err = p.Push(ctx, by, w.space, quiet)
	p.done(t, op, err)
	if _, err := p.Restart(ctx, by, a.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("a restart that brings another image: %v", err)
	}
	if _, _, err := p.SetEnv(ctx, by, a.ID, app.EnvChange{Set: map[string]string{"A": "c"}}, true); !fault.Is(err, fault.Conflict) {
		t.Errorf("a setting that brings another image: %v", err)
	}
	_, err = p.gate.Grant(ctx, a, "boss", "the law begins today", time.Hour)
	must(t, err)
	op, err = p.Restart(ctx, by, a.ID)
	p.done(t, op, err)
	if n := p.recorded(t, "budget.passed"); n != 3 {
		t.Errorf("%d passes are recorded, want that of the override too", n)
	}
}

// The budget may go while a push waits: then its operation changes nothing.
func TestABudgetThatGoesWhileAPushWaits(t *testing.T) {
	w := newWorld(t)
	budget := &left{shares: []float64{1}}
	w.budgets = budget
	p := w.up(t)
	ctx := t.Context()
	op, err := p.Push(ctx, by, w.space, client.Push{App: "shop", Source: client.Source{Image: "serve"}})
	p.done(t, op, err)
	a, err := p.store.AppNamed(ctx, w.space, "shop")
	must(t, err)
	before := p.standing(t, a.ID)
	budget.set(1, -0.5)
	op, err = p.Push(ctx, by, w.space, client.Push{App: "shop", Source: client.Source{Image: "serve again"}, Env: map[string]string{"A": "b"}})
	must(t, err)
	end := p.await(t, op)
	if end.State != operation.Failed || end.Error == nil || end.Error.Kind != fault.Conflict || !strings.Contains(end.Error.Message, "is spent") {
		t.Errorf("it ended %s: %v", end.State, end.Error)
	}
	if got := p.standing(t, a.ID); got != before {
		t.Errorf("it left\n%s\nbefore\n%s", got, before)
	}
	if n := p.recorded(t, "push.refused"); n != 1 {
		t.Errorf("%d refusals are recorded", n)
	}
}

func TestLittleBudgetMakesCanaries(t *testing.T) {
	w := newWorld(t)
	budget := &left{shares: []float64{1}}
	w.budgets = budget
	p := w.up(t)
	ctx, push := t.Context(), push("serve")
	op, err := p.Push(ctx, by, w.space, push)
	p.done(t, op, err)

	budget.set(0.05)
	rolling := push
	rolling.Strategy = &client.Strategy{Kind: "rolling"}
	if _, err := p.Push(ctx, by, w.space, rolling); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Of(err).Try, "--strategy canary") {
		t.Errorf("somebody insists on rolling: %v", err)
	}
	blind := push
	blind.Strategy = &client.Strategy{Kind: "canary", NoGuard: true}
	if _, err := p.Push(ctx, by, w.space, blind); !fault.Is(err, fault.Conflict) {
		t.Errorf("a canary that nobody watches: %v", err)
	}
	permit, err := p.MayPush(ctx, by, w.space, client.PushCheck{App: "shop"})
	if err != nil || permit.Strategy != "canary" || permit.Tier != "canary" || len(permit.Warnings) == 0 || !strings.Contains(permit.Warnings[0], "goes out as a canary") {
		t.Errorf("asked before: %+v, %v", permit, err)
	}
	push.Image = "serve again"
	op, err = p.Push(ctx, by, w.space, push)
	must(t, err)
	ro := p.reaches(t, op, rollout.Preparing, rollout.Releasing, rollout.Shifting, rollout.Paused)
	if ro.Spec.Kind != app.Canary || len(ro.Spec.Steps) == 0 || ro.Spec.Guard.Off {
		t.Errorf("it goes out by %s", ro.Spec)
	}
	p.reaches(t, op, rollout.Shifting, rollout.Paused)
	_, err = p.store.SteerRollout(ctx, ro.ID, rollout.Abort, "ada")
	must(t, err)
	p.await(t, op)
}
