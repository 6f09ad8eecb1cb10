package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
)

type orgRow struct {
	bun.BaseModel `bun:"table:orgs"`

	ID      app.OrgID `bun:"id,pk"`
	Name    string    `bun:"name"`
	Created stamp     `bun:"created"`
}

func (r orgRow) org() app.Org { return app.Org{ID: r.ID, Name: r.Name, Created: r.Created.Time} }

type spaceRow struct {
	bun.BaseModel `bun:"table:spaces"`

	ID        app.SpaceID `bun:"id,pk"`
	Org       app.OrgID   `bun:"org_id"`
	Name      string      `bun:"name"`
	AllowRoot bool        `bun:"allow_root"`
	NoSSH     bool        `bun:"no_ssh"`
	Created   stamp       `bun:"created"`
}

func spaceRowOf(s app.Space) *spaceRow {
	return &spaceRow{ID: s.ID, Org: s.Org, Name: s.Name, AllowRoot: s.AllowRoot, NoSSH: s.NoSSH, Created: stamp{s.Created}}
}

func (r spaceRow) space() app.Space {
	return app.Space{ID: r.ID, Org: r.Org, Name: r.Name, AllowRoot: r.AllowRoot, NoSSH: r.NoSSH, Created: r.Created.Time}
}

// Bootstrap makes the organisation and the space that exist from the first
// start, and returns them; what is there already stays as it is.
func (s *Store) Bootstrap(ctx context.Context) (org app.Org, space app.Space, err error) {
	err = s.Together(ctx, func(ctx context.Context) error {
		org, err = s.OrgNamed(ctx, app.DefaultOrg)
		if fault.Is(err, fault.NotFound) {
			org, err = s.CreateOrg(ctx, app.DefaultOrg,
				event.Event{Kind: "org.created", Actor: event.System, Subject: app.DefaultOrg})
		}
		if err != nil {
			return err
		}
		space, err = s.SpaceNamed(ctx, app.DefaultOrg, app.DefaultSpace)
		if fault.Is(err, fault.NotFound) {
			space, err = s.CreateSpace(ctx, org.ID, app.DefaultSpace,
				event.Event{Kind: "space.created", Actor: event.System, Subject: app.DefaultOrg + "/" + app.DefaultSpace})
		}
		return err
	})
	return org, space, err
}

// CreateOrg makes an organisation. A taken name is a Conflict.
func (s *Store) CreateOrg(ctx context.Context, name string, evs ...event.Event) (org app.Org, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		taken, err := t.NewSelect().Model((*orgRow)(nil)).Where("name = ?", name).Exists(ctx)
		if err != nil {
			return fmt.Errorf("create org %s: %w", name, err)
		}
		if taken {
			return fault.New(fault.Conflict, "name", "the organisation %q exists already", name).WithTry("naru orgs")
		}
		org = app.Org{ID: app.OrgID(id.New()), Name: name, Created: t.Now}
		if _, err = t.NewInsert().Model(&orgRow{ID: org.ID, Name: name, Created: stamp{t.Now}}).Exec(ctx); err != nil {
			return fmt.Errorf("create org %s: %w", name, err)
		}
		return nil
	})
	return org, err
}

// Org returns an organisation by id.
func (s *Store) Org(ctx context.Context, org app.OrgID) (app.Org, error) {
	return s.org(ctx, "id = ?", string(org))
}

// OrgNamed returns an organisation by name.
func (s *Store) OrgNamed(ctx context.Context, name string) (app.Org, error) {
	return s.org(ctx, "name = ?", name)
}

func (s *Store) org(ctx context.Context, where, value string) (app.Org, error) {
	var row orgRow
	err := s.read(ctx).NewSelect().Model(&row).Where(where, value).Scan(ctx)
	return row.org(), found(err, noOrg(value), "find org "+value)
}

func noOrg(name string) *fault.Error {
	return fault.New(fault.NotFound, "org", "organisation %q does not exist", name).WithTry("naru orgs")
}

// Orgs lists all organisations by name.
func (s *Store) Orgs(ctx context.Context) ([]app.Org, error) {
	var rows []orgRow
	if err := s.read(ctx).NewSelect().Model(&rows).Order("name").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list orgs: %w", err)
	}
	return each(rows, orgRow.org), nil
}

// DeleteOrg removes an organisation that has no space left, and the roles in it.
func (s *Store) DeleteOrg(ctx context.Context, org app.OrgID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		n, err := t.NewSelect().Model((*spaceRow)(nil)).Where("org_id = ?", org).Count(ctx)
		if err != nil {
			return fmt.Errorf("delete org %s: %w", org, err)
		}
		if n > 0 {
			return fault.New(fault.Conflict, "org", "the organisation still has %d spaces", n).
				WithTry("delete its spaces first")
		}
		res, err := t.NewDelete().Model((*orgRow)(nil)).Where("id = ?", org).Exec(ctx)
		if err := changed(res, err, noOrg(string(org)), "delete org"); err != nil {
			return err
		}
		if _, err := t.NewDelete().Model((*grantRow)(nil)).Where("org_id = ?", org).Exec(ctx); err != nil {
			return fmt.Errorf("delete roles of org %s: %w", org, err)
		}
		return t.forgetOrg(ctx, org)
	})
}

// CreateSpace makes a space in an organisation. A taken name is a Conflict.
func (s *Store) CreateSpace(ctx context.Context, org app.OrgID, name string, evs ...event.Event) (space app.Space, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		owner, err := s.Org(ctx, org)
		if err != nil {
			return err
		}
		taken, err := t.NewSelect().Model((*spaceRow)(nil)).Where("org_id = ? AND name = ?", org, name).Exists(ctx)
		if err != nil {
			return fmt.Errorf("create space %s: %w", name, err)
		}
		if taken {
			return fault.New(fault.Conflict, "name", "the space %q exists already in %s", name, owner.Name).WithTry("naru spaces")
		}
		space = app.Space{ID: app.SpaceID(id.New()), Org: org, Name: name, Created: t.Now}
		t.about(space.ID, "")
		if _, err = t.NewInsert().Model(spaceRowOf(space)).Exec(ctx); err != nil {
			return fmt.Errorf("create space %s: %w", name, err)
		}
		return nil
	})
	return space, err
}

// Space returns a space by id.
func (s *Store) Space(ctx context.Context, space app.SpaceID) (app.Space, error) {
	var row spaceRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", space).Scan(ctx)
	return row.space(), found(err, noSpace(string(space)), "find space")
}

// SpaceNamed returns a space by the names of its organisation and itself.
func (s *Store) SpaceNamed(ctx context.Context, org, name string) (app.Space, error) {
	var row spaceRow
	err := s.read(ctx).NewSelect().Model(&row).
		Where("name = ?", name).Where("org_id = (SELECT id FROM orgs WHERE name = ?)", org).Scan(ctx)
	return row.space(), found(err, noSpace(org+"/"+name), "find space")
}

// SpaceName returns how people write a space: "default/dev".
func (s *Store) SpaceName(ctx context.Context, space app.SpaceID) (string, error) {
	return place(ctx, s.read(ctx), space)
}

// Spaces lists the spaces of an organisation by name, those of all for "".
func (s *Store) Spaces(ctx context.Context, org app.OrgID) ([]app.Space, error) {
	var rows []spaceRow
	q := s.read(ctx).NewSelect().Model(&rows).Order("name", "id")
	if org != "" {
		q.Where("org_id = ?", org)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list spaces: %w", err)
	}
	return each(rows, spaceRow.space), nil
}

// UpdateSpace changes a space as change does; an error of change changes
// nothing and is returned.
func (s *Store) UpdateSpace(ctx context.Context, space app.SpaceID, change func(*app.Space) error, evs ...event.Event) (out app.Space, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		have, err := s.Space(ctx, space)
		if err != nil {
			return err
		}
		out = have
		if err := change(&out); err != nil {
			return err
		}
		if out.ID != have.ID || out.Org != have.Org {
			return errors.New("update space: its id and organisation stay")
		}
		t.about(space, "")
		if _, err := t.NewUpdate().Model(spaceRowOf(out)).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("update space: %w", err)
		}
		return nil
	})
	return out, err
}

// DeleteSpace removes a space without apps, with its routes, credentials,
// snapshots and the roles in it.
func (s *Store) DeleteSpace(ctx context.Context, space app.SpaceID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		n, err := t.NewSelect().Model((*appRow)(nil)).Where("space_id = ?", space).Count(ctx)
		if err != nil {
			return fmt.Errorf("delete space %s: %w", space, err)
		}
		if n > 0 {
			return fault.New(fault.Conflict, "space", "the space still has %d apps", n).WithTry("delete its apps first: naru delete APP")
		}
		t.about(space, "")
		t.touch(Routes)
		for _, model := range []any{(*routeRow)(nil), (*grantRow)(nil)} {
			if _, err := t.NewDelete().Model(model).Where("space_id = ?", space).Exec(ctx); err != nil {
				return fmt.Errorf("delete space %s: %w", space, err)
			}
		}
		if err := t.forgetPlace(ctx, string(space)); err != nil {
			return err
		}
		res, err := t.NewDelete().Model((*spaceRow)(nil)).Where("id = ?", space).Exec(ctx)
		return changed(res, err, noSpace(string(space)), "delete space")
	})
}
