package client

import (
	"context"
	"time"
)

// Org owns spaces.
type Org struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels,omitempty" doc:"what people wrote on it"`
	CreatedAt time.Time         `json:"created_at"`
}

// Space owns apps, routes and credentials.
type Space struct {
	ID        string            `json:"id"`
	Org       string            `json:"org" doc:"org name"`
	Name      string            `json:"name"`
	AllowRoot bool              `json:"allow_root" doc:"images without a numeric user may run as their root"`
	Labels    map[string]string `json:"labels,omitempty" doc:"what people wrote on it"`
	CreatedAt time.Time         `json:"created_at"`
}

// NewOrg is an org to be made.
type NewOrg struct {
	Name string `json:"name" minLength:"1" maxLength:"255" doc:"org name"`
}

// NewSpace is a space to be made.
type NewSpace struct {
	Name string `json:"name" minLength:"1" maxLength:"255" doc:"space name"`
}

// SpaceChange changes a space; what is absent stays.
type SpaceChange struct {
	AllowRoot *bool `json:"allow_root,omitempty" doc:"images without a numeric user may run as their root"`
}

// Credential is what opens a private git host or registry. Its password is
// never told again.
type Credential struct {
	Host      string    `json:"host" doc:"host name, with port where it has one"`
	Kind      string    `json:"kind" enum:"git,registry" doc:"what the host is"`
	User      string    `json:"user,omitempty"`
	UpdatedAt time.Time `json:"updated_at"`
}

// NewCredential is a credential to be kept.
type NewCredential struct {
	Kind     string `json:"kind,omitempty" enum:"git,registry" doc:"what the host is; absent: found out by trying"`
	User     string `json:"user,omitempty" maxLength:"255" doc:"user name; absent where the host takes a token alone"`
	Password string `json:"password" minLength:"1" maxLength:"65536" doc:"password or token"`
}

// String prints stars.
func (NewCredential) String() string { return "***" }

// Orgs lists the orgs that one may see.
func (c *Client) Orgs(ctx context.Context, p Page) (List[Org], error) {
	return list[Org](ctx, c, "/v1/orgs", p.query())
}

// Org returns an org by name or id.
func (c *Client) Org(ctx context.Context, org string) (o Org, err error) {
	err = c.get(ctx, join("/v1/orgs", org), nil, &o)
	return o, err
}

// CreateOrg makes an org.
func (c *Client) CreateOrg(ctx context.Context, name string) (o Org, err error) {
	err = c.post(ctx, "/v1/orgs", NewOrg{name}, &o)
	return o, err
}

// DeleteOrg removes an org without spaces.
func (c *Client) DeleteOrg(ctx context.Context, org string) error {
	return c.remove(ctx, join("/v1/orgs", org), nil)
}

// Spaces lists the spaces of an org that one may see.
func (c *Client) Spaces(ctx context.Context, org string, p Page) (List[Space], error) {
	return list[Space](ctx, c, join("/v1/orgs", org, "spaces"), p.query())
}

// CreateSpace makes a space.
func (c *Client) CreateSpace(ctx context.Context, org, name string) (s Space, err error) {
	err = c.post(ctx, join("/v1/orgs", org, "spaces"), NewSpace{name}, &s)
	return s, err
}

// InSpace is a client that works in one space.
type InSpace struct {
	c    *Client
	path string
}

// The org and space meant when none is named. They exist from the first start.
const (
	DefaultOrg   = "default"
	DefaultSpace = "dev"
)

// In returns the client for a space, by names or ids; "" means the default.
func (c *Client) In(org, space string) *InSpace {
	if org == "" {
		org = DefaultOrg
	}
	if space == "" {
		space = DefaultSpace
	}
	return &InSpace{c, join("/v1/orgs", org, "spaces", space)}
}

// Get returns the space.
func (s *InSpace) Get(ctx context.Context) (sp Space, err error) {
	err = s.c.get(ctx, s.path, nil, &sp)
	return sp, err
}

// Change changes the space.
func (s *InSpace) Change(ctx context.Context, in SpaceChange) (sp Space, err error) {
	err = s.c.patch(ctx, s.path, in, &sp)
	return sp, err
}

// Delete removes the space; one that has apps is a Conflict.
func (s *InSpace) Delete(ctx context.Context) error { return s.c.remove(ctx, s.path, nil) }

// Events lists what happened in the space, newest first.
func (s *InSpace) Events(ctx context.Context, q EventQuery) (List[Event], error) {
	return list[Event](ctx, s.c, s.path+"/events", q.query())
}

// Credentials lists the hosts that the space has credentials for.
func (s *InSpace) Credentials(ctx context.Context) ([]Credential, error) {
	l, err := list[Credential](ctx, s.c, s.path+"/credentials", nil)
	return l.Items, err
}

// SetCredential tries a credential and keeps it.
func (s *InSpace) SetCredential(ctx context.Context, host string, in NewCredential) (c Credential, err error) {
	err = s.c.put(ctx, join(s.path+"/credentials", host), in, &c)
	return c, err
}

// DeleteCredential forgets a credential.
func (s *InSpace) DeleteCredential(ctx context.Context, host string) error {
	return s.c.remove(ctx, join(s.path+"/credentials", host), nil)
}
