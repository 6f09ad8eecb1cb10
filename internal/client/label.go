package client

import "context"

// Labels are what people write on a thing: labels, which are searched for, and
// annotations, which are not.
type Labels struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// LabelChange changes what is written on a thing; keys that are absent stay.
type LabelChange struct {
	Labels      map[string]*string `json:"labels,omitempty" maxProperties:"1000" doc:"by key, [PREFIX/]NAME: a value of at most 63 of A-Z a-z 0-9 _ . -; null takes a key away"`
	Annotations map[string]*string `json:"annotations,omitempty" maxProperties:"1000" doc:"by key: any text of at most 5,000 characters; null takes a key away"`
}

// Rename is another name for something.
type Rename struct {
	Name string `json:"name" minLength:"1" maxLength:"255"`
}

// InLabels is a client that works on what is written on one thing.
type InLabels struct {
	c    *Client
	path string
}

// Labels returns the client for what is written on the app.
func (a *InApp) Labels() *InLabels { return &InLabels{a.c, a.path + "/labels"} }

// Labels returns the client for what is written on the space.
func (s *InSpace) Labels() *InLabels { return &InLabels{s.c, s.path + "/labels"} }

// RouteLabels returns the client for what is written on a route, given by id or
// by name.
func (s *InSpace) RouteLabels(route string) *InLabels {
	return &InLabels{s.c, join(s.path+"/routes", route, "labels")}
}

// ServiceLabels returns the client for what is written on a service.
func (s *InSpace) ServiceLabels(service string) *InLabels {
	return &InLabels{s.c, join(s.path+"/services", service, "labels")}
}

// OrgLabels returns the client for what is written on an org.
func (c *Client) OrgLabels(org string) *InLabels {
	return &InLabels{c, join("/v1/orgs", org, "labels")}
}

// DomainLabels returns the client for what is written on a domain that an org
// may use.
func (c *Client) DomainLabels(org, domain string) *InLabels {
	return &InLabels{c, join("/v1/orgs", org, "domains", domain, "labels")}
}

// Get returns what is written.
func (l *InLabels) Get(ctx context.Context) (out Labels, err error) {
	err = l.c.get(ctx, l.path, nil, &out)
	return out, err
}

// Change changes what is written, and returns what is then.
func (l *InLabels) Change(ctx context.Context, in LabelChange) (out Labels, err error) {
	err = l.c.patch(ctx, l.path, in, &out)
	return out, err
}

// Rename gives the app another name. Its host, its images and the names of its
// groups stay.
func (a *InApp) Rename(ctx context.Context, name string) (d AppDetail, err error) {
	err = a.c.post(ctx, a.path+"/rename", Rename{name}, &d)
	return d, err
}

// Rename gives the space another name; one that has apps is a Conflict.
func (s *InSpace) Rename(ctx context.Context, name string) (sp Space, err error) {
	err = s.c.post(ctx, s.path+"/rename", Rename{name}, &sp)
	return sp, err
}

// RenameOrg gives an org another name; one that has apps is a Conflict.
func (c *Client) RenameOrg(ctx context.Context, org, name string) (o Org, err error) {
	err = c.post(ctx, join("/v1/orgs", org, "rename"), Rename{name}, &o)
	return o, err
}
