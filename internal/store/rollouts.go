package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
)

type rolloutRow struct {
	bun.BaseModel `bun:"table:rollouts"`

	ID          rollout.ID         `bun:"id,pk"`
	App         app.ID             `bun:"app_id"`
	Number      int64              `bun:"number"` // rising per app: which of two came later
	Release     release.ID         `bun:"release_id"`
	From        release.ID         `bun:"from_id"`
	Strategy    rollout.Strategy   `bun:"strategy"`
	MaxInFlight int                `bun:"max_in_flight"`
	State       rollout.State      `bun:"state"`
	Old         doc[[]run.GroupID] `bun:"old_groups"`
	New         doc[[]run.GroupID] `bun:"new_groups"`
	Reason      string             `bun:"reason"`
	Created     stamp              `bun:"created"`
	Ended       stamp              `bun:"ended"`
	Active      bool               `bun:"active"`
}

func rolloutRowOf(r rollout.Rollout, number int64) *rolloutRow {
	return &rolloutRow{
		ID: r.ID, App: r.App, Number: number, Release: r.Release, From: r.From, Strategy: r.Strategy,
		MaxInFlight: r.MaxInFlight, State: r.State,
		Old: doc[[]run.GroupID]{r.Old}, New: doc[[]run.GroupID]{r.New}, Reason: clean(r.Reason),
		Created: stamp{r.Created}, Ended: stamp{r.Ended}, Active: !r.State.Ended(),
	}
}

func (r rolloutRow) rollout() rollout.Rollout {
	return rollout.Rollout{
		ID: r.ID, App: r.App, Release: r.Release, From: r.From, Strategy: r.Strategy,
		MaxInFlight: r.MaxInFlight, State: r.State, Old: r.Old.V, New: r.New.V, Reason: r.Reason,
		Created: r.Created.Time, Ended: r.Ended.Time,
	}
}

func noRollout(id rollout.ID) *fault.Error {
	return fault.New(fault.NotFound, "rollout", "rollout %s does not exist", id)
}

// StartRollout stores a rollout, Created filled in. A second one of an app is a
// Conflict while the first is not ended.
func (s *Store) StartRollout(ctx context.Context, r rollout.Rollout, evs ...event.Event) (rollout.Rollout, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, r.App)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		busy, err := t.NewSelect().Model((*rolloutRow)(nil)).Where("app_id = ? AND active", r.App).Exists(ctx)
		if err != nil {
			return fmt.Errorf("start rollout of %s: %w", owner.Name, err)
		}
		if busy && !r.State.Ended() {
			return fault.New(fault.Conflict, "app", "another rollout of app %q is not finished", owner.Name).
				WithTry("wait for it, or cancel it: naru app %s shows how far it is", owner.Name)
		}
		number, err := t.next(ctx, string(r.App), "rollout")
		if err != nil {
			return err
		}
		r.Created = t.Now
		if _, err := t.NewInsert().Model(rolloutRowOf(r, number)).Exec(ctx); err != nil {
			return fmt.Errorf("start rollout of %s: %w", owner.Name, err)
		}
		return nil
	})
	return r, err
}

// Rollout returns a rollout by id.
func (s *Store) Rollout(ctx context.Context, id rollout.ID) (rollout.Rollout, error) {
	row, err := rolloutByID(ctx, s.read(ctx), id)
	return row.rollout(), err
}

func rolloutByID(ctx context.Context, db bun.IDB, id rollout.ID) (row rolloutRow, err error) {
	err = db.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	return row, found(err, noRollout(id), "find rollout")
}

// Rollouts lists an app's rollouts, newest first, at most limit; all for 0.
func (s *Store) Rollouts(ctx context.Context, a app.ID, limit int) ([]rollout.Rollout, error) {
	var rows []rolloutRow
	q := s.read(ctx).NewSelect().Model(&rows).Where("app_id = ?", a).Order("number DESC")
	if limit > 0 {
		q.Limit(int64(limit))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list rollouts: %w", err)
	}
	return each(rows, rolloutRow.rollout), nil
}

// PrepareRollout moves a rollout from Preparing to Shifting and makes its new
// groups, of size 0, one for each process type. One that is not Preparing any
// more is returned as it is.
func (s *Store) PrepareRollout(ctx context.Context, id rollout.ID, processes []string) (r rollout.Rollout, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := rolloutByID(ctx, t.Tx, id)
		if r = row.rollout(); err != nil || r.State != rollout.Preparing {
			return err
		}
		r.New = nil
		for _, process := range processes {
			g, err := t.addGroup(ctx, s, run.Group{App: r.App, Process: process, Release: r.Release})
			if err != nil {
				return err
			}
			r.New = append(r.New, g.ID)
		}
		r.State = rollout.Shifting
		return t.saveRollout(ctx, s, r, row.Number)
	})
	return r, err
}

// ShiftRollout sets the sizes of groups of a rollout.
func (s *Store) ShiftRollout(ctx context.Context, id rollout.ID, sizes []rollout.Resize) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := rolloutByID(ctx, t.Tx, id)
		if err != nil {
			return err
		}
		if row.State.Ended() {
			return fault.New(fault.Conflict, "rollout", "rollout %s has ended", id)
		}
		for _, size := range sizes {
			g, err := t.resize(ctx, s, size.Group, size.To)
			if err != nil {
				return err
			}
			err = t.append(ctx, []event.Event{{
				Kind: "group.resized", Actor: event.System, Subject: g.Name, Detail: map[string]any{"size": g.Size},
			}})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// MoveRollout moves a rollout to another state; reason says why. Moving to Done
// removes the old groups and to RolledBack the new ones, all of which must be
// empty. An illegal move is a Conflict; being there already is none.
func (s *Store) MoveRollout(ctx context.Context, id rollout.ID, to rollout.State, reason string) (r rollout.Rollout, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := rolloutByID(ctx, t.Tx, id)
		if r = row.rollout(); err != nil || r.State == to {
			return err
		}
		if err := checkMove("rollout "+string(id), r.State, to); err != nil {
			return err
		}
		r.State, r.Reason = to, reason
		if to.Ended() {
			r.Ended = t.Now
		}
		var leaving []run.GroupID
		switch to {
		case rollout.Done:
			leaving = r.Old
		case rollout.RolledBack:
			leaving = r.New
		}
		for _, group := range leaving {
			if err := t.deleteGroup(ctx, group); err != nil {
				return err
			}
		}
		return t.saveRollout(ctx, s, r, row.Number)
	})
	return r, err
}

// saveRollout writes a rollout that moved and records the move.
func (t *tx) saveRollout(ctx context.Context, s *Store, r rollout.Rollout, number int64) error {
	owner, err := s.App(ctx, r.App)
	if err != nil {
		return err
	}
	t.about(owner.Space, owner.ID)
	if _, err := t.NewUpdate().Model(rolloutRowOf(r, number)).WherePK().Exec(ctx); err != nil {
		return fmt.Errorf("move rollout of %s: %w", owner.Name, err)
	}
	detail := map[string]any{"rollout": string(r.ID)}
	if r.Reason != "" {
		detail["reason"] = r.Reason
	}
	return t.append(ctx, []event.Event{{
		Kind: event.Kind("rollout." + string(r.State)), Actor: event.System, Subject: owner.Name, Detail: detail,
	}})
}
