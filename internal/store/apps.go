package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
)

type appRow struct {
	bun.BaseModel `bun:"table:apps"`

	ID       app.ID              `bun:"id,pk"`
	Space    app.SpaceID         `bun:"space_id"`
	Name     string              `bun:"name"`
	Slug     string              `bun:"slug"`
	State    app.State           `bun:"state"`
	Draft    doc[app.Config]     `bun:"draft"`
	Image    string              `bun:"image_id"`
	Scale    doc[map[string]int] `bun:"scale"`
	Strategy doc[app.Strategy]   `bun:"strategy"`
	NoSSH    bool                `bun:"no_ssh"`
	Build    doc[app.Build]      `bun:"build"`
	Created  stamp               `bun:"created"`
	Updated  stamp               `bun:"updated"`
}

func appRowOf(a app.App) *appRow {
	return &appRow{
		ID: a.ID, Space: a.Space, Name: a.Name, Slug: a.Slug, State: a.State,
		Draft: doc[app.Config]{a.Draft}, Image: a.Image, Scale: doc[map[string]int]{a.Scale}, Strategy: doc[app.Strategy]{a.Strategy},
		Build: doc[app.Build]{a.Build}, NoSSH: a.NoSSH, Created: stamp{a.Created}, Updated: stamp{a.Updated},
	}
}

func (r appRow) app() app.App {
	return app.App{
		ID: r.ID, Space: r.Space, Name: r.Name, Slug: r.Slug, State: r.State,
		Draft: r.Draft.V, Image: r.Image, Scale: r.Scale.V, Strategy: r.Strategy.V, Build: r.Build.V, NoSSH: r.NoSSH, Created: r.Created.Time, Updated: r.Updated.Time,
	}
}

func noApp(name string) *fault.Error {
	return fault.New(fault.NotFound, "app", "app %q does not exist", name).WithTry("naru apps")
}

// CreateApp adds an app; Created and Updated are filled in. A name or slug that
// another app of the space has is a Conflict.
func (s *Store) CreateApp(ctx context.Context, a app.App, evs ...event.Event) (app.App, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if err := t.freeName(ctx, a); err != nil {
			return err
		}
		a.Created, a.Updated = t.Now, t.Now
		t.about(a.Space, a.ID)
		if _, err := t.NewInsert().Model(appRowOf(a)).Exec(ctx); err != nil {
			return fmt.Errorf("create app %s: %w", a.Name, err)
		}
		return nil
	})
	return a, err
}

// freeName refuses a name or slug that another app of the space has.
func (t *tx) freeName(ctx context.Context, a app.App) error {
	where, err := place(ctx, t.Tx, a.Space)
	if err != nil {
		return err
	}
	var other appRow
	err = t.NewSelect().Model(&other).Column("name").Where("space_id = ? AND id <> ?", a.Space, a.ID).
		Where("name = ? OR slug = ?", a.Name, a.Slug).Limit(1).Scan(ctx)
	none := fault.New(fault.NotFound, "", "free")
	switch err := found(err, none, "look for app "+a.Name); {
	case errors.Is(err, none):
		return nil
	case err != nil:
		return err
	case other.Name == a.Name:
		return fault.New(fault.Conflict, "name", "app %q exists already in %s", a.Name, where).
			WithTry("choose another name, or push to the app that is there")
	}
	return fault.New(fault.Conflict, "name", "app %q would have the host name %q of app %q in %s", a.Name, a.Slug, other.Name, where).
		WithTry("choose a name that differs in letters or digits")
}

// App returns an app by id.
func (s *Store) App(ctx context.Context, a app.ID) (app.App, error) {
	var row appRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", a).Scan(ctx)
	return row.app(), found(err, noApp(string(a)), "find app")
}

// AppNamed returns an app by the name people gave it in a space.
func (s *Store) AppNamed(ctx context.Context, space app.SpaceID, name string) (app.App, error) {
	var row appRow
	err := s.read(ctx).NewSelect().Model(&row).Where("space_id = ? AND name = ?", space, name).Scan(ctx)
	missing := noApp(name)
	err = found(err, missing, "find app "+name)
	if !errors.Is(err, missing) {
		return row.app(), err
	}
	where, err := place(ctx, s.read(ctx), space)
	if err != nil {
		return app.App{}, err
	}
	return app.App{}, fault.New(fault.NotFound, "app", "app %q does not exist in %s", name, where).WithTry("naru apps")
}

// AppFilter selects apps. They come by name, then id; a page goes on after the
// last app of the one before.
type AppFilter struct {
	Spaces    []app.SpaceID // nil: all; empty: none
	Names     []string      // exact; nil: all
	State     app.State     // "": any
	AfterName string        // with AfterID: the last app of the page before
	AfterID   app.ID
	Limit     int // 0: all
}

// Apps lists apps.
func (s *Store) Apps(ctx context.Context, f AppFilter) ([]app.App, error) {
	var rows []appRow
	q := f.where(s.read(ctx).NewSelect().Model(&rows)).Order("name", "id")
	if f.AfterID != "" {
		q.Where("(name, id) > (?, ?)", f.AfterName, f.AfterID)
	}
	if f.Limit > 0 {
		q.Limit(int64(f.Limit))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	return each(rows, appRow.app), nil
}

// AppsAfter lists at most limit apps of a space whose name is above after, by
// name.
func (s *Store) AppsAfter(ctx context.Context, space app.SpaceID, after string, limit int) ([]app.App, error) {
	var rows []appRow
	err := s.read(ctx).NewSelect().Model(&rows).Where("space_id = ? AND name > ?", space, after).Order("name").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	return each(rows, appRow.app), nil
}

// AppIDs lists the apps of all spaces, running or not.
func (s *Store) AppIDs(ctx context.Context) ([]app.ID, error) {
	var apps []app.ID
	if err := s.read(ctx).NewSelect().Model((*appRow)(nil)).Column("id").Order("id").Scan(ctx, &apps); err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	return apps, nil
}

// AppsByID returns those of the apps that exist, by name.
func (s *Store) AppsByID(ctx context.Context, apps ...app.ID) ([]app.App, error) {
	var rows []appRow
	if err := s.read(ctx).NewSelect().Model(&rows).Where("id IN (?)", in(apps)).Order("name", "id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	return each(rows, appRow.app), nil
}

// SpacesOfApps returns the space of every app.
func (s *Store) SpacesOfApps(ctx context.Context) (map[app.ID]app.SpaceID, error) {
	var rows []appRow
	if err := s.read(ctx).NewSelect().Model(&rows).Column("id", "space_id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	out := make(map[app.ID]app.SpaceID, len(rows))
	for _, r := range rows {
		out[r.ID] = r.Space
	}
	return out, nil
}

// CountApps counts the apps that a filter selects on all pages.
func (s *Store) CountApps(ctx context.Context, f AppFilter) (int, error) {
	n, err := f.where(s.read(ctx).NewSelect().Model((*appRow)(nil))).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count apps: %w", err)
	}
	return int(n), nil
}

func (f AppFilter) where(q *bun.SelectQuery) *bun.SelectQuery {
	if f.Spaces != nil {
		q.Where("space_id IN (?)", in(f.Spaces))
	}
	if f.Names != nil {
		q.Where("name IN (?)", in(f.Names))
	}
	if f.State != "" {
		q.Where("state = ?", f.State)
	}
	return q
}

// UpdateApp changes an app as change does: it reads, changes and writes in one
// transaction, so nobody else's change is lost. An error of change changes
// nothing and is returned. Events that name no subject are about the app.
func (s *Store) UpdateApp(ctx context.Context, a app.ID, change func(*app.App) error, evs ...event.Event) (out app.App, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		have, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		out = have
		if err := change(&out); err != nil {
			return err
		}
		if out.ID != have.ID || out.Space != have.Space {
			return errors.New("update app: its id and space stay")
		}
		if out.Name != have.Name || out.Slug != have.Slug {
			if err := t.freeName(ctx, out); err != nil {
				return err
			}
		}
		out.Created, out.Updated = have.Created, t.Now
		t.about(out.Space, out.ID)
		if _, err := t.NewUpdate().Model(appRowOf(out)).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("update app %s: %w", out.Name, err)
		}
		evs = slices.Clone(evs)
		for i := range evs {
			evs[i].Subject = cmp.Or(evs[i].Subject, out.Name)
		}
		return t.append(ctx, evs)
	})
	return out, err
}

// DeleteApp removes an app and all that belongs to it: secrets, images,
// releases, groups, instances, rollouts, tasks, its destinations, and the routes
// that lead nowhere else. Events and operations stay. Its instances must be
// gone from the machine: one that is neither Stopped nor Crashed is a Conflict.
func (s *Store) DeleteApp(ctx context.Context, a app.ID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		have, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(have.Space, a)
		t.touch(Routes)
		n, err := t.NewSelect().Model((*instanceRow)(nil)).Where("app_id = ? AND state NOT IN (?)", a, in(gone)).Count(ctx)
		if err != nil {
			return fmt.Errorf("delete app %s: %w", have.Name, err)
		}
		if n > 0 {
			return fault.New(fault.Conflict, "app", "app %q still has %d instances", have.Name, n).
				WithTry("naru stop %s", have.Name)
		}
		for _, sql := range []string{
			`DELETE FROM routes WHERE id IN (SELECT route_id FROM destinations WHERE app_id = ?0)
				AND NOT EXISTS (SELECT 1 FROM destinations d WHERE d.route_id = routes.id AND d.app_id <> ?0)`,
			`DELETE FROM counters WHERE owner = ?0`,
			`DELETE FROM apps WHERE id = ?0`, // the foreign keys remove the rest
		} {
			if _, err := t.NewRaw(sql, a).Exec(ctx); err != nil {
				return fmt.Errorf("delete app %s: %w", have.Name, err)
			}
		}
		return nil
	})
}
