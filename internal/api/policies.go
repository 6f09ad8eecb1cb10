package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge/budget"
)

// Budgets says what may be changed while so much of an error budget is left, and
// keeps what a space wants of that.
type Budgets interface {
	// Policy is a space's, or the standard one where own is false.
	Policy(ctx context.Context, space app.SpaceID) (p budget.Policy, own bool, err error)
	SetPolicy(ctx context.Context, space app.SpaceID, p budget.Policy, by string) error
	ClearPolicy(ctx context.Context, space app.SpaceID, by string) error
	// Owners are the apps that have objectives.
	Owners(ctx context.Context) ([]app.ID, error)
	// Tiers says where each of an app's objectives stands.
	Tiers(ctx context.Context, a app.App) (budget.Tiers, []budget.Standing, error)
	// Override is the one that holds; nil: none.
	Override(ctx context.Context, a app.App) (*budget.Granted, error)
	Grant(ctx context.Context, a app.App, by, reason string, length time.Duration) (budget.Granted, error)
	Revoke(ctx context.Context, a app.App, by string) error
}

type pushCheckInput struct{ Body client.PushCheck }

func (s *server) checkPush(ctx context.Context, in *pushCheckInput) (client.PushPermit, error) {
	return s.Pushes.MayPush(ctx, requestOf(ctx).by(), at(ctx).space.ID, in.Body)
}

func (s *server) getPolicy(ctx context.Context, _ *nothing) (out client.SpacePolicy, err error) {
	here := at(ctx).space
	p, own, err := s.Budgets.Policy(ctx, here.ID)
	if err != nil {
		return out, err
	}
	out = client.SpacePolicy{BudgetPolicy: client.BudgetPolicy(p), Standard: !own, Apps: []client.AppBudget{}}
	owners, err := s.Budgets.Owners(ctx)
	if err != nil || len(owners) == 0 {
		return out, err
	}
	apps, err := s.Apps.AppsByID(ctx, owners...)
	if err != nil {
		return out, err
	}
	for _, a := range apps {
		if a.Space != here.ID {
			continue
		}
		one, err := s.budgetOf(ctx, a)
		if err != nil {
			return out, err
		}
		out.Apps = append(out.Apps, one)
	}
	slices.SortFunc(out.Apps, func(a, b client.AppBudget) int { return cmp.Compare(a.App, b.App) })
	return out, nil
}

// budgetOf is where an app stands. What cannot be measured now is said, and keeps
// nobody from seeing the rest.
func (s *server) budgetOf(ctx context.Context, a app.App) (client.AppBudget, error) {
	out := client.AppBudget{App: a.Name, Tier: string(budget.Free), Objectives: []client.ObjectiveBudget{}}
	granted, err := s.Budgets.Override(ctx, a)
	if err != nil {
		return out, err
	}
	if granted != nil {
		o := overrideOf(*granted)
		out.Override = &o
	}
	tiers, standings, err := s.Budgets.Tiers(ctx, a)
	if err != nil {
		if ctx.Err() != nil || !fault.Is(err, fault.Unavailable) {
			return out, err
		}
		out.Problem = fault.Of(err).Message
		return out, nil
	}
	out.Tier = string(tiers.Strictest())
	for _, st := range standings {
		o := client.ObjectiveBudget{Name: st.Objective, Tier: string(tiers[st.Objective]), Text: st.String()}
		if st.Known {
			left := st.Left
			o.Left = &left
		}
		out.Objectives = append(out.Objectives, o)
	}
	return out, nil
}

func overrideOf(g budget.Granted) client.Override {
	return client.Override{By: g.By, Reason: g.Reason, CreatedAt: g.Created, Until: g.Until}
}

type policyInput struct{ Body client.BudgetPolicy }

func (s *server) setPolicy(ctx context.Context, in *policyInput) (client.BudgetPolicy, error) {
	return in.Body, s.Budgets.SetPolicy(ctx, at(ctx).space.ID, budget.Policy(in.Body), requestOf(ctx).by().Actor)
}

func (s *server) clearPolicy(ctx context.Context, _ *nothing) error {
	return s.Budgets.ClearPolicy(ctx, at(ctx).space.ID, requestOf(ctx).by().Actor)
}

type overrideInput struct{ Body client.NewOverride }

func (s *server) overrideBudget(ctx context.Context, in *overrideInput) (client.Override, error) {
	g, err := s.Budgets.Grant(ctx, at(ctx).app, requestOf(ctx).by().Actor, in.Body.Reason, time.Duration(in.Body.For))
	return overrideOf(g), err
}

func (s *server) endOverride(ctx context.Context, _ *nothing) error {
	return s.Budgets.Revoke(ctx, at(ctx).app, requestOf(ctx).by().Actor)
}
