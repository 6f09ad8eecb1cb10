package client

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"naru/internal/fault"
)

// Tokens are what a login gives. They print as stars.
type Tokens struct {
	AccessToken  string    `json:"access_token" doc:"goes into the header Authorization: Bearer"`
	RefreshToken string    `json:"refresh_token,omitempty" doc:"buys the next pair of tokens, once"`
	ExpiresAt    time.Time `json:"expires_at,omitzero" doc:"end of the access token"`
}

// String prints stars.
func (Tokens) String() string { return "***" }

// GoString prints stars.
func (Tokens) GoString() string { return "***" }

// LogValue logs stars.
func (Tokens) LogValue() slog.Value { return slog.StringValue("***") }

// Session keeps the tokens of one login. Implementations that keep them in a
// file make Update exclusive among processes, because a refresh token works
// only once.
type Session interface {
	// Load returns the tokens as kept; zero where there was no login.
	Load(ctx context.Context) (Tokens, error)

	// Update calls change with the tokens as kept at that moment and keeps what
	// it returns. When change fails nothing is kept.
	Update(ctx context.Context, change func(Tokens) (Tokens, error)) (Tokens, error)
}

// Static is a session of one token that cannot be renewed: an API token.
type Static string

// Load returns the token.
func (s Static) Load(context.Context) (Tokens, error) { return Tokens{AccessToken: string(s)}, nil }

// Update refuses: there is nothing to renew with.
func (Static) Update(context.Context, func(Tokens) (Tokens, error)) (Tokens, error) {
	return Tokens{}, fault.New(fault.Unauthenticated, "", "the token cannot be renewed").WithTry("naru login")
}

// renewBefore is how long before its end an access token is renewed.
const renewBefore = 30 * time.Second

// token returns the access token to send, renewed where it is about to end; ""
// without a session.
func (c *Client) token(ctx context.Context) (string, error) {
	if c.session == nil {
		return "", nil
	}
	t, err := c.session.Load(ctx)
	if err != nil {
		return "", fmt.Errorf("load the login: %w", err)
	}
	if t.RefreshToken == "" || t.ExpiresAt.IsZero() || time.Until(t.ExpiresAt) > renewBefore {
		return t.AccessToken, nil
	}
	return c.renew(ctx, t.AccessToken)
}

// renew exchanges the refresh token, unless somebody else already did since
// stale was read.
func (c *Client) renew(ctx context.Context, stale string) (string, error) {
	t, err := c.session.Update(ctx, func(now Tokens) (Tokens, error) {
		if now.AccessToken != stale {
			return now, nil
		}
		if now.RefreshToken == "" {
			return Tokens{}, fault.New(fault.Unauthenticated, "", "the token ended and cannot be renewed").WithTry("naru login")
		}
		return c.Refresh(ctx, now.RefreshToken)
	})
	return t.AccessToken, err
}

// Login is what a person logs in with.
type Login struct {
	User     string `json:"user" minLength:"1" maxLength:"255" doc:"user name"`
	Password string `json:"password" minLength:"1" maxLength:"1024" doc:"the user's password"`
}

// LogValue logs the name only.
func (l Login) LogValue() slog.Value { return slog.StringValue(l.User) }

// Redeem is a one-time code, as naru up prints it.
type Redeem struct {
	Code string `json:"code" minLength:"1" maxLength:"1024" doc:"one-time code"`
}

// Refresh is a refresh token.
type Refresh struct {
	RefreshToken string `json:"refresh_token" minLength:"1" maxLength:"8192" doc:"as the last login or refresh gave it"`
}

// Login exchanges a name and a password for tokens.
func (c *Client) Login(ctx context.Context, user, password string) (Tokens, error) {
	return c.exchange(ctx, "/v1/auth/login", Login{user, password})
}

// Redeem exchanges a one-time code for tokens.
func (c *Client) Redeem(ctx context.Context, code string) (Tokens, error) {
	return c.exchange(ctx, "/v1/auth/redeem", Redeem{code})
}

// Refresh exchanges a refresh token for a new pair. Calls renew by themselves
// what the session keeps; only tests need this.
func (c *Client) Refresh(ctx context.Context, token string) (Tokens, error) {
	return c.exchange(ctx, "/v1/auth/refresh", Refresh{token})
}

// Logout ends the session of the token that is sent, at once.
func (c *Client) Logout(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/v1/auth/logout"}, nil)
}

func (c *Client) exchange(ctx context.Context, path string, in any) (t Tokens, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: path, in: in, public: true}, &t)
	return t, err
}
