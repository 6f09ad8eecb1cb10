package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/run"
)

type instanceRow struct {
	bun.BaseModel `bun:"table:instances"`

	ID       run.InstanceID `bun:"id,pk"`
	Group    run.GroupID    `bun:"group_id"`
	App      app.ID         `bun:"app_id"`
	Index    int            `bun:"position"`
	State    run.State      `bun:"state"`
	Addr     string         `bun:"addr"`
	Restarts int            `bun:"restarts"`
	Crashes  int            `bun:"crashes"`
	Created  stamp          `bun:"created"`
	Started  stamp          `bun:"started"`
	Since    stamp          `bun:"since"`
	Drained  bool           `bun:"drained"`
	LastExit doc[*run.Exit] `bun:"last_exit"`
}

func instanceRowOf(i run.Instance, a app.ID) *instanceRow {
	return &instanceRow{
		ID: i.ID, Group: i.Group, App: a, Index: i.Index, State: i.State, Addr: i.Addr,
		Restarts: i.Restarts, Crashes: i.Crashes,
		Created: stamp{i.Created}, Started: stamp{i.Started}, Since: stamp{i.Since},
		Drained: i.Drained, LastExit: doc[*run.Exit]{i.LastExit},
	}
}

func (r instanceRow) instance() run.Instance {
	return run.Instance{
		ID: r.ID, Group: r.Group, Index: r.Index, State: r.State, Addr: r.Addr,
		Restarts: r.Restarts, Crashes: r.Crashes,
		Created: r.Created.Time, Started: r.Started.Time, Since: r.Since.Time,
		Drained: r.Drained, LastExit: r.LastExit.V,
	}
}

// gone are the states in which nothing of an instance is left on the machine.
var gone = []run.State{run.Stopped, run.Crashed}

func noInstance(id run.InstanceID) *fault.Error {
	return fault.New(fault.NotFound, "instance", "instance %s does not exist", id).WithTry("naru app APP")
}

// AddInstance stores the intent to start an instance, which is Pending or, where
// the start follows at once, Starting. It is a Conflict when its index is held by
// a live instance.
func (s *Store) AddInstance(ctx context.Context, i run.Instance) error {
	return s.AddInstances(ctx, i)
}

// AddInstances does what AddInstance does for several in one transaction: all of
// them or none.
func (s *Store) AddInstances(ctx context.Context, all ...run.Instance) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		for _, i := range all {
			if err := t.addInstance(ctx, s, i); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) addInstance(ctx context.Context, s *Store, i run.Instance) error {
	g, err := s.Group(ctx, i.Group)
	if err != nil {
		return err
	}
	if i.State != run.Pending && i.State != run.Starting {
		return fmt.Errorf("add instance %s: it is %s, not %s or %s", i.ID, i.State, run.Pending, run.Starting)
	}
	var same []instanceRow
	err = t.NewSelect().Model(&same).Where("group_id = ? AND position = ? AND state <> ?", i.Group, i.Index, run.Stopped).Scan(ctx)
	if err != nil {
		return fmt.Errorf("add instance %s: %w", i.ID, err)
	}
	for _, other := range same {
		if other.State.Live() {
			return fault.New(fault.Conflict, "index", "instance %d of %s runs already (%s)", i.Index, g.Name, other.ID)
		}
	}
	t.about(g.Space, g.App)
	if _, err := t.NewInsert().Model(instanceRowOf(i, g.App)).Exec(ctx); err != nil {
		return fmt.Errorf("add instance %s: %w", i.ID, err)
	}
	return nil
}

// ReplaceInstance moves old from Crashed to Stopped and adds the one in its
// place.
func (s *Store) ReplaceInstance(ctx context.Context, old run.InstanceID, i run.Instance) error {
	return s.Together(ctx, func(ctx context.Context) error {
		_, err := s.UpdateInstance(ctx, old, func(have run.Instance, now time.Time) (run.Instance, error) {
			return have.Move(run.Stopped, now)
		})
		if err != nil {
			return err
		}
		return s.AddInstance(ctx, i)
	})
}

// UpdateInstance changes an instance as change does, which is told the time of
// the transaction; an illegal move of its state is a Conflict. A move that people
// should know of is recorded as an event "instance.STATE".
func (s *Store) UpdateInstance(ctx context.Context, id run.InstanceID, change func(run.Instance, time.Time) (run.Instance, error)) (out run.Instance, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		var row instanceRow
		err := t.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
		if err := found(err, noInstance(id), "find instance"); err != nil {
			return err
		}
		have := row.instance()
		if out, err = change(row.instance(), t.Now); err != nil {
			return err
		}
		if out.ID != have.ID || out.Group != have.Group || out.Index != have.Index {
			return errors.New("update instance: its id, group and index stay")
		}
		if err := checkMove("instance "+string(id), have.State, out.State); err != nil {
			return err
		}
		if reflect.DeepEqual(have, out) {
			return nil
		}
		g, err := s.Group(ctx, out.Group)
		if err != nil {
			return err
		}
		t.about(g.Space, g.App)
		if _, err := t.NewUpdate().Model(instanceRowOf(out, g.App)).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("update instance %s: %w", id, err)
		}
		if out.State == have.State {
			return nil
		}
		if err := t.append(ctx, moved(g, have, out)); err != nil {
			return err
		}
		if slices.Contains(gone, out.State) {
			return t.lastLeft(ctx, g)
		}
		return nil
	})
	return out, err
}

// moved is the event of an instance that became healthy, unhealthy, or ended.
func moved(g run.Group, from, to run.Instance) []event.Event {
	detail := map[string]any{"instance": string(to.ID), "index": to.Index, "process": g.Process, "group": g.Name, "from": string(from.State)}
	switch to.State {
	case run.Healthy, run.Unhealthy:
	case run.Stopped:
		if from.State == run.Crashed || from.State == run.Pending {
			return nil // its end was told when it crashed, or it never was there
		}
	case run.Crashed:
		detail["crashes"] = to.Crashes
		if to.LastExit != nil {
			detail["reason"], detail["code"] = to.LastExit.Reason, to.LastExit.Code
		}
	default:
		return nil
	}
	return []event.Event{{
		Kind: event.Kind("instance." + string(to.State)), Actor: event.System,
		Subject: fmt.Sprintf("%s/%d", g.Name, to.Index), Detail: detail,
	}}
}

// Instance returns an instance by id.
func (s *Store) Instance(ctx context.Context, id run.InstanceID) (run.Instance, error) {
	var row instanceRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	return row.instance(), found(err, noInstance(id), "find instance")
}

// Instances lists an app's instances that are not Stopped, by group, index, id.
func (s *Store) Instances(ctx context.Context, a app.ID) ([]run.Instance, error) {
	return s.instances(ctx, s.read(ctx).NewSelect().Where("app_id = ?", a))
}

// InstancesIn lists the instances of groups that are not Stopped, by group,
// index, id.
func (s *Store) InstancesIn(ctx context.Context, groups ...run.GroupID) ([]run.Instance, error) {
	return s.instances(ctx, s.read(ctx).NewSelect().Where("group_id IN (?)", in(groups)))
}

func (s *Store) instances(ctx context.Context, q *bun.SelectQuery) ([]run.Instance, error) {
	var rows []instanceRow
	err := q.Model(&rows).Where("state <> ?", run.Stopped).Order("group_id", "position", "id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	return each(rows, instanceRow.instance), nil
}

// HasInstance reports whether an instance, or a task's instance, may still have
// something on the machine.
func (s *Store) HasInstance(ctx context.Context, id run.InstanceID) (yes bool, err error) {
	yes, err = s.read(ctx).NewSelect().Model((*instanceRow)(nil)).Where("id = ? AND state NOT IN (?)", id, in(gone)).Exists(ctx)
	if err == nil && !yes {
		yes, err = s.read(ctx).NewSelect().Model((*taskRow)(nil)).Where("instance = ? AND ended = 0", id).Exists(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("look for instance %s: %w", id, err)
	}
	return yes, nil
}
