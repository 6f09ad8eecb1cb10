package gate_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/judge/budget"
	"naru/internal/judge/objective"
	"naru/internal/pipeline/gate"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

// world is a gate on a real store, an app, and budgets that a test sets.
type world struct {
	*gate.Gate
	t     *testing.T
	store *store.Store
	app   app.App
	now   time.Time

	left  map[string]float64 // of each objective; absent: nothing is known
	names []string
	err   error
}

func newWorld(t *testing.T, names ...string) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), left: map[string]float64{}, names: names}
	w.store = storetest.Open(t, store.Options{Clock: func() time.Time { return w.now }})
	_, space, err := w.store.Bootstrap(t.Context())
	must(t, err)
	w.app, err = w.store.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: space.ID, Name: "shop", Slug: "shop", State: app.Started},
		event.Event{Kind: "app.created", Actor: "test", Subject: "shop"})
	must(t, err)
	w.Gate = gate.New(w.store, w, func() time.Time { return w.now }, slog.New(slog.DiscardHandler))
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) Owners(context.Context) ([]app.ID, error) { return []app.ID{w.app.ID}, nil }

func (w *world) Reports(context.Context, app.ID, time.Time) (out []objective.Report, err error) {
	for _, name := range w.names {
		r := objective.Report{Objective: app.Objective{Name: name, Window: app.Window{Rolling: app.Duration(28 * 24 * time.Hour)}}, Budget: objective.Budget(0.999, 28*24*time.Hour)}
		if left, ok := w.left[name]; ok {
			r.Known, r.Target, r.Left, r.Ratio = true, 0.999, left, 1-0.001*(1-left)
		}
		out = append(out, r)
	}
	return out, w.err
}

// ask asks as deliver does, and returns the refusal.
func (w *world) ask(kind budget.ChangeKind, canary bool) (budget.Decision, error) {
	w.t.Helper()
	d, c, err := w.Ask(w.t.Context(), w.app, budget.Change{Kind: kind, Canary: canary})
	must(w.t, err)
	return d, d.Err(c)
}

// events are those of a kind, oldest first, as text.
func (w *world) events(kind event.Kind, keys ...string) (out []string) {
	w.t.Helper()
	evs, err := w.store.Events(w.t.Context(), store.EventFilter{App: w.app.ID, Kinds: []event.Kind{kind}})
	must(w.t, err)
	for _, ev := range evs {
		text := ev.Actor
		for _, k := range keys {
			text += fmt.Sprint(" ", ev.Detail[k])
		}
		out = append(out, text)
	}
	return out
}

func TestTheGateFollowsTheBudget(t *testing.T) {
	w := newWorld(t, "home", "cart")
	w.left["cart"] = 0.9
	for _, step := range []struct {
		left            float64
		tier            budget.Tier
		feature, canary bool // passes
	}{
		{0.8, budget.Free, true, true},
		{0.4, budget.Warn, true, true},
		{0.08, budget.Canary, false, true},
		{-0.2, budget.Freeze, false, false},
		{0.05, budget.Freeze, false, false}, // not before a tenth is left again
		{0.15, budget.Canary, false, true},
		{0.7, budget.Free, true, true},
	} {
		w.left["home"] = step.left
		d, err := w.ask(budget.Feature, false)
		if d.Tier != step.tier || (err == nil) != step.feature {
			t.Errorf("%v left: tier %s, %v", step.left, d.Tier, err)
		}
		if _, err := w.ask(budget.Feature, true); (err == nil) != step.canary {
			t.Errorf("%v left, as a canary: %v", step.left, err)
		}
		for _, kind := range []budget.ChangeKind{budget.Rollback, budget.Reliability, budget.Operation} {
			if _, err := w.ask(kind, false); err != nil {
				t.Errorf("%v left, %s: %v", step.left, kind, err)
			}
		}
	}
	want := "[naru home free warn 0.4 naru home warn canary 0.08 naru home canary freeze -0.2 naru home freeze canary 0.15 naru home canary free 0.7]"
	if got := fmt.Sprint(w.events("budget.tier", "objective", "from", "to", "left")); got != want {
		t.Errorf("events\n%s\nwant\n%s", got, want)
	}
}

func TestARefusalNamesTheNumbersAndTheWaysOut(t *testing.T) {
	w := newWorld(t, "home")
	w.left["home"] = -0.5
	d, err := w.ask(budget.Feature, false)
	f := fault.Of(err)
	if f.Kind != fault.Conflict || !strings.Contains(f.Message, "the error budget of shop is spent: home: 99.85 % measured, 99.9 % wanted over 28d, -50 % of the budget left") {
		t.Errorf("refused with %+v", f)
	}
	for _, way := range []string{"naru push shop --reliability-fix", "naru policy override shop --reason"} {
		if !strings.Contains(f.Try, way) {
			t.Errorf("the ways out are %q, without %q", f.Try, way)
		}
	}
	must(t, w.Refused(t.Context(), w.app, d, "bob"))
	if got := fmt.Sprint(w.events("push.refused", "tier")); got != "[bob freeze]" {
		t.Errorf("events %s", got)
	}
}

func TestAnOverrideLetsPassForItsTime(t *testing.T) {
	w := newWorld(t, "home")
	w.left["home"] = -0.5
	if _, err := w.Grant(t.Context(), w.app, "boss", "the law begins today", time.Hour); err != nil {
		t.Fatal(err)
	}
	d, c, err := w.Ask(t.Context(), w.app, budget.Change{Kind: budget.Feature})
	must(t, err)
	if !d.Allowed || d.Record != "override" || d.Err(c) != nil {
		t.Fatalf("with an override: %+v", d)
	}
	must(t, w.Passed(t.Context(), w.app, d, c, "bob"))
	if got := fmt.Sprint(w.events("budget.passed", "by", "reason", "override_of")); got != "[bob override the law begins today boss]" {
		t.Errorf("events %s", got)
	}
	w.now = w.now.Add(time.Hour)
	if _, err := w.ask(budget.Feature, false); err == nil {
		t.Error("the override holds after its time")
	}
	if _, err := w.Grant(t.Context(), w.app, "boss", "the law begins today", 0); err != nil {
		t.Fatal(err)
	}
	must(t, w.Revoke(t.Context(), w.app, "boss"))
	if _, err := w.ask(budget.Feature, false); err == nil {
		t.Error("the override holds after its end")
	}
}

func TestWhatIsNotKnownHoldsNothingBack(t *testing.T) {
	w := newWorld(t, "home")
	w.left["home"] = -0.5
	if _, err := w.ask(budget.Feature, false); err == nil {
		t.Fatal("it is not frozen")
	}
	w.err = fault.New(fault.Unavailable, "", "the metrics are not open")
	d, err := w.ask(budget.Feature, false)
	if err != nil || len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "the metrics are not open") {
		t.Errorf("without metrics: %+v, %v", d, err)
	}
	if tier, standings, err := w.Standing(t.Context(), w.app); err != nil || tier != budget.Free || standings != nil {
		t.Errorf("without metrics it stands at %s, %v, %v", tier, standings, err)
	}
	w.err = nil
	delete(w.left, "home")
	if _, err := w.ask(budget.Feature, false); err != nil {
		t.Errorf("nothing is known of it: %v", err)
	}
}

func TestASpaceHasItsPolicy(t *testing.T) {
	w := newWorld(t, "home")
	w.left["home"] = 0.2
	ctx := t.Context()
	if err := w.SetPolicy(ctx, w.app.Space, budget.Policy{Warn: 0.1, Canary: 0.5}, "boss"); !fault.Is(err, fault.Invalid) {
		t.Errorf("upside down: %v", err)
	}
	must(t, w.SetPolicy(ctx, w.app.Space, budget.Policy{Warn: budget.Off, Canary: budget.Off, Freeze: 0.3}, "boss"))
	if d, err := w.ask(budget.Feature, false); err == nil || d.Tier != budget.Freeze {
		t.Errorf("a freeze at 30 %%: %+v, %v", d, err)
	}
	must(t, w.ClearPolicy(ctx, w.app.Space, "boss"))
	if d, err := w.ask(budget.Feature, false); err != nil || d.Tier != budget.Warn {
		t.Errorf("the standard again: %+v, %v", d, err)
	}
}

// An objective that is gone takes its tier with it: declared again, it begins free.
func TestAnObjectiveThatIsGoneIsForgotten(t *testing.T) {
	w := newWorld(t, "home", "cart")
	w.left["home"], w.left["cart"] = -1, 0.9
	if _, err := w.ask(budget.Feature, false); err == nil {
		t.Fatal("it is not frozen")
	}
	w.names = []string{"cart"}
	if _, err := w.ask(budget.Feature, false); err != nil {
		t.Errorf("without the objective: %v", err)
	}
	tiers, err := w.store.BudgetTiers(t.Context(), w.app.ID)
	if err != nil || fmt.Sprint(tiers) != "map[cart:free]" {
		t.Errorf("tiers %v, %v", tiers, err)
	}
}
