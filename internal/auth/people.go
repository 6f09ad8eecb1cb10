package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/atomicfile"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/secret"
)

// AdminName is the user that exists from the first start.
const AdminName = "admin"

// EnsureAdmin makes the user "admin" at the first start. Its password is random
// and kept in file, mode 0600 in a folder of mode 0700, so that it is not lost
// with the terminal. fresh tells that the user was made now; later the password
// is what the file still says, zero where it was removed.
func (s *Service) EnsureAdmin(ctx context.Context, file string) (password secret.Secret, fresh bool, err error) {
	kept, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return secret.Secret{}, false, fmt.Errorf("read admin password: %w", err)
	}
	password = secret.New(strings.TrimSpace(string(kept)))
	_, err = s.store.UserNamed(ctx, AdminName, Origin)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return password, false, err
	}
	// The file first: killed in between, the next start finds it and makes the
	// user with the password that is in it.
	if password.IsZero() {
		password = secret.New(strings.TrimPrefix(opaque("").Reveal()[:24], "-"))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return secret.Secret{}, false, fmt.Errorf("make folder of admin password: %w", err)
		}
		if err := atomicfile.Write(file, []byte(password.Reveal()+"\n"), 0o600); err != nil {
			return secret.Secret{}, false, err
		}
	}
	_, err = s.CreateUser(ctx, event.System, AdminName, password, Grant{Role: Admin})
	return password, err == nil, err
}

// CreateUser makes a user with a password and roles.
func (s *Service) CreateUser(ctx context.Context, by, name string, password secret.Secret, roles ...Grant) (u User, err error) {
	if err := app.CheckName("name", name); err != nil {
		return User{}, err
	}
	if err := checkPassword("password", password); err != nil {
		return User{}, err
	}
	hashed, err := s.hasher.make(ctx, password)
	if err != nil {
		return User{}, err
	}
	err = s.store.Together(ctx, func(ctx context.Context) error {
		u, err = s.store.CreateUser(ctx, User{ID: UserID(id.New()), Name: name, Origin: Origin, Password: hashed},
			event.Event{Kind: "user.created", Actor: by, Subject: name})
		if err != nil {
			return err
		}
		for _, g := range roles {
			ev := event.Event{Kind: "role.granted", Actor: by, Subject: name, Detail: map[string]any{"role": string(g.Role)}}
			if err := s.store.Grant(ctx, u.ID, g, ev); err != nil {
				return err
			}
		}
		return nil
	})
	return u, err
}

// SetPassword gives a user another password and ends all their sessions. API
// tokens stay.
func (s *Service) SetPassword(ctx context.Context, by string, user UserID, password secret.Secret) error {
	if err := checkPassword("new", password); err != nil {
		return err
	}
	hashed, err := s.hasher.make(ctx, password)
	if err != nil {
		return err
	}
	return s.store.Together(ctx, func(ctx context.Context) error {
		u, err := s.store.UpdateUser(ctx, user, func(u *User) error { u.Password = hashed; return nil })
		if err != nil {
			return err
		}
		return s.store.EndSessions(ctx, user, s.accessEnd(), event.Event{Kind: "user.password", Actor: by, Subject: u.Name})
	})
}

// ChangePassword is SetPassword by the user, who must know the present one.
func (s *Service) ChangePassword(ctx context.Context, who Identity, old, password secret.Secret) error {
	if who.Origin != Origin {
		return fault.New(fault.Unsupported, "", "the password of %s is kept by %s", who.Name, who.Origin)
	}
	if _, err := s.checkPassword(ctx, who.Name, old); err != nil {
		if fault.Is(err, fault.Unauthenticated) {
			return fault.New(fault.Denied, "old", "the present password is wrong")
		}
		return err
	}
	return s.SetPassword(ctx, who.Name, who.UserID, password)
}

// NewAPIToken makes a named token with the rights of its user, also of those it
// will have later. lifetime 0 means the configured one. The token is seen this
// once.
func (s *Service) NewAPIToken(ctx context.Context, who Identity, name string, lifetime time.Duration) (secret.Secret, APIToken, error) {
	if err := app.CheckName("name", name); err != nil {
		return secret.Secret{}, APIToken{}, err
	}
	if lifetime == 0 {
		lifetime = s.cfg.APIToken
	}
	if lifetime < 0 || lifetime > s.cfg.MaxAPIToken {
		return secret.Secret{}, APIToken{}, fault.New(fault.Invalid, "lifetime", "an API token lives at most %s (got %s)", s.cfg.MaxAPIToken, lifetime)
	}
	token := opaque(apiPrefix)
	kept, err := s.store.AddAPIToken(ctx, APIToken{
		ID: id.New(), Hash: hash(token), User: who.UserID, Name: name, Expires: s.cfg.Clock().Add(lifetime).UTC(),
	}, event.Event{Kind: "token.created", Actor: who.Name, Subject: name})
	if err != nil {
		return secret.Secret{}, APIToken{}, err
	}
	return token, kept, nil
}

// APITokens lists the tokens of a user.
func (s *Service) APITokens(ctx context.Context, who Identity) ([]APIToken, error) {
	return s.store.APITokens(ctx, who.UserID)
}

// RevokeAPIToken ends a token of a user, by name or id, at once.
func (s *Service) RevokeAPIToken(ctx context.Context, who Identity, nameOrID string) error {
	have, err := s.store.APITokens(ctx, who.UserID)
	if err != nil {
		return err
	}
	for _, t := range have {
		if t.ID == nameOrID {
			nameOrID = t.Name
		}
	}
	return s.store.DeleteAPIToken(ctx, who.UserID, nameOrID, event.Event{Kind: "token.revoked", Actor: who.Name, Subject: nameOrID})
}

// used is how exact APIToken.LastUsed is: more would write at every request.
const used = time.Hour

func (s *Service) verifyAPIToken(ctx context.Context, token secret.Secret) (Identity, error) {
	kept, err := s.store.APIToken(ctx, hash(token))
	if fault.Is(err, fault.NotFound) {
		return Identity{}, unauthenticated("the API token is not known, or was revoked")
	}
	if err != nil {
		return Identity{}, err
	}
	now := s.cfg.Clock()
	if !kept.Expires.IsZero() && !now.Before(kept.Expires) {
		return Identity{}, unauthenticated("the API token has expired")
	}
	if now.Sub(kept.LastUsed) > used {
		if err := s.store.TouchAPIToken(ctx, kept.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return Identity{}, err
		}
	}
	who, err := s.identity(ctx, kept.User)
	who.Token, who.Expires = kept.ID, kept.Expires
	return who, err
}

// isToken tells a token from a password: an API token by its prefix, an access
// token by its three parts, of which the first says so.
func isToken(text string) bool {
	return strings.HasPrefix(text, apiPrefix) || strings.HasPrefix(text, "eyJ") && strings.Count(text, ".") == 2
}
