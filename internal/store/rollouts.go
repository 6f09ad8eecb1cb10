package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

type rolloutRow struct {
	bun.BaseModel `bun:"table:rollouts"`

	ID          rollout.ID         `bun:"id,pk"`
	App         app.ID             `bun:"app_id"`
	Number      int64              `bun:"number"` // rising per app: which of two came later
	Release     release.ID         `bun:"release_id"`
	From        release.ID         `bun:"from_id"`
	Strategy    app.StrategyKind   `bun:"strategy"`
	Spec        doc[app.Strategy]  `bun:"spec"`
	Step        int                `bun:"step"`
	Reached     stamp              `bun:"reached"`
	Moved       stamp              `bun:"moved"`
	Superseded  bool               `bun:"superseded"`
	Trip        doc[*route.Trip]   `bun:"trip"`
	MaxInFlight int                `bun:"max_in_flight"`
	State       rollout.State      `bun:"state"`
	Old         doc[[]run.GroupID] `bun:"old_groups"`
	New         doc[[]run.GroupID] `bun:"new_groups"`
	Beside      doc[[]run.GroupID] `bun:"beside_groups"`
	Reason      string             `bun:"reason"`
	Created     stamp              `bun:"created"`
	Ended       stamp              `bun:"ended"`
	Active      bool               `bun:"active"`
}

func rolloutRowOf(r rollout.Rollout, number int64) *rolloutRow {
	return &rolloutRow{
		ID: r.ID, App: r.App, Number: number, Release: r.Release, From: r.From, Strategy: r.Spec.Kind,
		Spec: doc[app.Strategy]{r.Spec}, Step: r.Step, Reached: stamp{r.Reached}, Moved: stamp{r.Moved},
		Superseded: r.Superseded, Trip: doc[*route.Trip]{r.Trip}, MaxInFlight: r.MaxInFlight, State: r.State,
		Old: doc[[]run.GroupID]{r.Old}, New: doc[[]run.GroupID]{r.New}, Beside: doc[[]run.GroupID]{r.Beside}, Reason: clean(r.Reason),
		Created: stamp{r.Created}, Ended: stamp{r.Ended}, Active: !r.State.Ended(),
	}
}

func (r rolloutRow) rollout() rollout.Rollout {
	spec := r.Spec.V
	if spec.Kind == "" { // stored by a version that knew one strategy
		spec = app.Strategy{Kind: r.Strategy}.Filled()
	}
	return rollout.Rollout{
		ID: r.ID, App: r.App, Release: r.Release, From: r.From, Spec: spec, Step: r.Step, Reached: r.Reached.Time, Moved: r.Moved.Time,
		Superseded: r.Superseded, Trip: r.Trip.V, MaxInFlight: r.MaxInFlight, State: r.State, Old: r.Old.V, New: r.New.V, Beside: r.Beside.V, Reason: r.Reason,
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
				WithTry("wait for it, or end it: naru rollout %s shows how far it is", owner.Name)
		}
		number, err := t.next(ctx, string(r.App), "rollout")
		if err != nil {
			return err
		}
		r.Created, r.Moved = t.Now, t.Now
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

// PrepareRollout moves a rollout from Preparing to Releasing and makes its new
// groups, of size 0, one for each process type. Routed ones have weight 0 where
// the strategy gives them traffic by steps. One that is not Preparing any more is
// returned as it is.
func (s *Store) PrepareRollout(ctx context.Context, id rollout.ID, processes []string) (r rollout.Rollout, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := rolloutByID(ctx, t.Tx, id)
		if r = row.rollout(); err != nil || r.State != rollout.Preparing {
			return err
		}
		r.New = nil
		for _, process := range processes {
			g := run.Group{App: r.App, Process: process, Release: r.Release}
			if process == app.Web && r.Spec.Doubles() && r.Spec.Kind != app.Rolling && len(r.Old) > 0 {
				g.Weight = new(int)
			}
			g, err := t.addGroup(ctx, s, g)
			if err != nil {
				return err
			}
			r.New = append(r.New, g.ID)
		}
		if r.Fresh() {
			g, err := t.addGroup(ctx, s, run.Group{App: r.App, Process: app.Web, Release: r.From, Weight: new(int)})
			if err != nil {
				return err
			}
			r.Beside = []run.GroupID{g.ID}
		}
		r.State, r.Moved = rollout.Releasing, t.Now
		return t.saveRollout(ctx, s, r, row.Number)
	})
	return r, err
}

// ShiftRollout sets sizes and weights of groups of a rollout.
func (s *Store) ShiftRollout(ctx context.Context, id rollout.ID, sizes []rollout.Resize, weights []rollout.Weigh) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := rolloutByID(ctx, t.Tx, id)
		if err != nil {
			return err
		}
		if row.State.Ended() {
			return fault.New(fault.Conflict, "rollout", "rollout %s has ended", id)
		}
		for _, w := range weights {
			g, err := t.weigh(ctx, s, w.Group, weightOf(w.To))
			if err != nil {
				return err
			}
			err = t.append(ctx, []event.Event{{
				Kind: "group.weighed", Actor: event.System, Subject: g.Name, Detail: map[string]any{"weight": w.To},
			}})
			if err != nil {
				return err
			}
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

// StepRollout notes that a rollout's step has what it asks for, or begins the
// next one. It changes nothing when the rollout has left the step meanwhile.
func (s *Store) StepRollout(ctx context.Context, id rollout.ID, step int, reached bool) (rollout.Rollout, error) {
	return s.changeRollout(ctx, id, func(r rollout.Rollout, now time.Time) (rollout.Rollout, bool, error) {
		switch {
		case r.State != rollout.Shifting:
		case reached && step == r.Step && r.Reached.IsZero():
			r.Reached = now
			return r, true, nil
		case !reached && step == r.Step+1:
			r.Step, r.Reached = step, time.Time{}
			return r, true, nil
		}
		return r, false, nil
	})
}

// SteerRollout does what somebody asks of a rollout.
func (s *Store) SteerRollout(ctx context.Context, id rollout.ID, action rollout.Action, actor string) (rollout.Rollout, error) {
	return s.changeRollout(ctx, id, func(r rollout.Rollout, now time.Time) (rollout.Rollout, bool, error) {
		out, err := r.Steer(action, actor, now)
		return out, err == nil && !reflect.DeepEqual(out, r), err
	})
}

// SupersedeRollout sends an app's rollout back for a later one; one that is only
// watched ends well instead. Without a rollout on its way it does nothing.
func (s *Store) SupersedeRollout(ctx context.Context, a app.ID, actor string) error {
	open, err := s.Rollouts(ctx, a, 1)
	if err != nil || len(open) == 0 || open[0].State.Ended() {
		return err
	}
	_, err = s.changeRollout(ctx, open[0].ID, func(r rollout.Rollout, now time.Time) (rollout.Rollout, bool, error) {
		switch {
		case r.State.Ended() || r.State == rollout.Aborting:
			return r, false, nil
		case r.State == rollout.Watching:
			out, err := r.Steer(rollout.Promote, actor, now)
			return out, true, err
		}
		out, err := r.Steer(rollout.Abort, actor, now)
		out.Superseded, out.Reason = true, "another push by "+actor
		return out, true, err
	})
	return err
}

// TripRollouts sends rollouts back whose guards tripped; what a gateway says
// again changes nothing.
func (s *Store) TripRollouts(ctx context.Context, trips []route.Trip) error {
	for _, trip := range trips {
		_, err := s.changeRollout(ctx, rollout.ID(trip.Key), func(r rollout.Rollout, now time.Time) (rollout.Rollout, bool, error) {
			out, ok := r.Tripped(trip, now)
			return out, ok, nil
		})
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// changeRollout changes a rollout where change says so, and records what it
// became.
func (s *Store) changeRollout(ctx context.Context, id rollout.ID, change func(rollout.Rollout, time.Time) (rollout.Rollout, bool, error)) (r rollout.Rollout, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := rolloutByID(ctx, t.Tx, id)
		if err != nil {
			return err
		}
		had := row.rollout()
		out, changed, err := change(had, t.Now)
		if r = out; err != nil || !changed {
			return err
		}
		if out.State != had.State {
			if err := checkMove("rollout "+string(id), had.State, out.State); err != nil {
				return err
			}
		}
		return t.saveRollout(ctx, s, out, row.Number)
	})
	return r, err
}

// MoveRollout moves a rollout to another state; reason says why. Moving to Done
// removes the old groups, and to RolledBack or Superseded the new ones, whose
// instances must be gone or linger. An illegal move is a Conflict; being there already is none.
func (s *Store) MoveRollout(ctx context.Context, id rollout.ID, to rollout.State, reason string) (r rollout.Rollout, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := rolloutByID(ctx, t.Tx, id)
		if r = row.rollout(); err != nil || r.State == to {
			return err
		}
		if err := checkMove("rollout "+string(id), r.State, to); err != nil {
			return err
		}
		r.State, r.Reason, r.Moved = to, reason, t.Now
		if to.Ended() {
			r.Ended = t.Now
		}
		var leaving []run.GroupID
		switch to {
		case rollout.Done:
			leaving = slices.Concat(r.Old, r.Beside)
			for _, group := range r.New { // alone, a group needs no weight
				if _, err := t.weigh(ctx, s, group, nil); err != nil && !fault.Is(err, fault.NotFound) {
					return err
				}
			}
		case rollout.RolledBack, rollout.Superseded:
			leaving = slices.Concat(r.New, r.Beside)
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
	detail := map[string]any{"rollout": string(r.ID), "strategy": string(r.Spec.Kind)}
	if r.State == rollout.Shifting && len(r.Spec.Steps) > 0 {
		detail["step"], detail["weight"] = r.Step, r.Weight()
	}
	if r.Reason != "" {
		detail["reason"] = r.Reason
	}
	return t.append(ctx, []event.Event{{
		Kind: event.Kind("rollout." + string(r.State)), Actor: event.System, Subject: owner.Name, Detail: detail,
	}})
}
