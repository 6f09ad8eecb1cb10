package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/secret"
)

// Tokens are what a login gives.
type Tokens struct {
	Access  secret.Secret // a JWT; goes into "Authorization: Bearer"
	Refresh secret.Secret // opaque; buys the next pair, once
	Expires time.Time     // end of the access token
	ID      string        // of the access token, its "jti"
	Scope   []string      // as Cloud Foundry's clients read it
}

// claims are what an access token says. The cf client reads user_id, user_name,
// origin, exp and jti without asking whether they are there; without a user_name
// it takes a token for a program's and reads client_id. It ends what is
// revocable when it logs out.
type claims struct {
	jwt.RegisteredClaims
	UserID    UserID   `json:"user_id"`
	UserName  string   `json:"user_name,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Origin    string   `json:"origin"`
	Scope     []string `json:"scope"`
	Session   string   `json:"sid,omitempty"`
	APIToken  string   `json:"pat,omitempty"` // id of the API token it was exchanged for, in the place of a session
	Revocable bool     `json:"revocable"`
}

// The prefixes of opaque tokens, by which people and secret scanners know them.
const (
	refreshPrefix = "naru_ref_"
	codePrefix    = "naru_code_"
	apiPrefix     = "naru_pat_"
)

// opaque makes a token of 256 random bits.
func opaque(prefix string) secret.Secret {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return secret.New(prefix + base64.RawURLEncoding.EncodeToString(b))
}

// hash is what the store keeps of an opaque token. It is random enough that a
// plain hash tells nothing.
func hash(token secret.Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

// scopes are Cloud Foundry's words for what an identity may.
func scopes(admin bool) []string {
	s := []string{"openid", "cloud_controller.read", "cloud_controller.write"}
	if admin {
		s = append(s, "cloud_controller.admin", "uaa.admin")
	}
	return s
}

// sign makes an access token of a session.
func (s *Service) sign(u User, admin bool, session string) (Tokens, error) {
	return s.signed(claims{UserID: u.ID, UserName: u.Name, Origin: u.Origin, Scope: scopes(admin), Session: session}, s.cfg.Clock().Add(s.cfg.Access))
}

// signed fills in what all access tokens have.
func (s *Service) signed(c claims, until time.Time) (Tokens, error) {
	c.RegisteredClaims = jwt.RegisteredClaims{
		Issuer: s.cfg.Issuer, Subject: string(c.UserID), ID: id.New(),
		IssuedAt: jwt.NewNumericDate(s.cfg.Clock()), ExpiresAt: jwt.NewNumericDate(until),
	}
	c.Revocable = true
	t := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	t.Header["kid"] = s.key.id
	text, err := t.SignedString(s.key.private)
	if err != nil {
		return Tokens{}, fmt.Errorf("sign access token: %w", err)
	}
	return Tokens{Access: secret.New(text), Expires: c.ExpiresAt.Time, ID: c.ID, Scope: c.Scope}, nil
}

// Verify returns who a token belongs to: an access token, or an API token. Its
// rights are those of now, not of when it was made. Anything else is
// Unauthenticated.
func (s *Service) Verify(ctx context.Context, token string) (Identity, error) {
	if strings.HasPrefix(token, apiPrefix) {
		return s.verifyAPIToken(ctx, secret.New(token))
	}
	c, err := s.parse(token)
	if err != nil {
		return Identity{}, err
	}
	revoked, err := s.store.Revoked(ctx, c.ID, cmp.Or(c.Session, c.ID))
	if err != nil {
		return Identity{}, err
	}
	if revoked {
		return Identity{}, unauthenticated("the access token was revoked")
	}
	if c.Session == "" {
		if err := s.stands(ctx, c); err != nil {
			return Identity{}, err
		}
	}
	who, err := s.identity(ctx, c.UserID)
	who.Session, who.Token, who.Client, who.Expires = c.Session, c.ID, c.ClientID, c.ExpiresAt.Time
	return who, err
}

// parse checks an access token's signature and dates.
func (s *Service) parse(token string) (claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		if t.Header["kid"] != s.key.id {
			return nil, errors.New("signed with another key")
		}
		return &s.key.private.PublicKey, nil
	}, jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}), jwt.WithIssuer(s.cfg.Issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(s.cfg.Clock), jwt.WithLeeway(time.Second))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return c, unauthenticated("the access token has expired")
	case err != nil || c.ID == "" || c.UserID == "" || c.Session == "" && c.APIToken == "":
		return c, unauthenticated("the access token is not valid")
	}
	return c, nil
}

// identity reads who a user is now.
func (s *Service) identity(ctx context.Context, user UserID) (Identity, error) {
	u, err := s.store.User(ctx, user)
	if fault.Is(err, fault.NotFound) || err == nil && u.Disabled {
		return Identity{}, unauthenticated("the user of this token is not let in any more")
	}
	if err != nil {
		return Identity{}, err
	}
	grants, err := s.store.Grants(ctx, user)
	if err != nil {
		return Identity{}, err
	}
	return Identity{
		UserID: u.ID, Name: u.Name, Origin: u.Origin, Grants: grants,
		Admin: slices.Contains(grants, Grant{Role: Admin}), Features: s.cfg.Features(),
	}, nil
}

func unauthenticated(message string) error {
	return fault.New(fault.Unauthenticated, "", "%s", message).WithTry("naru login")
}
