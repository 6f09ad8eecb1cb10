package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/event"
	"naru/internal/fault"
)

type secretRow struct {
	bun.BaseModel `bun:"table:app_secrets"`

	App     app.ID `bun:"app_id,pk"`
	Name    string `bun:"name,pk"`
	Sealed  string `bun:"sealed"`
	Updated stamp  `bun:"updated"`
}

// SetSecrets keeps sealed values of an app by name, in place of those that are
// there.
func (s *Store) SetSecrets(ctx context.Context, a app.ID, sealed map[string]string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		have, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(have.Space, a)
		for name, value := range sealed {
			_, err := t.NewInsert().Model(&secretRow{App: a, Name: name, Sealed: value, Updated: stamp{t.Now}}).
				On("CONFLICT (app_id, name) DO UPDATE").Set("sealed = EXCLUDED.sealed, updated = EXCLUDED.updated").Exec(ctx)
			if err != nil {
				return fmt.Errorf("keep secret %s: %w", name, err)
			}
		}
		return nil
	})
}

// DeleteSecrets removes values of an app; names without one are no error.
func (s *Store) DeleteSecrets(ctx context.Context, a app.ID, names []string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		have, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(have.Space, a)
		_, err = t.NewDelete().Model((*secretRow)(nil)).Where("app_id = ?", a).Where("name IN (?)", in(names)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete secrets: %w", err)
		}
		return nil
	})
}

// SecretsOf returns the sealed values of an app by name.
func (s *Store) SecretsOf(ctx context.Context, a app.ID) (map[string]string, error) {
	var rows []secretRow
	if err := s.read(ctx).NewSelect().Model(&rows).Where("app_id = ?", a).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	sealed := make(map[string]string, len(rows))
	for _, r := range rows {
		sealed[r.Name] = r.Sealed
	}
	return sealed, nil
}

// SealedNotWith returns up to limit sealed values of any kind that another key
// than the given one sealed.
func (s *Store) SealedNotWith(ctx context.Context, keyID string, limit int) ([]vault.Sealed, error) {
	like := keyID + ".%" // a key id is hexadecimal, so it holds no wildcard
	var secrets []secretRow
	q := s.read(ctx).NewSelect().Model(&secrets).Where("sealed NOT LIKE ?", like).Order("app_id", "name").Limit(int64(limit))
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list sealed values: %w", err)
	}
	out := each(secrets, func(r secretRow) vault.Sealed { return vault.Sealed{App: r.App, Name: r.Name, Value: r.Sealed} })
	if len(out) == limit {
		return out, nil
	}
	var credentials []credentialRow
	q = s.read(ctx).NewSelect().Model(&credentials).Where("sealed NOT LIKE ?", like).
		Order("space_id", "host", "kind").Limit(int64(limit - len(out)))
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list sealed values: %w", err)
	}
	out = append(out, each(credentials, credentialRow.sealed)...)
	if len(out) == limit {
		return out, nil
	}
	var certificates []certificateRow
	q = s.read(ctx).NewSelect().Model(&certificates).Where("sealed NOT LIKE ?", like).Order("host").Limit(int64(limit - len(out)))
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list sealed values: %w", err)
	}
	out = append(out, each(certificates, certificateRow.sealed)...)
	if len(out) == limit {
		return out, nil
	}
	var drains []drainRow
	q = s.read(ctx).NewSelect().Model(&drains).Where("sealed NOT LIKE ?", like).Order("id").Limit(int64(limit - len(out)))
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list sealed values: %w", err)
	}
	out = append(out, each(drains, drainRow.sealed)...)
	if len(out) == limit {
		return out, nil
	}
	var receivers []receiverRow
	q = s.read(ctx).NewSelect().Model(&receivers).Where("sealed NOT LIKE ?", like).Order("id").Limit(int64(limit - len(out)))
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list sealed values: %w", err)
	}
	out = append(out, each(receivers, receiverRow.sealed)...)
	if len(out) == limit {
		return out, nil
	}
	var services []serviceRow
	q = s.read(ctx).NewSelect().Model(&services).Where("sealed NOT LIKE ?", like).Order("id").Limit(int64(limit - len(out)))
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list sealed values: %w", err)
	}
	return append(out, each(services, serviceRow.sealed)...), nil
}

// Reseal replaces a sealed value by one of the same content, sealed anew. It
// does nothing where the value was changed or removed since it was read.
func (s *Store) Reseal(ctx context.Context, old vault.Sealed, value string) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		var q *bun.UpdateQuery
		switch {
		case old.App != "":
			q = t.NewUpdate().Model((*secretRow)(nil)).Where("app_id = ? AND name = ?", old.App, old.Name)
		case old.OfCertificate():
			q = t.NewUpdate().Model((*certificateRow)(nil)).Where("space_id = ? AND host = ?", old.Space, old.Host)
		case old.OfDrain():
			q = t.NewUpdate().Model((*drainRow)(nil)).Where("space_id = ? AND id = ?", old.Space, old.Host)
		case old.OfService():
			q = t.NewUpdate().Model((*serviceRow)(nil)).Where("id = ?", old.Host)
		case old.OfReceiver():
			q = t.NewUpdate().Model((*receiverRow)(nil)).Where("id = ?", old.Host)
		default:
			q = t.NewUpdate().Model((*credentialRow)(nil)).Where("space_id = ? AND host = ? AND kind = ?", old.Space, old.Host, old.Kind)
		}
		if _, err := q.Set("sealed = ?", value).Where("sealed = ?", old.Value).Exec(ctx); err != nil {
			return fmt.Errorf("reseal %s: %w", old.Owner(), err)
		}
		return nil
	})
}

type credentialRow struct {
	bun.BaseModel `bun:"table:credentials"`

	Space    app.SpaceID `bun:"space_id,pk"`
	Host     string      `bun:"host,pk"`
	Kind     vault.Kind  `bun:"kind,pk"`
	Username string      `bun:"username"`
	Sealed   string      `bun:"sealed"`
	By       string      `bun:"set_by"`
	Created  stamp       `bun:"created"`
	Updated  stamp       `bun:"updated"`
}

func (r credentialRow) credential() vault.Credential {
	return vault.Credential{
		Space: r.Space, Host: r.Host, Kind: r.Kind, Username: r.Username, By: r.By,
		Created: r.Created.Time, Updated: r.Updated.Time,
	}
}

func (r credentialRow) sealed() vault.Sealed {
	return vault.Sealed{Space: r.Space, Host: r.Host, Kind: r.Kind, Value: r.Sealed}
}

// SetCredential keeps a credential and its sealed password, in place of the one
// for the same space, host and kind. Created and Updated are filled in.
func (s *Store) SetCredential(ctx context.Context, c vault.Credential, sealed string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := s.Space(ctx, c.Space); err != nil {
			return err
		}
		t.about(c.Space, "")
		_, err := t.NewInsert().Model(&credentialRow{
			Space: c.Space, Host: c.Host, Kind: c.Kind, Username: c.Username, Sealed: sealed, By: c.By,
			Created: stamp{t.Now}, Updated: stamp{t.Now},
		}).On("CONFLICT (space_id, host, kind) DO UPDATE").
			Set("username = EXCLUDED.username, sealed = EXCLUDED.sealed, set_by = EXCLUDED.set_by, updated = EXCLUDED.updated").
			Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep credential of %s: %w", c.Host, err)
		}
		return nil
	})
}

// Credential returns a credential of a space and its sealed password.
func (s *Store) Credential(ctx context.Context, space app.SpaceID, host string, kind vault.Kind) (vault.Credential, string, error) {
	var row credentialRow
	err := s.read(ctx).NewSelect().Model(&row).Where("space_id = ? AND host = ? AND kind = ?", space, host, kind).Scan(ctx)
	return row.credential(), row.Sealed, found(err, noCredential(host, kind), "find credential")
}

// Credentials lists the credentials of a space, without their passwords.
func (s *Store) Credentials(ctx context.Context, space app.SpaceID) ([]vault.Credential, error) {
	var rows []credentialRow
	err := s.read(ctx).NewSelect().Model(&rows).ExcludeColumn("sealed").Where("space_id = ?", space).Order("host", "kind").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list credentials: %w", err)
	}
	return each(rows, credentialRow.credential), nil
}

// DeleteCredential forgets a credential.
func (s *Store) DeleteCredential(ctx context.Context, space app.SpaceID, host string, kind vault.Kind, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		t.about(space, "")
		res, err := t.NewDelete().Model((*credentialRow)(nil)).
			Where("space_id = ? AND host = ? AND kind = ?", space, host, kind).Exec(ctx)
		return changed(res, err, noCredential(host, kind), "delete credential")
	})
}

func noCredential(host string, kind vault.Kind) *fault.Error {
	return fault.New(fault.NotFound, "host", "there are no %s credentials for %q in this space", kind, host).
		WithTry("naru credentials set %s", host)
}
