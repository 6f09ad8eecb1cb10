package client

import (
	"context"
	"log/slog"
	"time"
)

// User is an account.
type User struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// NewUser is a user to be made.
type NewUser struct {
	Name     string `json:"name" minLength:"1" maxLength:"255" doc:"user name"`
	Password string `json:"password" minLength:"8" maxLength:"1024" doc:"the user's first password"`
	Admin    bool   `json:"admin,omitempty" doc:"may do everything"`
}

// LogValue logs the name only.
func (u NewUser) LogValue() slog.Value { return slog.StringValue(u.Name) }

// Password is a new password.
type Password struct {
	Old string `json:"old,omitempty" maxLength:"1024" doc:"the present password; needed to change one's own"`
	New string `json:"new" minLength:"8" maxLength:"1024" doc:"the password from now on"`
}

// LogValue logs stars.
func (Password) LogValue() slog.Value { return slog.StringValue("***") }

// Grant gives a user a role on the platform, in an org or in a space.
type Grant struct {
	User  string `json:"user" doc:"user name"`
	Role  string `json:"role" doc:"as Cloud Foundry names it: admin, organization_manager, space_developer, ..."`
	Org   string `json:"org,omitempty" doc:"org name; absent for the platform"`
	Space string `json:"space,omitempty" doc:"space name; absent for an org or the platform"`
}

// Me is who asks.
type Me struct {
	User      User      `json:"user"`
	Grants    []Grant   `json:"grants" doc:"what the user may do where"`
	ExpiresAt time.Time `json:"expires_at,omitzero" doc:"end of the token that was sent"`
}

// APIToken is a token for programs.
type APIToken struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Token     string    `json:"token,omitempty" doc:"the token itself; only in the answer that makes it"`
}

// LogValue logs the name only.
func (t APIToken) LogValue() slog.Value { return slog.StringValue(t.Name) }

// NewAPIToken is an API token to be made.
type NewAPIToken struct {
	Name     string   `json:"name" minLength:"1" maxLength:"255" doc:"what it is for"`
	Lifetime Duration `json:"lifetime,omitempty" doc:"how long it works, such as 720h; absent: the server's default"`
}

// Me asks who the token belongs to.
func (c *Client) Me(ctx context.Context) (m Me, err error) {
	err = c.get(ctx, "/v1/me", nil, &m)
	return m, err
}

// ChangePassword changes one's own password.
func (c *Client) ChangePassword(ctx context.Context, old, now string) error {
	return c.put(ctx, "/v1/me/password", Password{Old: old, New: now}, nil)
}

// APITokens lists one's own API tokens.
func (c *Client) APITokens(ctx context.Context) ([]APIToken, error) {
	l, err := list[APIToken](ctx, c, "/v1/me/tokens", nil)
	return l.Items, err
}

// CreateAPIToken makes an API token of one's own.
func (c *Client) CreateAPIToken(ctx context.Context, in NewAPIToken) (t APIToken, err error) {
	err = c.post(ctx, "/v1/me/tokens", in, &t)
	return t, err
}

// DeleteAPIToken ends an API token of one's own.
func (c *Client) DeleteAPIToken(ctx context.Context, id string) error {
	return c.remove(ctx, join("/v1/me/tokens", id), nil)
}

// Users lists all users.
func (c *Client) Users(ctx context.Context, p Page) (List[User], error) {
	return list[User](ctx, c, "/v1/users", p.query())
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, in NewUser) (u User, err error) {
	err = c.post(ctx, "/v1/users", in, &u)
	return u, err
}

// DeleteUser removes a user, by name or id; every token of theirs ends.
func (c *Client) DeleteUser(ctx context.Context, user string) error {
	return c.remove(ctx, join("/v1/users", user), nil)
}

// SetPassword gives a user another password.
func (c *Client) SetPassword(ctx context.Context, user, password string) error {
	return c.put(ctx, join("/v1/users", user, "password"), Password{New: password}, nil)
}

// grants is where the grants of a place are: the platform, an org, a space.
func grantsPath(org, space string) string {
	switch {
	case org == "":
		return "/v1/grants"
	case space == "":
		return join("/v1/orgs", org, "grants")
	}
	return join("/v1/orgs", org, "spaces", space, "grants")
}

// Grants lists who has which role in a place: on the platform (org and space
// are ""), in an org, in a space.
func (c *Client) Grants(ctx context.Context, org, space string) ([]Grant, error) {
	l, err := list[Grant](ctx, c, grantsPath(org, space), nil)
	return l.Items, err
}

// Grant gives a role. Giving it twice is no error.
func (c *Client) Grant(ctx context.Context, g Grant) error {
	return c.put(ctx, join(grantsPath(g.Org, g.Space), g.Role, g.User), nil, nil)
}

// Revoke takes a role away. Taking one that is not there is no error.
func (c *Client) Revoke(ctx context.Context, g Grant) error {
	return c.remove(ctx, join(grantsPath(g.Org, g.Space), g.Role, g.User), nil)
}
