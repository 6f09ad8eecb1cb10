package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/release"
	"naru/internal/run"
)

type groupRow struct {
	bun.BaseModel `bun:"table:server_groups"`

	ID       run.GroupID `bun:"id,pk"`
	App      app.ID      `bun:"app_id"`
	Space    app.SpaceID `bun:"space_id"`
	Process  string      `bun:"process"`
	Name     string      `bun:"name"`
	Sequence int         `bun:"sequence"`
	Release  release.ID  `bun:"release_id"`
	Size     int         `bun:"size"`
	Weight   int         `bun:"weight"` // -1: none given; retired: the group is
	Created  stamp       `bun:"created"`
}

func (r groupRow) group() run.Group {
	return run.Group{
		ID: r.ID, App: r.App, Space: r.Space, Process: r.Process, Name: r.Name,
		Sequence: r.Sequence, Release: r.Release, Size: r.Size, Weight: weightOf(r.Weight), Retired: r.Weight == retired, Created: r.Created.Time,
	}
}

// retired stands in the place of a group's weight when it will not get one again.
const retired = -2

func weightOf(column int) *int {
	if column == retired {
		return new(int)
	}
	if column < 0 {
		return nil
	}
	return &column
}

func weightColumn(weight *int) int {
	if weight == nil {
		return -1
	}
	return *weight
}

func noGroup(name string) *fault.Error {
	return fault.New(fault.NotFound, "group", "server group %q does not exist", name).WithTry("naru app APP")
}

// CreateGroup adds a group of an app. Its sequence, name, space and, where it is
// empty, its id are filled in; a sequence comes again after a thousand
// groups.
func (s *Store) CreateGroup(ctx context.Context, g run.Group, evs ...event.Event) (run.Group, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) (err error) {
		g, err = t.addGroup(ctx, s, g)
		return err
	})
	return g, err
}

func (t *tx) addGroup(ctx context.Context, s *Store, g run.Group) (run.Group, error) {
	owner, err := s.App(ctx, g.App)
	if err != nil {
		return g, err
	}
	t.about(owner.Space, owner.ID)
	sequence, err := t.freeSequence(ctx, g)
	if err != nil {
		return g, err
	}
	if g.ID == "" {
		g.ID = run.GroupID(id.New())
	}
	g.Space, g.Sequence, g.Created = owner.Space, sequence, t.Now
	g.Name = run.GroupName(owner.Slug, g.Process, g.Sequence)
	_, err = t.NewInsert().Model(&groupRow{
		ID: g.ID, App: g.App, Space: g.Space, Process: g.Process, Name: g.Name,
		Sequence: g.Sequence, Release: g.Release, Size: g.Size, Weight: weightColumn(g.Weight), Created: stamp{t.Now},
	}).Exec(ctx)
	if err != nil {
		return g, fmt.Errorf("create group %s: %w", g.Name, err)
	}
	return g, nil
}

// freeSequence is the next sequence of an app and process type: one more than
// the last, from 0 again after the highest, and past those that are taken.
func (t *tx) freeSequence(ctx context.Context, g run.Group) (int, error) {
	for range run.MaxSequence + 1 {
		n, err := t.next(ctx, string(g.App), "group/"+g.Process)
		if err != nil {
			return 0, err
		}
		sequence := int(n % (run.MaxSequence + 1))
		taken, err := t.NewSelect().Model((*groupRow)(nil)).Where("app_id = ? AND process = ? AND sequence = ?", g.App, g.Process, sequence).Exists(ctx)
		if err != nil {
			return 0, fmt.Errorf("find a sequence: %w", err)
		}
		if !taken {
			return sequence, nil
		}
	}
	return 0, fault.New(fault.Conflict, "group", "all %d server groups of %s are taken", run.MaxSequence+1, g.Process).
		WithTry("naru groups APP; naru group destroy APP GROUP")
}

// WeighGroup sets the weight of a group, 0 to 100, or takes it away with nil.
func (s *Store) WeighGroup(ctx context.Context, group run.GroupID, weight *int, evs ...event.Event) (g run.Group, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		g, err = t.weigh(ctx, s, group, weight)
		return err
	})
	return g, err
}

func (t *tx) weigh(ctx context.Context, s *Store, group run.GroupID, weight *int) (run.Group, error) {
	if column := weightColumn(weight); column < -1 || column > 100 {
		return run.Group{}, fault.New(fault.Invalid, "weight", "%d is not a weight", column).WithTry("use 0 to 100")
	}
	g, err := s.Group(ctx, group)
	if err != nil {
		return g, err
	}
	t.about(g.Space, g.App)
	g.Weight = weight
	_, err = t.NewUpdate().Model((*groupRow)(nil)).Set("weight = ?", weightColumn(weight)).Where("id = ?", group).Exec(ctx)
	if err != nil {
		return g, fmt.Errorf("weigh group %s: %w", g.Name, err)
	}
	return g, nil
}

// Group returns a group by id.
func (s *Store) Group(ctx context.Context, group run.GroupID) (run.Group, error) {
	var row groupRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", group).Scan(ctx)
	return row.group(), found(err, noGroup(string(group)), "find group")
}

// Groups lists an app's groups by process type, then sequence.
func (s *Store) Groups(ctx context.Context, a app.ID) ([]run.Group, error) {
	return s.GroupsOfApps(ctx, a)
}

// GroupsOfApps lists the groups of several apps by app, process type, sequence.
func (s *Store) GroupsOfApps(ctx context.Context, apps ...app.ID) ([]run.Group, error) {
	var rows []groupRow
	err := s.read(ctx).NewSelect().Model(&rows).Where("app_id IN (?)", in(apps)).Order("app_id", "process", "sequence").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	return each(rows, groupRow.group), nil
}

// LiveApps returns the apps that have a group or an instance that is not
// Stopped.
func (s *Store) LiveApps(ctx context.Context) ([]app.ID, error) {
	var apps []app.ID
	err := s.read(ctx).NewRaw(`SELECT app_id FROM server_groups
		UNION SELECT app_id FROM instances WHERE state <> ? ORDER BY app_id`, run.Stopped).Scan(ctx, &apps)
	if err != nil {
		return nil, fmt.Errorf("list live apps: %w", err)
	}
	return apps, nil
}

// ResizeGroup sets how many instances of a group are wanted.
func (s *Store) ResizeGroup(ctx context.Context, group run.GroupID, size int, evs ...event.Event) (g run.Group, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		g, err = t.resize(ctx, s, group, size)
		return err
	})
	return g, err
}

func (t *tx) resize(ctx context.Context, s *Store, group run.GroupID, size int) (run.Group, error) {
	if size < 0 {
		return run.Group{}, fault.New(fault.Invalid, "size", "a group cannot have %d instances", size)
	}
	g, err := s.Group(ctx, group)
	if err != nil {
		return g, err
	}
	t.about(g.Space, g.App)
	g.Size = size
	_, err = t.NewUpdate().Model((*groupRow)(nil)).Set("size = ?", size).Where("id = ?", group).Exec(ctx)
	if err != nil {
		return g, fmt.Errorf("resize group %s: %w", g.Name, err)
	}
	return g, nil
}

// deleteGroup removes a group and the record of its instances, or, while some of
// them linger, retires it: it is removed with the last of them. One that has
// others is a Conflict.
func (t *tx) deleteGroup(ctx context.Context, group run.GroupID) error {
	var left []run.State
	err := t.NewSelect().Model((*instanceRow)(nil)).Column("state").Where("group_id = ? AND state NOT IN (?)", group, in(gone)).Scan(ctx, &left)
	if err != nil {
		return fmt.Errorf("delete group: %w", err)
	}
	if slices.ContainsFunc(left, func(s run.State) bool { return s != run.Lingering }) {
		return fault.New(fault.Conflict, "group", "server group %s still has %d instances", group, len(left))
	}
	if len(left) > 0 {
		_, err := t.NewUpdate().Model((*groupRow)(nil)).Set("weight = ?, size = 0", retired).Where("id = ?", group).Exec(ctx)
		if err != nil {
			return fmt.Errorf("retire group: %w", err)
		}
		return nil
	}
	if _, err := t.NewDelete().Model((*groupRow)(nil)).Where("id = ?", group).Exec(ctx); err != nil {
		return fmt.Errorf("delete group: %w", err)
	}
	return nil
}

// lastLeft removes a retired group whose last instance has gone.
func (t *tx) lastLeft(ctx context.Context, g run.Group) error {
	if !g.Retired {
		return nil
	}
	some, err := t.NewSelect().Model((*instanceRow)(nil)).Where("group_id = ? AND state NOT IN (?)", g.ID, in(gone)).Exists(ctx)
	if err != nil || some {
		return err
	}
	return t.deleteGroup(ctx, g.ID)
}

// DeleteGroup removes a group whose instances are gone, or only linger: then it
// is retired, and removed with the last of them. One that is not there is no
// error.
func (s *Store) DeleteGroup(ctx context.Context, group run.GroupID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		g, err := s.Group(ctx, group)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		t.about(g.Space, g.App)
		return t.deleteGroup(ctx, group)
	})
}
