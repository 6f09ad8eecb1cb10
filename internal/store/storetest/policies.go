package storetest

import (
	"testing"
	"time"

	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/budget"
	"naru/internal/store"
)

// policies: what a space wants of error budgets, where its apps stand, and who
// overrode it.
func policies(t *testing.T, open Opener) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, open, store.Options{Clock: func() time.Time { return now }})
	ctx := t.Context()

	t.Run("a policy is the space's own until it is cleared", func(t *testing.T) {
		if _, err := w.Policy(ctx, w.space.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("before: %v", err)
		}
		for _, p := range []budget.Policy{budget.Standard, {Warn: 0.3, Canary: budget.Off, Freeze: 0.01, Margin: 0.2}} {
			must(t, w.SetPolicy(ctx, w.space.ID, p, "ada", event.Event{Kind: "policy.set", Actor: "ada"}))
			if got, err := w.Policy(ctx, w.space.ID); err != nil || got != p {
				t.Errorf("Policy = %+v, %v, want %+v", got, err, p)
			}
		}
		if err := w.SetPolicy(ctx, "nowhere", budget.Standard, "ada"); !fault.Is(err, fault.NotFound) {
			t.Errorf("of a space that is not there: %v", err)
		}
		for range 2 {
			must(t, w.ClearPolicy(ctx, w.space.ID))
		}
		if _, err := w.Policy(ctx, w.space.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("cleared: %v", err)
		}
	})

	t.Run("tiers are replaced as a whole", func(t *testing.T) {
		for _, tiers := range []budget.Tiers{
			{"home": budget.Warn, "cart": budget.Free}, {"home": budget.Freeze}, {}, {"cart": budget.Canary},
		} {
			must(t, w.SetBudgetTiers(ctx, w.app.ID, tiers))
			got, err := w.BudgetTiers(ctx, w.app.ID)
			must(t, err)
			if len(got) != len(tiers) {
				t.Errorf("tiers %v, want %v", got, tiers)
			}
			for objective, tier := range tiers {
				if got[objective] != tier {
					t.Errorf("tiers %v, want %v", got, tiers)
				}
			}
		}
	})

	t.Run("an override holds until its time", func(t *testing.T) {
		if _, err := w.BudgetOverride(ctx, w.app.ID, now); !fault.Is(err, fault.NotFound) {
			t.Errorf("before: %v", err)
		}
		given, err := w.OverrideBudget(ctx, w.app.ID, budget.Granted{By: "ada", Reason: "the law begins today", Until: now.Add(time.Hour)})
		must(t, err)
		got, err := w.BudgetOverride(ctx, w.app.ID, now.Add(time.Hour-time.Second))
		if err != nil || got != given || !got.Created.Equal(now) {
			t.Errorf("BudgetOverride = %+v, %v, want %+v", got, err, given)
		}
		if _, err := w.BudgetOverride(ctx, w.app.ID, now.Add(time.Hour)); !fault.Is(err, fault.NotFound) {
			t.Errorf("after its time: %v", err)
		}
		must(t, w.EndBudgetOverride(ctx, w.app.ID))
		if _, err := w.BudgetOverride(ctx, w.app.ID, now); !fault.Is(err, fault.NotFound) {
			t.Errorf("ended: %v", err)
		}
	})

	t.Run("all of it goes with its app and its space", func(t *testing.T) {
		space, err := w.CreateSpace(ctx, w.org.ID, "leaving", happened("space.created", "leaving"))
		must(t, err)
		a := w.newAppIn(t, space.ID, "leaving")
		must(t, w.SetPolicy(ctx, space.ID, budget.Standard, "ada"))
		must(t, w.SetBudgetTiers(ctx, a.ID, budget.Tiers{"home": budget.Warn}))
		_, err = w.OverrideBudget(ctx, a.ID, budget.Granted{By: "ada", Reason: "the law begins today", Until: now.Add(time.Hour)})
		must(t, err)
		must(t, w.DeleteApp(ctx, a.ID, happened("app.deleted", "leaving")))
		if tiers, err := w.BudgetTiers(ctx, a.ID); err != nil || len(tiers) != 0 {
			t.Errorf("tiers %v, %v", tiers, err)
		}
		if _, err := w.BudgetOverride(ctx, a.ID, now); !fault.Is(err, fault.NotFound) {
			t.Errorf("override: %v", err)
		}
		must(t, w.DeleteSpace(ctx, space.ID, happened("space.deleted", "leaving")))
		if _, err := w.Policy(ctx, space.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("policy: %v", err)
		}
	})
}
