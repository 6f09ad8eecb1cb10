package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/fault"
)

type refreshRow struct {
	bun.BaseModel `bun:"table:refresh_tokens"`

	Hash    string      `bun:"hash,pk"`
	Session string      `bun:"session"`
	User    auth.UserID `bun:"user_id"`
	Created stamp       `bun:"created"`
	Expires stamp       `bun:"expires"`
	Used    stamp       `bun:"used"`
}

func refreshRowOf(t auth.RefreshToken) *refreshRow {
	return &refreshRow{
		Hash: t.Hash, Session: t.Session, User: t.User,
		Created: stamp{t.Created}, Expires: stamp{t.Expires}, Used: stamp{t.Used},
	}
}

func (r refreshRow) token() auth.RefreshToken {
	return auth.RefreshToken{
		Hash: r.Hash, Session: r.Session, User: r.User,
		Created: r.Created.Time, Expires: r.Expires.Time, Used: r.Used.Time,
	}
}

type codeRow struct {
	bun.BaseModel `bun:"table:login_codes"`

	Hash    string      `bun:"hash,pk"`
	User    auth.UserID `bun:"user_id"`
	Created stamp       `bun:"created"`
	Expires stamp       `bun:"expires"`
}

type revokedRow struct {
	bun.BaseModel `bun:"table:revoked"`

	ID      string `bun:"id,pk"`
	Expires stamp  `bun:"expires"`
}

// AddRefreshToken keeps the first link of a session.
func (s *Store) AddRefreshToken(ctx context.Context, token auth.RefreshToken, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := t.NewInsert().Model(refreshRowOf(token)).Exec(ctx); err != nil {
			return fmt.Errorf("keep refresh token: %w", err)
		}
		return nil
	})
}

// RotateRefreshToken hands the token with a hash to next, marks it as used and
// keeps the one that next returns; one with the same hash is the token itself, which
// then expires when next says. An error of next changes nothing. An unknown hash is a
// NotFound.
func (s *Store) RotateRefreshToken(ctx context.Context, hash string, next func(old auth.RefreshToken, now time.Time) (auth.RefreshToken, error)) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		var row refreshRow
		err := t.NewSelect().Model(&row).Where("hash = ?", hash).Scan(ctx)
		if err := found(err, fault.New(fault.NotFound, "", "the refresh token is not known"), "find refresh token"); err != nil {
			return err
		}
		token, err := next(row.token(), t.Now)
		if err != nil {
			return err
		}
		again := token.Hash == hash
		switch {
		case again:
			row.Expires = stamp{token.Expires}
		case row.Used.IsZero():
			row.Used = stamp{t.Now}
		}
		if _, err := t.NewUpdate().Model(&row).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("mark refresh token: %w", err)
		}
		if again {
			return nil
		}
		if _, err := t.NewInsert().Model(refreshRowOf(token)).Exec(ctx); err != nil {
			return fmt.Errorf("keep refresh token: %w", err)
		}
		return nil
	})
}

// EndSession forgets a session's refresh tokens and revokes its access tokens
// until the given time, when the last of them has expired.
func (s *Store) EndSession(ctx context.Context, session string, until time.Time, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := t.NewDelete().Model((*refreshRow)(nil)).Where("session = ?", session).Exec(ctx); err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		return t.revoke(ctx, session, until)
	})
}

// EndSessions is EndSession for all sessions of a user.
func (s *Store) EndSessions(ctx context.Context, user auth.UserID, until time.Time, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		var sessions []string
		err := t.NewSelect().Model((*refreshRow)(nil)).Distinct().Column("session").Where("user_id = ?", user).Scan(ctx, &sessions)
		if err != nil {
			return fmt.Errorf("find sessions: %w", err)
		}
		for _, session := range sessions {
			if err := t.revoke(ctx, session, until); err != nil {
				return err
			}
		}
		if _, err := t.NewDelete().Model((*refreshRow)(nil)).Where("user_id = ?", user).Exec(ctx); err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		return nil
	})
}

// Revoke makes an access token's id, or a session's, invalid until the given
// time.
func (s *Store) Revoke(ctx context.Context, id string, until time.Time, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error { return t.revoke(ctx, id, until) })
}

func (t *tx) revoke(ctx context.Context, id string, until time.Time) error {
	_, err := t.NewInsert().Model(&revokedRow{ID: id, Expires: stamp{until}}).
		On("CONFLICT (id) DO UPDATE").Set("expires = EXCLUDED.expires").Exec(ctx)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return nil
}

// Revoked reports whether one of the ids was revoked.
func (s *Store) Revoked(ctx context.Context, ids ...string) (bool, error) {
	yes, err := s.read(ctx).NewSelect().Model((*revokedRow)(nil)).Where("id IN (?)", in(ids)).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("check revocation: %w", err)
	}
	return yes, nil
}

// AddLoginCode keeps a login code.
func (s *Store) AddLoginCode(ctx context.Context, code auth.LoginCode, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		_, err := t.NewInsert().Model(&codeRow{
			Hash: code.Hash, User: code.User, Created: stamp{code.Created}, Expires: stamp{code.Expires},
		}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep login code: %w", err)
		}
		return nil
	})
}

// TakeLoginCode returns a code and forgets it: a second call is a NotFound. An
// expired code is returned too.
func (s *Store) TakeLoginCode(ctx context.Context, hash string, evs ...event.Event) (code auth.LoginCode, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		var row codeRow
		err := t.NewDelete().Model(&row).Where("hash = ?", hash).Returning("*").Scan(ctx)
		code = auth.LoginCode{Hash: row.Hash, User: row.User, Created: row.Created.Time, Expires: row.Expires.Time}
		return found(err, fault.New(fault.NotFound, "code", "the login code is not known, or was used"), "take login code")
	})
	return code, err
}
