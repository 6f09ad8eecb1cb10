package client

import (
	"context"
	"time"
)

// Quota is a named set of limits, of organisations or of spaces of one.
type Quota struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Org       string         `json:"org,omitempty" doc:"organisation whose spaces it is for; absent: it is for organisations"`
	Limits    map[string]int `json:"limits" doc:"by resource: memory and process_memory in MiB, log_rate in bytes per second, instances, app_tasks, routes, ports, services, service_keys, domains; paid_services 0 allows none that cost; what is absent is not limited"`
	Used      map[string]int `json:"used,omitempty" doc:"by resource, where the quota is asked for by its place"`
	Holders   []string       `json:"holders,omitempty" doc:"organisations, or spaces, that were given it"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
}

// NewQuota is a quota to be made.
type NewQuota struct {
	Name   string         `json:"name" minLength:"1" maxLength:"255" doc:"quota name"`
	Limits map[string]int `json:"limits,omitempty" doc:"by resource; what is absent is not limited, 0 allows none"`
}

// QuotaChange changes a quota; what is absent stays.
type QuotaChange struct {
	Name   string          `json:"name,omitempty" maxLength:"255" doc:"another name"`
	Limits map[string]*int `json:"limits,omitempty" doc:"by resource; null takes a limit away"`
}

// AssignedQuota names a quota that a place is to have.
type AssignedQuota struct {
	Quota string `json:"quota" minLength:"1" maxLength:"255" doc:"quota, by name or id"`
}

// quotasPath is where the quotas of organisations are, or with org those of its
// spaces.
func quotasPath(org string) string {
	if org == "" {
		return "/v1/quotas"
	}
	return join("/v1/orgs", org, "quotas")
}

// Quotas lists the quotas of organisations, or with org those of its spaces.
func (c *Client) Quotas(ctx context.Context, org string) ([]Quota, error) {
	l, err := list[Quota](ctx, c, quotasPath(org), nil)
	return l.Items, err
}

// Quota returns a quota by name or id.
func (c *Client) Quota(ctx context.Context, org, quota string) (q Quota, err error) {
	err = c.get(ctx, join(quotasPath(org), quota), nil, &q)
	return q, err
}

// CreateQuota makes a quota of organisations, or with org one of its spaces.
func (c *Client) CreateQuota(ctx context.Context, org string, in NewQuota) (q Quota, err error) {
	err = c.post(ctx, quotasPath(org), in, &q)
	return q, err
}

// ChangeQuota changes a quota.
func (c *Client) ChangeQuota(ctx context.Context, org, quota string, in QuotaChange) (q Quota, err error) {
	err = c.patch(ctx, join(quotasPath(org), quota), in, &q)
	return q, err
}

// DeleteQuota removes a quota.
func (c *Client) DeleteQuota(ctx context.Context, org, quota string) error {
	return c.remove(ctx, join(quotasPath(org), quota), nil)
}

// OrgQuota returns the quota of an organisation, with what is used of it.
func (c *Client) OrgQuota(ctx context.Context, org string) (q Quota, err error) {
	err = c.get(ctx, join("/v1/orgs", org, "quota"), nil, &q)
	return q, err
}

// AssignOrgQuota gives an organisation a quota.
func (c *Client) AssignOrgQuota(ctx context.Context, org, quota string) error {
	return c.put(ctx, join("/v1/orgs", org, "quota"), AssignedQuota{quota}, nil)
}

// Quota returns the space's own quota, with what is used of it.
func (s *InSpace) Quota(ctx context.Context) (q Quota, err error) {
	err = s.c.get(ctx, s.path+"/quota", nil, &q)
	return q, err
}

// AssignQuota gives the space a quota of its organisation.
func (s *InSpace) AssignQuota(ctx context.Context, quota string) error {
	return s.c.put(ctx, s.path+"/quota", AssignedQuota{quota}, nil)
}

// UnassignQuota leaves the space without a quota of its own.
func (s *InSpace) UnassignQuota(ctx context.Context) error {
	return s.c.remove(ctx, s.path+"/quota", nil)
}
