package client

import (
	"context"
	"net/url"
	"time"
)

// ServerGroup is a server group as its traffic is looked at.
type ServerGroup struct {
	ID        string    `json:"id"`
	Name      string    `json:"name" doc:"shop-v042, shop--worker-v042"`
	Process   string    `json:"process"`
	Release   int       `json:"release" doc:"number of its release"`
	Weight    int       `json:"weight" doc:"percent of its process type's requests, as planned; instances that are not healthy get none of it"`
	Disabled  bool      `json:"disabled,omitempty" doc:"its instances run and take no traffic"`
	Want      int       `json:"want" doc:"instances wanted"`
	Healthy   int       `json:"healthy" doc:"instances whose check passes"`
	Lingering int       `json:"lingering,omitempty" doc:"instances out of traffic that only have WebSockets and other streams left"`
	Retired   bool      `json:"retired,omitempty" doc:"out of traffic for good: it goes with the last instance that lingers"`
	Health    string    `json:"health" enum:"healthy,degraded,starting,crashed,empty"`
	Breaker   string    `json:"breaker,omitempty" enum:"open,half-open" doc:"of a gateway, for a route that wants one: open keeps requests away because too many failed, half-open lets a few try; absent: closed"`
	Traffic   *Traffic  `json:"traffic,omitempty" doc:"in the last minute; absent without a request"`
	Rollout   string    `json:"rollout,omitempty" enum:"old,new" doc:"its part in the rollout on its way"`
	CreatedAt time.Time `json:"created_at"`
}

// Traffic is what happened in the last minute.
type Traffic struct {
	RequestsPerSecond float64 `json:"requests_per_second"`
	ErrorShare        float64 `json:"error_share" doc:"of the requests, those answered with 5xx: 0 to 1"`
}

// NewGroup is a server group to be made beside those there are. It takes no
// traffic until it is enabled.
type NewGroup struct {
	Release string `json:"release,omitempty" maxLength:"64" doc:"v3 or 3; absent: the current one"`
	Process string `json:"process,omitempty" maxLength:"64" doc:"absent: web"`
	Size    *int   `json:"size,omitempty" minimum:"0" doc:"absent: as many as the app is to have"`
}

// GroupSize is a number of instances of a group.
type GroupSize struct {
	Size  *int `json:"size,omitempty" minimum:"0" doc:"resize: needed; clone: absent as the group it is made from"`
	Force bool `json:"force,omitempty" doc:"also when no healthy instance that takes traffic is left"`
}

// GroupForce says whether a guard may be passed over.
type GroupForce struct {
	Force bool `json:"force,omitempty" doc:"also when no healthy instance that takes traffic is left"`
}

// GroupChange is a change of a server group as the pipeline is asked for it.
type GroupChange struct {
	Action  string
	Group   string // name or id
	Release string
	Process string
	Size    *int
	Force   bool
}

// Groups lists the app's server groups, youngest first.
func (a *InApp) Groups(ctx context.Context) ([]ServerGroup, error) {
	l, err := list[ServerGroup](ctx, a.c, a.path+"/groups", url.Values{})
	return l.Items, err
}

// CreateGroup makes a server group without traffic.
func (a *InApp) CreateGroup(ctx context.Context, in NewGroup) (o Operation, err error) {
	err = a.c.post(ctx, a.path+"/groups", in, &o)
	return o, err
}

// EnableGroup lets a group take its part of the traffic.
func (a *InApp) EnableGroup(ctx context.Context, group string) (Operation, error) {
	return a.group(ctx, group, "enable", struct{}{})
}

// DisableGroup takes a group's traffic away; its instances go on.
func (a *InApp) DisableGroup(ctx context.Context, group string, force bool) (Operation, error) {
	return a.group(ctx, group, "disable", GroupForce{force})
}

// ResizeGroup sets how many instances a group has.
func (a *InApp) ResizeGroup(ctx context.Context, group string, size int, force bool) (Operation, error) {
	return a.group(ctx, group, "resize", GroupSize{&size, force})
}

// CloneGroup makes a group of the same release, without traffic.
func (a *InApp) CloneGroup(ctx context.Context, group string, size *int) (Operation, error) {
	return a.group(ctx, group, "clone", GroupSize{Size: size})
}

// DestroyGroup takes a group's instances away and removes it.
func (a *InApp) DestroyGroup(ctx context.Context, group string, force bool) (Operation, error) {
	return a.group(ctx, group, "destroy", GroupForce{force})
}

func (a *InApp) group(ctx context.Context, group, what string, in any) (o Operation, err error) {
	err = a.c.post(ctx, join(a.path+"/groups", group)+"/"+what, in, &o)
	return o, err
}
