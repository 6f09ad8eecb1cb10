// Package gate decides whether an app may be changed while so much of its error
// budgets is left, keeps the tiers that decide it, and records what passed all the
// same. Package deliver asks it twice: before a push is taken, and before its
// operation changes anything.
package gate

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/budget"
	"naru/internal/judge/objective"
)

// Store keeps policies, tiers and overrides; *store.Store does.
type Store interface {
	Together(ctx context.Context, do func(ctx context.Context) error) error
	AppendEvents(ctx context.Context, evs ...event.Event) error
	App(ctx context.Context, a app.ID) (app.App, error)
	Policy(ctx context.Context, space app.SpaceID) (budget.Policy, error)
	SetPolicy(ctx context.Context, space app.SpaceID, p budget.Policy, by string, evs ...event.Event) error
	ClearPolicy(ctx context.Context, space app.SpaceID, evs ...event.Event) error
	BudgetTiers(ctx context.Context, a app.ID) (budget.Tiers, error)
	SetBudgetTiers(ctx context.Context, a app.ID, tiers budget.Tiers, evs ...event.Event) error
	BudgetOverride(ctx context.Context, a app.ID, now time.Time) (budget.Granted, error)
	OverrideBudget(ctx context.Context, a app.ID, g budget.Granted, evs ...event.Event) (budget.Granted, error)
	EndBudgetOverride(ctx context.Context, a app.ID, evs ...event.Event) error
}

// Reports says how far an app's objectives are met.
type Reports interface {
	Reports(ctx context.Context, a app.ID, now time.Time) ([]objective.Report, error)
	// Owners are the apps that have objectives.
	Owners(ctx context.Context) ([]app.ID, error)
}

// Gate decides.
type Gate struct {
	store   Store
	reports Reports
	now     func() time.Time
	log     *slog.Logger
}

// New makes a gate; Run keeps its tiers up to date.
func New(st Store, reports Reports, now func() time.Time, log *slog.Logger) *Gate {
	return &Gate{store: st, reports: reports, now: now, log: log}
}

// lookAfter is how often the budgets of all apps are looked at.
const lookAfter = time.Minute

// Run looks at the budgets of all apps, so that a tier is entered when it begins
// and not when somebody pushes next, until ctx ends.
func (g *Gate) Run(ctx context.Context) error {
	tick := time.NewTicker(lookAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := g.round(ctx); err != nil && ctx.Err() == nil {
			g.log.WarnContext(ctx, "look at error budgets", "error", err)
		}
	}
}

func (g *Gate) round(ctx context.Context) error {
	owners, err := g.reports.Owners(ctx)
	if err != nil {
		return err
	}
	for _, id := range owners {
		a, err := g.store.App(ctx, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err == nil {
			_, _, err = g.look(ctx, a)
		}
		if err != nil && ctx.Err() == nil {
			g.log.WarnContext(ctx, "look at error budgets", "app", id, "error", err)
		}
	}
	return ctx.Err()
}

// Policy is a space's policy, or the standard one where it has none of its own.
func (g *Gate) Policy(ctx context.Context, space app.SpaceID) (p budget.Policy, own bool, err error) {
	p, err = g.store.Policy(ctx, space)
	if fault.Is(err, fault.NotFound) {
		return budget.Standard, false, nil
	}
	return p, err == nil, err
}

// SetPolicy gives a space a policy of its own.
func (g *Gate) SetPolicy(ctx context.Context, space app.SpaceID, p budget.Policy, by string) error {
	if err := p.Check("policy"); err != nil {
		return err
	}
	return g.store.SetPolicy(ctx, space, p, by, event.Event{Kind: "policy.set", Actor: by, Detail: detailOf(p)})
}

// ClearPolicy gives a space the standard policy back.
func (g *Gate) ClearPolicy(ctx context.Context, space app.SpaceID, by string) error {
	detail := detailOf(budget.Standard)
	detail["standard"] = true
	return g.store.ClearPolicy(ctx, space, event.Event{Kind: "policy.set", Actor: by, Detail: detail})
}

func detailOf(p budget.Policy) map[string]any {
	return map[string]any{"warn": p.Warn, "canary": p.Canary, "freeze": p.Freeze, "margin": p.Margin}
}

// look measures an app's budgets and keeps the tiers that follow. What cannot be
// measured is known to nobody, so it holds back nothing: see budget.Policy.Next.
func (g *Gate) look(ctx context.Context, a app.App) (budget.Tiers, []budget.Standing, error) {
	reports, err := g.reports.Reports(ctx, a.ID, g.now())
	if err != nil {
		return nil, nil, err
	}
	standings := make([]budget.Standing, len(reports))
	for i, r := range reports {
		standings[i] = budget.StandingOf(r)
	}
	tiers, evs, changed, err := g.next(ctx, a, standings)
	if err != nil || !changed {
		return tiers, standings, err
	}
	// Somebody else may look at the same time: a tier is entered once.
	err = g.store.Together(ctx, func(ctx context.Context) error {
		if tiers, evs, changed, err = g.next(ctx, a, standings); err != nil || !changed {
			return err
		}
		return g.store.SetBudgetTiers(ctx, a.ID, tiers, evs...)
	})
	return tiers, standings, err
}

// next is the tiers that follow from the kept ones, and what is to be recorded of
// that.
func (g *Gate) next(ctx context.Context, a app.App, standings []budget.Standing) (tiers budget.Tiers, evs []event.Event, changed bool, err error) {
	policy, _, err := g.Policy(ctx, a.Space)
	if err != nil {
		return nil, nil, false, err
	}
	before, err := g.store.BudgetTiers(ctx, a.ID)
	if err != nil {
		return nil, nil, false, err
	}
	tiers = policy.Next(before, standings)
	return tiers, moved(a, before, tiers, standings), !maps.Equal(before, tiers), nil
}

// moved are the events of objectives whose tier is another one now.
func moved(a app.App, before, after budget.Tiers, standings []budget.Standing) []event.Event {
	var evs []event.Event
	for _, s := range standings {
		from, to := before[s.Objective], after[s.Objective]
		if from == "" {
			from = budget.Free // seen the first time
		}
		if from == to {
			continue
		}
		detail := map[string]any{"objective": s.Objective, "from": string(from), "to": string(to), "text": s.String()}
		if s.Known {
			detail["left"] = s.Left
		}
		evs = append(evs, event.Event{Kind: "budget.tier", Actor: event.System, Subject: a.Name, Detail: detail})
	}
	return evs
}

// Standing says which tier an app is in, and how much of each budget is left. What
// cannot be measured now is left out.
func (g *Gate) Standing(ctx context.Context, a app.App) (budget.Tier, []budget.Standing, error) {
	tiers, standings, err := g.look(ctx, a)
	if err != nil && ctx.Err() == nil && fault.Is(err, fault.Unavailable) {
		return budget.Free, nil, nil
	}
	return tiers.Strictest(), standings, err
}

// Tiers says the tier of each of an app's objectives, and how much is left of each.
func (g *Gate) Tiers(ctx context.Context, a app.App) (budget.Tiers, []budget.Standing, error) {
	return g.look(ctx, a)
}

// Owners are the apps that have objectives.
func (g *Gate) Owners(ctx context.Context) ([]app.ID, error) { return g.reports.Owners(ctx) }

// Ask answers a change. An override that holds is taken into account. The answer is
// also given where the budgets cannot be measured: then nothing is refused, and a
// warning says so.
func (g *Gate) Ask(ctx context.Context, a app.App, c budget.Change) (budget.Decision, budget.Change, error) {
	c.App = a.Name
	tiers, standings, err := g.look(ctx, a)
	if err != nil {
		if ctx.Err() != nil {
			return budget.Decision{}, c, err
		}
		g.log.WarnContext(ctx, "measure error budgets", "app", a.ID, "error", err)
		return budget.Decision{Allowed: true, Tier: budget.Free, Warnings: []string{"what is left of the error budgets is not known: " + fault.Of(err).Message}}, c, nil
	}
	if c.Override == nil {
		granted, err := g.Override(ctx, a)
		if err != nil {
			return budget.Decision{}, c, err
		}
		if granted != nil {
			c.Override = &budget.Override{By: granted.By, May: true, Reason: granted.Reason}
		}
	}
	return budget.Decide(tiers, standings, c), c, nil
}

// Refused records a refusal.
func (g *Gate) Refused(ctx context.Context, a app.App, d budget.Decision, actor string) error {
	return g.store.AppendEvents(ctx, event.Event{
		Kind: "push.refused", Actor: actor, Space: string(a.Space), App: string(a.ID), Subject: a.Name,
		Detail: map[string]any{"tier": string(d.Tier), "why": d.Why},
	})
}

// Passed records what passed though its tier forbids it.
func (g *Gate) Passed(ctx context.Context, a app.App, d budget.Decision, c budget.Change, actor string) error {
	detail := map[string]any{"tier": string(d.Tier), "by": d.Record, "why": d.Why}
	if d.Record == "override" && c.Override != nil {
		detail["reason"], detail["override_of"] = c.Override.Reason, c.Override.By
	}
	return g.store.AppendEvents(ctx, event.Event{
		Kind: "budget.passed", Actor: actor, Space: string(a.Space), App: string(a.ID), Subject: a.Name, Detail: detail,
	})
}

// How long an override may hold.
const (
	StandardOverride = 2 * time.Hour
	LongestOverride  = 7 * 24 * time.Hour
)

// Grant records that somebody who may lets an app's changes pass for some time.
func (g *Gate) Grant(ctx context.Context, a app.App, by, reason string, length time.Duration) (budget.Granted, error) {
	reason = strings.TrimSpace(reason)
	switch {
	case len([]rune(reason)) < budget.MinReason:
		return budget.Granted{}, fault.New(fault.Invalid, "reason", "an override needs a reason of %d characters or more", budget.MinReason).
			WithTry("naru policy override %s --reason \"WHY\"", a.Name)
	case length == 0:
		length = StandardOverride
	case length < time.Minute || length > LongestOverride:
		return budget.Granted{}, fault.New(fault.Invalid, "for", "an override holds from 1 minute to %d days (got %s)", int(LongestOverride.Hours()/24), length).
			WithTry("--for 2h")
	}
	until := g.now().Add(length).UTC()
	return g.store.OverrideBudget(ctx, a.ID, budget.Granted{By: by, Reason: reason, Until: until}, event.Event{
		Kind: "budget.overridden", Actor: by, Subject: a.Name, Detail: map[string]any{"reason": reason, "until": until.Format(time.RFC3339)},
	})
}

// Override is the override of an app that holds now; nil: none.
func (g *Gate) Override(ctx context.Context, a app.App) (*budget.Granted, error) {
	granted, err := g.store.BudgetOverride(ctx, a.ID, g.now())
	if fault.Is(err, fault.NotFound) {
		return nil, nil //nolint:nilnil // none holds
	}
	return &granted, err
}

// Revoke ends an app's override.
func (g *Gate) Revoke(ctx context.Context, a app.App, by string) error {
	return g.store.EndBudgetOverride(ctx, a.ID, event.Event{Kind: "budget.overridden", Actor: by, Subject: a.Name, Detail: map[string]any{"ended": true}})
}
