package auth

import (
	"context"
	"errors"
	"strings"
	"time"

	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/secret"
)

// Login exchanges a name and a password for tokens. A wrong name and a wrong
// password look the same and take as long; after some failures of a user from
// an address (see From) every further try has to wait.
func (s *Service) Login(ctx context.Context, name string, password secret.Secret) (Tokens, error) {
	u, err := s.checkPassword(ctx, name, password)
	if err != nil {
		return Tokens{}, err
	}
	return s.start(ctx, u.ID, "password")
}

// checkPassword returns the user that a name and a password belong to.
func (s *Service) checkPassword(ctx context.Context, name string, password secret.Secret) (User, error) {
	from := address(ctx)
	if err := s.tries.allowed(name, from); err != nil {
		return User{}, err
	}
	release, err := s.hasher.take(ctx)
	if err != nil {
		return User{}, err
	}
	defer release()
	// Others may have failed while this one waited for its turn.
	if err := s.tries.allowed(name, from); err != nil {
		return User{}, err
	}
	u, err := s.store.UserNamed(ctx, name, Origin)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return User{}, err
	}
	known := err == nil
	if len(password.Reveal()) > MaxPassword {
		password = secret.New("")
	}
	match, err := s.hasher.matches(u.Password, password)
	if err != nil {
		return User{}, err
	}
	if !match || !known || u.Disabled {
		s.tries.failed(name, from)
		return User{}, fault.New(fault.Unauthenticated, "", "user name or password is wrong").WithTry("naru login")
	}
	s.tries.succeeded(name, from)
	if s.hasher.outdated(u.Password) {
		err = s.rehash(ctx, u, password)
	}
	return u, err
}

// rehash keeps a password at the cost that is configured now.
func (s *Service) rehash(ctx context.Context, u User, password secret.Secret) error {
	hashed := s.hasher.hash(password)
	_, err := s.store.UpdateUser(ctx, u.ID, func(now *User) error {
		if now.Password == u.Password { // else somebody changed it meanwhile
			now.Password = hashed
		}
		return nil
	})
	return err
}

// start begins a session.
func (s *Service) start(ctx context.Context, user UserID, how string) (Tokens, error) {
	who, err := s.identity(ctx, user)
	if err != nil {
		return Tokens{}, err
	}
	session, refresh, now := id.New(), opaque(refreshPrefix), s.cfg.Clock()
	tokens, err := s.sign(User{ID: who.UserID, Name: who.Name, Origin: who.Origin}, who.Admin, session)
	if err != nil {
		return Tokens{}, err
	}
	err = s.store.AddRefreshToken(ctx, RefreshToken{
		Hash: hash(refresh), Session: session, User: user, Created: now, Expires: now.Add(s.cfg.Refresh),
	}, event.Event{Kind: "user.login", Actor: who.Name, Subject: who.Name, Detail: map[string]any{"with": how, "address": address(ctx)}})
	tokens.Refresh = refresh
	return tokens, err
}

var (
	errReused  = errors.New("refresh token was used before")
	errExpired = errors.New("refresh token has expired")
)

// standingPrefix begins refresh tokens that stay the same.
const standingPrefix = "naru_sref_"

// Standing lets a session go on with a refresh token that stays the same however
// often it is used, for clients of which several share one login, each with what
// was in it when it began: one that follows logs, and others meanwhile.
func (s *Service) Standing(ctx context.Context, t Tokens) (Tokens, error) {
	refresh := opaque(standingPrefix)
	err := s.store.RotateRefreshToken(ctx, hash(t.Refresh), func(old RefreshToken, now time.Time) (RefreshToken, error) {
		return RefreshToken{Hash: hash(refresh), Session: old.Session, User: old.User, Created: now, Expires: old.Expires}, nil
	})
	t.Refresh = refresh
	return t, err
}

// Refresh exchanges a refresh token for the next pair of tokens. A token that
// was used before, by more than the grace, was stolen from one of two holders:
// the whole session ends. A standing one is renewed and stays.
func (s *Service) Refresh(ctx context.Context, token secret.Secret) (Tokens, error) {
	var tokens Tokens
	var session, name string
	refresh, standing := opaque(refreshPrefix), strings.HasPrefix(token.Reveal(), standingPrefix)
	if standing {
		refresh = token
	}
	err := s.store.RotateRefreshToken(ctx, hash(token), func(old RefreshToken, now time.Time) (RefreshToken, error) {
		session = old.Session
		switch {
		case !now.Before(old.Expires):
			return RefreshToken{}, errExpired
		case !old.Used.IsZero() && now.Sub(old.Used) > s.cfg.RefreshGrace:
			return RefreshToken{}, errReused
		}
		who, err := s.identity(ctx, old.User)
		if err != nil {
			return RefreshToken{}, err
		}
		name = who.Name
		tokens, err = s.sign(User{ID: who.UserID, Name: name, Origin: who.Origin}, who.Admin, session)
		return RefreshToken{
			Hash: hash(refresh), Session: session, User: old.User, Created: now, Expires: now.Add(s.cfg.Refresh),
		}, err
	})
	switch {
	case errors.Is(err, errReused):
		err = s.store.EndSession(ctx, session, s.accessEnd(), event.Event{
			Kind: "session.stolen", Actor: event.System, Subject: session, Detail: map[string]any{"address": address(ctx)},
		})
		if err != nil {
			return Tokens{}, err
		}
		return Tokens{}, unauthenticated("the session was ended: its refresh token was used twice")
	case errors.Is(err, errExpired), fault.Is(err, fault.NotFound):
		return Tokens{}, unauthenticated("the session has ended")
	case err != nil:
		return Tokens{}, err
	}
	tokens.Refresh = refresh
	return tokens, nil
}

// accessEnd is when the last access token that exists now will have expired.
func (s *Service) accessEnd() time.Time { return s.cfg.Clock().Add(s.cfg.Access + time.Minute) }

// Logout ends the session of an identity at once, its access tokens included.
// An API token is not ended by it.
func (s *Service) Logout(ctx context.Context, who Identity) error {
	if who.Session == "" {
		return nil
	}
	return s.store.EndSession(ctx, who.Session, s.accessEnd(), event.Event{Kind: "user.logout", Actor: who.Name, Subject: who.Name})
}

// NewLoginCode makes a code that is good for one login as a user, for a short
// time: what "naru up" prints instead of a password.
func (s *Service) NewLoginCode(ctx context.Context, user UserID) (secret.Secret, error) {
	code, now := opaque(codePrefix), s.cfg.Clock()
	return code, s.store.AddLoginCode(ctx, LoginCode{Hash: hash(code), User: user, Created: now, Expires: now.Add(s.cfg.Code)})
}

// LoginWithCode exchanges a login code for tokens; it works once.
func (s *Service) LoginWithCode(ctx context.Context, code secret.Secret) (Tokens, error) {
	c, err := s.store.TakeLoginCode(ctx, hash(code))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Tokens{}, err
	}
	if err != nil || !s.cfg.Clock().Before(c.Expires) {
		return Tokens{}, fault.New(fault.Unauthenticated, "code", "the login code was used, or has expired").
			WithTry("naru login, with user name and password; or restart naru up for a new code")
	}
	return s.start(ctx, c.User, "code")
}

// Authenticate returns who a name and a password belong to, for protocols that
// send them with every request. The password may also be an API token or an
// access token of that user.
func (s *Service) Authenticate(ctx context.Context, name string, password secret.Secret) (Identity, error) {
	if text := password.Reveal(); isToken(text) {
		who, err := s.Verify(ctx, text)
		if err == nil && who.Name != name {
			return Identity{}, unauthenticated("the token belongs to another user")
		}
		return who, err
	}
	u, err := s.checkPassword(ctx, name, password)
	if err != nil {
		return Identity{}, err
	}
	return s.identity(ctx, u.ID)
}
