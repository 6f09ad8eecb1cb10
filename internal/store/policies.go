package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/budget"
)

type policyRow struct {
	bun.BaseModel `bun:"table:policies"`

	Space   app.SpaceID        `bun:"space_id,pk"`
	Policy  doc[budget.Policy] `bun:"policy"`
	By      string             `bun:"by_name"`
	Updated stamp              `bun:"updated"`
}

type tierRow struct {
	bun.BaseModel `bun:"table:budget_tiers"`

	App       app.ID      `bun:"app_id,pk"`
	Objective string      `bun:"objective,pk"`
	Tier      budget.Tier `bun:"tier"`
	Since     stamp       `bun:"since"`
}

type overrideRow struct {
	bun.BaseModel `bun:"table:budget_overrides"`

	App     app.ID `bun:"app_id,pk"`
	By      string `bun:"by_name"`
	Reason  string `bun:"reason"`
	Created stamp  `bun:"created"`
	Until   stamp  `bun:"until"`
}

// Policy returns a space's error-budget policy; one that was never set is a
// NotFound.
func (s *Store) Policy(ctx context.Context, space app.SpaceID) (budget.Policy, error) {
	var row policyRow
	err := s.read(ctx).NewSelect().Model(&row).Where("space_id = ?", space).Scan(ctx)
	return row.Policy.V, found(err, fault.New(fault.NotFound, "policy", "the space has no policy of its own"), "find policy")
}

// SetPolicy gives a space an error-budget policy.
func (s *Store) SetPolicy(ctx context.Context, space app.SpaceID, p budget.Policy, by string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := s.Space(ctx, space); err != nil {
			return err
		}
		t.about(space, "")
		_, err := t.NewInsert().Model(&policyRow{Space: space, Policy: doc[budget.Policy]{p}, By: clean(by), Updated: stamp{t.Now}}).
			On("CONFLICT (space_id) DO UPDATE").Set("policy = EXCLUDED.policy").Set("by_name = EXCLUDED.by_name").Set("updated = EXCLUDED.updated").Exec(ctx)
		if err != nil {
			return fmt.Errorf("set policy: %w", err)
		}
		return nil
	})
}

// ClearPolicy takes a space's own policy away; where there is none that is no error.
func (s *Store) ClearPolicy(ctx context.Context, space app.SpaceID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		t.about(space, "")
		if _, err := t.NewDelete().Model((*policyRow)(nil)).Where("space_id = ?", space).Exec(ctx); err != nil {
			return fmt.Errorf("clear policy: %w", err)
		}
		return nil
	})
}

// BudgetTiers returns the tiers that an app's objectives are in; those that were
// never looked at are left out.
func (s *Store) BudgetTiers(ctx context.Context, a app.ID) (budget.Tiers, error) {
	var rows []tierRow
	if err := s.read(ctx).NewSelect().Model(&rows).Where("app_id = ?", a).Scan(ctx); err != nil {
		return nil, fmt.Errorf("list tiers: %w", err)
	}
	out := budget.Tiers{}
	for _, r := range rows {
		out[r.Objective] = r.Tier
	}
	return out, nil
}

// SetBudgetTiers replaces the tiers of an app. Tiers that are the same as before
// keep the time they were entered at.
func (s *Store) SetBudgetTiers(ctx context.Context, a app.ID, tiers budget.Tiers, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		had, err := s.BudgetTiers(ctx, a)
		if err != nil {
			return err
		}
		for objective := range had {
			if _, ok := tiers[objective]; ok {
				continue
			}
			if _, err := t.NewDelete().Model((*tierRow)(nil)).Where("app_id = ? AND objective = ?", a, objective).Exec(ctx); err != nil {
				return fmt.Errorf("forget tier of %s: %w", objective, err)
			}
		}
		for objective, tier := range tiers {
			if before, ok := had[objective]; ok && before == tier {
				continue
			}
			_, err := t.NewInsert().Model(&tierRow{App: a, Objective: objective, Tier: tier, Since: stamp{t.Now}}).
				On("CONFLICT (app_id, objective) DO UPDATE").Set("tier = EXCLUDED.tier").Set("since = EXCLUDED.since").Exec(ctx)
			if err != nil {
				return fmt.Errorf("set tier of %s: %w", objective, err)
			}
		}
		return nil
	})
}

// BudgetOverride returns the override of an app that holds at a time; where there
// is none it is a NotFound.
func (s *Store) BudgetOverride(ctx context.Context, a app.ID, now time.Time) (budget.Granted, error) {
	var row overrideRow
	err := s.read(ctx).NewSelect().Model(&row).Where("app_id = ? AND until > ?", a, stamp{now}).Scan(ctx)
	return budget.Granted{By: row.By, Reason: row.Reason, Created: row.Created.Time, Until: row.Until.Time},
		found(err, fault.New(fault.NotFound, "override", "no override holds"), "find override")
}

// OverrideBudget lets an app's changes pass until a time; a later one takes the
// place of an earlier one.
func (s *Store) OverrideBudget(ctx context.Context, a app.ID, g budget.Granted, evs ...event.Event) (budget.Granted, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		g.Created = t.Now
		_, err = t.NewInsert().Model(&overrideRow{App: a, By: clean(g.By), Reason: clean(g.Reason), Created: stamp{t.Now}, Until: stamp{g.Until}}).
			On("CONFLICT (app_id) DO UPDATE").Set("by_name = EXCLUDED.by_name").Set("reason = EXCLUDED.reason").
			Set("created = EXCLUDED.created").Set("until = EXCLUDED.until").Exec(ctx)
		if err != nil {
			return fmt.Errorf("override budget: %w", err)
		}
		return nil
	})
	return g, err
}

// EndBudgetOverride takes an override away; where there is none that is no error.
func (s *Store) EndBudgetOverride(ctx context.Context, a app.ID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		if _, err := t.NewDelete().Model((*overrideRow)(nil)).Where("app_id = ?", a).Exec(ctx); err != nil {
			return fmt.Errorf("end override: %w", err)
		}
		return nil
	})
}
