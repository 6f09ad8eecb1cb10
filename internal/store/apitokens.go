package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/fault"
)

type apiTokenRow struct {
	bun.BaseModel `bun:"table:api_tokens"`

	ID       string      `bun:"id,pk"`
	Hash     string      `bun:"hash"`
	User     auth.UserID `bun:"user_id"`
	Name     string      `bun:"name"`
	Created  stamp       `bun:"created"`
	Expires  stamp       `bun:"expires"`
	LastUsed stamp       `bun:"last_used"`
}

func (r apiTokenRow) token() auth.APIToken {
	return auth.APIToken{
		ID: r.ID, Hash: r.Hash, User: r.User, Name: r.Name,
		Created: r.Created.Time, Expires: r.Expires.Time, LastUsed: r.LastUsed.Time,
	}
}

func noAPIToken(name string) *fault.Error {
	return fault.New(fault.NotFound, "token", "API token %q does not exist", name).WithTry("naru tokens")
}

// AddAPIToken keeps a named token; Created is filled in. A user's second token
// of a name is a Conflict.
func (s *Store) AddAPIToken(ctx context.Context, token auth.APIToken, evs ...event.Event) (auth.APIToken, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		taken, err := t.NewSelect().Model((*apiTokenRow)(nil)).Where("user_id = ? AND name = ?", token.User, token.Name).Exists(ctx)
		if err != nil {
			return fmt.Errorf("add API token: %w", err)
		}
		if taken {
			return fault.New(fault.Conflict, "name", "an API token %q exists already", token.Name).
				WithTry("choose another name, or revoke it first: naru tokens revoke %s", token.Name)
		}
		token.Created = t.Now
		_, err = t.NewInsert().Model(&apiTokenRow{
			ID: token.ID, Hash: token.Hash, User: token.User, Name: token.Name,
			Created: stamp{t.Now}, Expires: stamp{token.Expires},
		}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("add API token: %w", err)
		}
		return nil
	})
	return token, err
}

// APIToken returns the token with a hash.
func (s *Store) APIToken(ctx context.Context, hash string) (auth.APIToken, error) {
	var row apiTokenRow
	err := s.read(ctx).NewSelect().Model(&row).Where("hash = ?", hash).Scan(ctx)
	return row.token(), found(err, noAPIToken("..."), "find API token")
}

// APITokens lists a user's tokens by name.
func (s *Store) APITokens(ctx context.Context, user auth.UserID) ([]auth.APIToken, error) {
	var rows []apiTokenRow
	if err := s.read(ctx).NewSelect().Model(&rows).Where("user_id = ?", user).Order("name").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list API tokens: %w", err)
	}
	return each(rows, apiTokenRow.token), nil
}

// TouchAPIToken remembers that a token was used now.
func (s *Store) TouchAPIToken(ctx context.Context, tokenID string) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		res, err := t.NewUpdate().Model((*apiTokenRow)(nil)).Set("last_used = ?", stamp{t.Now}).Where("id = ?", tokenID).Exec(ctx)
		return changed(res, err, noAPIToken(tokenID), "touch API token")
	})
}

// DeleteAPIToken revokes a user's token by name.
func (s *Store) DeleteAPIToken(ctx context.Context, user auth.UserID, name string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		res, err := t.NewDelete().Model((*apiTokenRow)(nil)).Where("user_id = ? AND name = ?", user, name).Exec(ctx)
		return changed(res, err, noAPIToken(name), "revoke API token")
	})
}
