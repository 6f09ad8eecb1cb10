package auth

import (
	"context"
	"slices"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/secret"
)

// Exchange gives an access token for an API token, to programs that want one of
// that form. name is the user's, or the API token's own. The access token ends
// with the API token; there is none to refresh it with but the API token itself.
// client says that the program counts as one, and not as the user.
func (s *Service) Exchange(ctx context.Context, name string, token secret.Secret, client bool) (Tokens, error) {
	who, err := s.verifyAPIToken(ctx, token)
	if err != nil {
		return Tokens{}, err
	}
	have, err := s.store.APITokens(ctx, who.UserID)
	if err != nil {
		return Tokens{}, err
	}
	own := slices.ContainsFunc(have, func(t APIToken) bool { return t.ID == who.Token && t.Name == name })
	if client && name == "" || name != "" && name != who.Name && !own {
		return Tokens{}, unauthenticated("the token belongs to another user")
	}
	c := claims{UserID: who.UserID, UserName: who.Name, Origin: who.Origin, Scope: scopes(who.Admin), APIToken: who.Token}
	if client {
		c.UserName, c.ClientID = "", name
	}
	until := s.cfg.Clock().Add(s.cfg.Access)
	if !who.Expires.IsZero() && who.Expires.Before(until) {
		until = who.Expires
	}
	return s.signed(c, until)
}

// IsAPIToken tells an API token from other texts, by its form.
func IsAPIToken(text secret.Secret) bool {
	return strings.HasPrefix(text.Reveal(), apiPrefix)
}

// stands refuses an access token whose API token is gone.
func (s *Service) stands(ctx context.Context, c claims) error {
	have, err := s.store.APITokens(ctx, c.UserID)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(have, func(t APIToken) bool { return t.ID == c.APIToken && !t.ended(s.cfg.Clock()) }) {
		return unauthenticated("the API token of this access token was revoked")
	}
	return nil
}

func (t APIToken) ended(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// RevokeAccess ends one access token by its id at once, and with it the session it
// comes from; one that was exchanged for an API token ends alone.
func (s *Service) RevokeAccess(ctx context.Context, who Identity, token string) error {
	if token != who.Token && (who.Session == "" || token != who.Session) {
		return Hidden("this token")
	}
	if who.Session != "" {
		return s.Logout(ctx, who)
	}
	if err := s.store.Revoke(ctx, token, s.accessEnd()); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}
