package budget_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge/budget"
	"naru/internal/judge/objective"
)

func TestPoliciesAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		p  budget.Policy
		ok bool
	}{
		"standard":        {budget.Standard, true},
		"only a freeze":   {budget.Policy{Warn: budget.Off, Canary: budget.Off, Freeze: 0.05}, true},
		"nothing at all":  {budget.Policy{Warn: budget.Off, Canary: budget.Off, Freeze: budget.Off}, true},
		"upside down":     {budget.Policy{Warn: 0.1, Canary: 0.5}, false},
		"freeze before":   {budget.Policy{Warn: 0.5, Canary: budget.Off, Freeze: 0.6}, false},
		"over 100 %":      {budget.Policy{Warn: 50}, false},
		"negative margin": {budget.Policy{Warn: 0.5, Margin: -0.1}, false},
	} {
		if err := tc.p.Check("policy"); (err == nil) != tc.ok || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A budget goes down and comes back: each tier is left later than it was entered.
func TestTiersWithMargin(t *testing.T) {
	type step struct {
		left float64
		want budget.Tier
	}
	for name, tc := range map[string]struct {
		p     budget.Policy
		steps []step
	}{
		"down and up": {budget.Standard, []step{
			{1, budget.Free}, {0.5, budget.Free}, {0.49, budget.Warn}, {0.55, budget.Warn}, {0.1, budget.Warn}, {0.09, budget.Canary}, {0.15, budget.Canary},
			{0, budget.Freeze}, {-3, budget.Freeze}, {0.01, budget.Freeze}, {0.09, budget.Freeze}, {0.1, budget.Canary}, {0.19, budget.Canary}, {0.2, budget.Warn}, {0.59, budget.Warn}, {0.6, budget.Free},
		}},
		"at once":         {budget.Standard, []step{{1, budget.Free}, {-1, budget.Freeze}, {1, budget.Free}}},
		"no margin":       {budget.Policy{Warn: budget.Off, Canary: budget.Off}, []step{{0.001, budget.Free}, {0, budget.Freeze}, {0.001, budget.Free}}},
		"no freeze":       {budget.Policy{Warn: 0.5, Canary: 0.1, Freeze: budget.Off}, []step{{-5, budget.Canary}, {0.3, budget.Warn}}},
		"a huge margin":   {budget.Policy{Warn: 0.9, Canary: budget.Off, Freeze: budget.Off, Margin: 1}, []step{{0.5, budget.Warn}, {0.99, budget.Warn}, {1, budget.Free}}},
		"a freeze with 5": {budget.Policy{Warn: budget.Off, Canary: budget.Off, Freeze: 0.05, Margin: 0.1}, []step{{0.06, budget.Free}, {0.05, budget.Freeze}, {0.14, budget.Freeze}, {0.15, budget.Free}}},
	} {
		t.Run(name, func(t *testing.T) {
			var tiers budget.Tiers
			for i, s := range tc.steps {
				tiers = tc.p.Next(tiers, []budget.Standing{{Objective: "a", Known: true, Left: s.left}})
				if got := tiers.Strictest(); got != s.want {
					t.Fatalf("step %d, %v left: got %s, want %s", i, s.left, got, s.want)
				}
			}
		})
	}
}

func TestDecisions(t *testing.T) {
	spent := budget.Standing{Objective: "profile", Known: true, Target: 0.9995, Measured: 0.9991, Left: -0.8, LeftTime: "-16.1 min", Window: "28d"}
	low := budget.Standing{Objective: "profile", Known: true, Target: 0.9995, Measured: 0.9996, Left: 0.05, LeftTime: "1 min", Window: "28d"}
	half := budget.Standing{Objective: "profile", Known: true, Target: 0.9995, Measured: 0.9997, Left: 0.4, LeftTime: "8.1 min", Window: "28d"}
	unknown := budget.Standing{Objective: "night", Window: "28d"}
	fine := budget.Standing{Objective: "cart", Known: true, Left: 0.9}
	for name, tc := range map[string]struct {
		in       []budget.Standing
		c        budget.Change
		allowed  bool
		record   string
		warnings int
		kind     fault.Kind
	}{
		"all is well":               {[]budget.Standing{fine}, budget.Change{Kind: budget.Feature}, true, "", 0, ""},
		"a warning":                 {[]budget.Standing{half, fine}, budget.Change{Kind: budget.Feature}, true, "", 1, ""},
		"unknown is not frozen":     {[]budget.Standing{unknown}, budget.Change{Kind: budget.Feature}, true, "", 1, ""},
		"low, all at once":          {[]budget.Standing{low}, budget.Change{Kind: budget.Feature}, false, "", 0, fault.Conflict},
		"low, as a canary":          {[]budget.Standing{low}, budget.Change{Kind: budget.Feature, Canary: true}, true, "", 1, ""},
		"frozen":                    {[]budget.Standing{spent, fine, unknown}, budget.Change{Kind: budget.Feature}, false, "", 1, fault.Conflict},
		"frozen, as a canary":       {[]budget.Standing{spent}, budget.Change{Kind: budget.Feature, Canary: true}, false, "", 0, fault.Conflict},
		"frozen, going back":        {[]budget.Standing{spent}, budget.Change{Kind: budget.Rollback}, true, "rollback", 0, ""},
		"frozen, a fix":             {[]budget.Standing{spent}, budget.Change{Kind: budget.Reliability}, true, "reliability-fix", 0, ""},
		"frozen, scaling":           {[]budget.Standing{spent}, budget.Change{Kind: budget.Operation}, true, "", 1, ""},
		"frozen, overridden":        {[]budget.Standing{spent}, budget.Change{Kind: budget.Feature, Override: &budget.Override{By: "ann", May: true, Reason: "the law begins today"}}, true, "override", 0, ""},
		"frozen, by someone else":   {[]budget.Standing{spent}, budget.Change{Kind: budget.Feature, Override: &budget.Override{By: "bob", Reason: "the law begins today"}}, false, "", 0, fault.Denied},
		"frozen, without a reason":  {[]budget.Standing{spent}, budget.Change{Kind: budget.Feature, Override: &budget.Override{By: "ann", May: true, Reason: "  because "}}, false, "", 0, fault.Invalid},
		"frozen, and one runs low":  {[]budget.Standing{spent, {Objective: "b", Known: true, Left: 0.3}}, budget.Change{Kind: budget.Feature}, false, "", 1, fault.Conflict},
		"an override of no tier":    {[]budget.Standing{fine}, budget.Change{Kind: budget.Feature, Override: &budget.Override{}}, true, "", 0, ""},
		"frozen, an unknown change": {[]budget.Standing{spent}, budget.Change{Kind: "other"}, false, "", 0, fault.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			tc.c.App = "shop"
			d := budget.Decide(budget.Standard.Next(nil, tc.in), tc.in, tc.c)
			if d.Allowed != tc.allowed || d.Record != tc.record || len(d.Warnings) != tc.warnings {
				t.Errorf("got %+v", d)
			}
			err := d.Err(tc.c)
			if (err == nil) != tc.allowed || err != nil && fault.Of(err).Kind != tc.kind {
				t.Errorf("got %v, want %s", err, tc.kind)
			}
			if slices.Contains(d.Warnings, "") {
				t.Errorf("an empty warning: %q", d.Warnings)
			}
		})
	}
}

// The refusal has the numbers and both ways out.
func TestTheRefusal(t *testing.T) {
	in := []budget.Standing{{Objective: "profile", Known: true, Target: 0.9995, Measured: 0.9991, Left: -0.8, LeftTime: "-16.1 min", Window: "28d"}}
	c := budget.Change{App: "shop", Kind: budget.Feature}
	f := fault.Of(budget.Decide(budget.Standard.Next(nil, in), in, c).Err(c))
	if want := "the error budget of shop is spent: profile: 99.91 % measured, 99.95 % wanted over 28d, -80 % of the budget left (-16.1 min)"; f.Message != want {
		t.Errorf("got  %q\nwant %q", f.Message, want)
	}
	for _, way := range []string{"naru push shop --reliability-fix", `naru policy override shop --reason`} {
		if !strings.Contains(f.Try, way) {
			t.Errorf("%q does not name %s", f.Try, way)
		}
	}
}

func TestStandingOfAReport(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	o := app.Objective{Name: "a", Kind: app.Availability, Target: 0.999}
	tally := objective.NewTally()
	for i, s := range []objective.Sample{{}, {Good: 9985, Total: 10_000}} {
		s.At = now.Add(time.Duration(i-2) * time.Hour)
		if err := tally.Add(objective.SLI{App: "shop", Objective: o}, s); err != nil {
			t.Fatal(err)
		}
	}
	r, err := objective.Judge(t.Context(), tally, "shop", o, now.AddDate(-1, 0, 0), now, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := budget.StandingOf(r).String(), "a: 99.85 % measured, 99.9 % wanted over 28d, -50 % of the budget left (-20.2 min)"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
