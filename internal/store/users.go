package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/fault"
)

type userRow struct {
	bun.BaseModel `bun:"table:users"`

	ID       auth.UserID `bun:"id,pk"`
	Name     string      `bun:"name"`
	Origin   string      `bun:"origin"`
	Password string      `bun:"password"`
	Disabled bool        `bun:"disabled"`
	Created  stamp       `bun:"created"`
	Updated  stamp       `bun:"updated"`
}

func userRowOf(u auth.User) *userRow {
	return &userRow{
		ID: u.ID, Name: u.Name, Origin: u.Origin, Password: u.Password, Disabled: u.Disabled,
		Created: stamp{u.Created}, Updated: stamp{u.Updated},
	}
}

func (r userRow) user() auth.User {
	return auth.User{
		ID: r.ID, Name: r.Name, Origin: r.Origin, Password: r.Password, Disabled: r.Disabled,
		Created: r.Created.Time, Updated: r.Updated.Time,
	}
}

type grantRow struct {
	bun.BaseModel `bun:"table:grants"`

	User  auth.UserID `bun:"user_id,pk"`
	Role  auth.Role   `bun:"role,pk"`
	Org   app.OrgID   `bun:"org_id,pk"`
	Space app.SpaceID `bun:"space_id,pk"`
}

func (r grantRow) holding() auth.Holding {
	return auth.Holding{User: r.User, Grant: auth.Grant{Role: r.Role, Org: r.Org, Space: r.Space}}
}

func noUser(name string) *fault.Error {
	return fault.New(fault.NotFound, "user", "user %q does not exist", name).WithTry("naru users")
}

// CreateUser adds a user; Created and Updated are filled in. A taken name is a
// Conflict.
func (s *Store) CreateUser(ctx context.Context, u auth.User, evs ...event.Event) (auth.User, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		taken, err := t.NewSelect().Model((*userRow)(nil)).Where("name = ? AND origin = ?", u.Name, u.Origin).Exists(ctx)
		if err != nil {
			return fmt.Errorf("create user %s: %w", u.Name, err)
		}
		if taken {
			return fault.New(fault.Conflict, "name", "the user %q exists already", u.Name).WithTry("naru users")
		}
		u.Created, u.Updated = t.Now, t.Now
		if _, err := t.NewInsert().Model(userRowOf(u)).Exec(ctx); err != nil {
			return fmt.Errorf("create user %s: %w", u.Name, err)
		}
		return nil
	})
	return u, err
}

// User returns a user by id.
func (s *Store) User(ctx context.Context, user auth.UserID) (auth.User, error) {
	var row userRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", user).Scan(ctx)
	return row.user(), found(err, noUser(string(user)), "find user")
}

// UserNamed returns a user by name and origin.
func (s *Store) UserNamed(ctx context.Context, name, origin string) (auth.User, error) {
	var row userRow
	err := s.read(ctx).NewSelect().Model(&row).Where("name = ? AND origin = ?", name, origin).Scan(ctx)
	return row.user(), found(err, noUser(name), "find user")
}

// Users lists all users by name.
func (s *Store) Users(ctx context.Context) ([]auth.User, error) {
	var rows []userRow
	if err := s.read(ctx).NewSelect().Model(&rows).Order("name", "origin").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return each(rows, userRow.user), nil
}

// UpdateUser changes a user as change does; an error of change changes nothing
// and is returned.
func (s *Store) UpdateUser(ctx context.Context, user auth.UserID, change func(*auth.User) error, evs ...event.Event) (out auth.User, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if out, err = s.User(ctx, user); err != nil {
			return err
		}
		created := out.Created
		if err := change(&out); err != nil {
			return err
		}
		if out.ID != user {
			return errors.New("update user: the id stays")
		}
		out.Created, out.Updated = created, t.Now
		if _, err := t.NewUpdate().Model(userRowOf(out)).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("update user %s: %w", out.Name, err)
		}
		return nil
	})
	return out, err
}

// DeleteUser removes a user with all roles, sessions and tokens.
func (s *Store) DeleteUser(ctx context.Context, user auth.UserID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		res, err := t.NewDelete().Model((*userRow)(nil)).Where("id = ?", user).Exec(ctx)
		return changed(res, err, noUser(string(user)), "delete user")
	})
}

// Grant gives a user a role in a place; one that is held already stays.
func (s *Store) Grant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error {
	if err := g.Check(); err != nil {
		return err
	}
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := s.User(ctx, user); err != nil {
			return err
		}
		t.about(g.Space, "")
		_, err := t.NewInsert().Model(&grantRow{User: user, Role: g.Role, Org: g.Org, Space: g.Space}).
			On("CONFLICT DO NOTHING").Exec(ctx)
		if err != nil {
			return fmt.Errorf("grant %s: %w", g.Role, err)
		}
		return nil
	})
}

// Ungrant takes a role from a user; one that is not held is a NotFound.
func (s *Store) Ungrant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		t.about(g.Space, "")
		res, err := t.NewDelete().Model(&grantRow{User: user, Role: g.Role, Org: g.Org, Space: g.Space}).WherePK().Exec(ctx)
		return changed(res, err, fault.New(fault.NotFound, "role", "the user does not have the role %s there", g.Role), "take role")
	})
}

// Grants lists the roles of a user.
func (s *Store) Grants(ctx context.Context, user auth.UserID) ([]auth.Grant, error) {
	var rows []grantRow
	err := s.read(ctx).NewSelect().Model(&rows).Where("user_id = ?", user).Order("role", "org_id", "space_id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	return each(rows, func(r grantRow) auth.Grant { return r.holding().Grant }), nil
}

// Holdings lists who holds which role in an organisation and its spaces; of one
// space only when space is given, of everything when both are "".
func (s *Store) Holdings(ctx context.Context, org app.OrgID, space app.SpaceID) ([]auth.Holding, error) {
	var rows []grantRow
	q := s.read(ctx).NewSelect().Model(&rows).Order("user_id", "role", "org_id", "space_id")
	if org != "" {
		q.Where("org_id = ?", org)
	}
	if space != "" {
		q.Where("space_id = ?", space)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	return each(rows, grantRow.holding), nil
}
