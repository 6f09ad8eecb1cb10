package api

import (
	"context"
	"slices"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/quota"
)

// Quotas is where quotas are looked up and changed.
type Quotas interface {
	Quota(ctx context.Context, id quota.ID) (quota.Quota, error)
	QuotaNamed(ctx context.Context, org app.OrgID, name string) (quota.Quota, error)
	Quotas(ctx context.Context) ([]quota.Quota, error)
	QuotaHolders(ctx context.Context) (map[string]quota.ID, error)
	QuotaOfOrg(ctx context.Context, org app.OrgID) (quota.Held, error)
	Used(ctx context.Context, h quota.Held) (map[quota.Resource]int, error)
	Create(ctx context.Context, by string, q quota.Quota) (quota.Quota, error)
	Change(ctx context.Context, by string, id quota.ID, name string, change quota.Change) (quota.Quota, error)
	Delete(ctx context.Context, by string, id quota.ID) error
	Assign(ctx context.Context, by string, id quota.ID, org app.Org, space app.Space) error
	Unassign(ctx context.Context, by string, org app.Org, space app.Space) error
}

// quotaRoutes are the routes of quotas: those of organisations are the platform's,
// those of spaces their organisation's.
func (s *server) quotaRoutes(org, space string) []Route {
	out := []Route{
		{get, org + "/quota", auth.OrgRead, "The quota of an organisation, and what is used of it", call(s.quotaOfOrg)},
		{put, org + "/quota", auth.PlatformManage, "Give an organisation a quota", done(s.assignQuota)},
		{get, space + "/quota", auth.SpaceRead, "The quota of a space, and what is used of it", call(s.quotaOfSpace)},
		{put, space + "/quota", auth.OrgManage, "Give a space a quota", done(s.assignQuota)},
		{remove, space + "/quota", auth.OrgManage, "Leave a space without a quota of its own", done(s.unassignQuota)},
	}
	for _, p := range []struct {
		path, of    string
		read, write auth.Action
	}{{"/v1/quotas", "organisations", auth.PlatformRead, auth.PlatformManage}, {org + "/quotas", "spaces", auth.OrgRead, auth.OrgManage}} {
		out = append(out,
			Route{get, p.path, p.read, "List the quotas of " + p.of, call(s.listQuotas)},
			Route{post, p.path, p.write, "Make a quota of " + p.of, create(s.createQuota)},
			Route{get, p.path + "/{quota}", p.read, "Get a quota of " + p.of, call(s.getQuota)},
			Route{patch, p.path + "/{quota}", p.write, "Change a quota of " + p.of, call(s.changeQuota)},
			Route{remove, p.path + "/{quota}", p.write, "Delete a quota of " + p.of, done(s.deleteQuota)},
		)
	}
	return out
}

// QuotaPath names a quota; exported because huma looks into exported fields only.
type QuotaPath struct {
	Quota string `path:"quota" doc:"quota, by name or id"`
}

func (s *server) findQuota(ctx context.Context, name string, org app.OrgID) (quota.Quota, error) {
	q, err := find(ctx, name, s.Quotas.Quota, func() (quota.Quota, error) { return s.Quotas.QuotaNamed(ctx, org, name) })
	if err == nil && q.Org != org {
		return q, fault.New(fault.NotFound, "quota", "quota %q does not exist", name).WithTry("naru quotas")
	}
	return q, err
}

// holdersOf are the names of the places that were given quotas, of those that who
// asks may see.
func (s *server) holdersOf(ctx context.Context, org app.Org) (map[quota.ID][]string, error) {
	given, err := s.Quotas.QuotaHolders(ctx)
	if err != nil {
		return nil, err
	}
	who, out := requestOf(ctx).who, map[quota.ID][]string{}
	if org.ID != "" {
		spaces, err := s.Places.Spaces(ctx, org.ID)
		for _, sp := range spaces {
			if q, ok := given[string(sp.ID)]; ok && auth.Sees(who, org.ID, sp.ID) {
				out[q] = append(out[q], sp.Name)
			}
		}
		return out, err
	}
	orgs, err := s.Places.Orgs(ctx)
	for _, o := range orgs {
		if q, ok := given[string(o.ID)]; ok && auth.Sees(who, o.ID, "") {
			out[q] = append(out[q], o.Name)
		}
	}
	return out, err
}

func quotaOf(q quota.Quota, org string, holders []string) client.Quota {
	out := client.Quota{ID: string(q.ID), Name: q.Name, Org: org, Limits: map[string]int{}, Holders: holders, CreatedAt: q.Created, UpdatedAt: q.Updated}
	for r, n := range q.Limits {
		out.Limits[string(r)] = n
	}
	return out
}

func (s *server) listQuotas(ctx context.Context, _ *nothing) (client.List[client.Quota], error) {
	org := at(ctx).org
	all, err := s.Quotas.Quotas(ctx)
	if err != nil {
		return client.List[client.Quota]{}, err
	}
	holders, err := s.holdersOf(ctx, org)
	all = slices.DeleteFunc(all, func(q quota.Quota) bool { return q.Org != org.ID })
	return whole(all, func(q quota.Quota) client.Quota { return quotaOf(q, org.Name, holders[q.ID]) }), err
}

func (s *server) getQuota(ctx context.Context, in *QuotaPath) (client.Quota, error) {
	org := at(ctx).org
	q, err := s.findQuota(ctx, in.Quota, org.ID)
	if err != nil {
		return client.Quota{}, err
	}
	holders, err := s.holdersOf(ctx, org)
	return quotaOf(q, org.Name, holders[q.ID]), err
}

type newQuotaInput struct{ Body client.NewQuota }

func (s *server) createQuota(ctx context.Context, in *newQuotaInput) (client.Quota, error) {
	org, limits := at(ctx).org, quota.Limits{}
	for r, n := range in.Body.Limits {
		limits[quota.Resource(r)] = n
	}
	q, err := s.Quotas.Create(ctx, requestOf(ctx).who.Name, quota.Quota{Name: in.Body.Name, Org: org.ID, Limits: limits})
	return quotaOf(q, org.Name, nil), err
}

type quotaChangeInput struct {
	QuotaPath
	Body client.QuotaChange
}

func (s *server) changeQuota(ctx context.Context, in *quotaChangeInput) (client.Quota, error) {
	org, change := at(ctx).org, quota.Change{}
	q, err := s.findQuota(ctx, in.Quota, org.ID)
	if err != nil {
		return client.Quota{}, err
	}
	for r, n := range in.Body.Limits {
		change[quota.Resource(r)] = n
	}
	q, err = s.Quotas.Change(ctx, requestOf(ctx).who.Name, q.ID, in.Body.Name, change)
	return quotaOf(q, org.Name, nil), err
}

func (s *server) deleteQuota(ctx context.Context, in *QuotaPath) error {
	q, err := s.findQuota(ctx, in.Quota, at(ctx).org.ID)
	if err != nil {
		return err
	}
	return s.Quotas.Delete(ctx, requestOf(ctx).who.Name, q.ID)
}

// used adds to a quota what is used where it holds.
func (s *server) used(ctx context.Context, h quota.Held, org string) (client.Quota, error) {
	out := quotaOf(h.Quota, org, nil)
	used, err := s.Quotas.Used(ctx, h)
	out.Used = map[string]int{}
	for r, n := range used {
		out.Used[string(r)] = n
	}
	return out, err
}

func (s *server) quotaOfOrg(ctx context.Context, _ *nothing) (client.Quota, error) {
	h, err := s.Quotas.QuotaOfOrg(ctx, at(ctx).org.ID)
	if err != nil {
		return client.Quota{}, err
	}
	return s.used(ctx, h, "")
}

func (s *server) quotaOfSpace(ctx context.Context, _ *nothing) (client.Quota, error) {
	p := at(ctx)
	given, err := s.Quotas.QuotaHolders(ctx)
	if err != nil {
		return client.Quota{}, err
	}
	id, ok := given[string(p.space.ID)]
	if !ok {
		return client.Quota{}, fault.New(fault.NotFound, "quota", "the space %q has no quota of its own", p.space.Name).
			WithTry("naru quota show: that of its organisation holds")
	}
	q, err := s.Quotas.Quota(ctx, id)
	if err != nil {
		return client.Quota{}, err
	}
	return s.used(ctx, quota.Held{Quota: q, Place: p.space.Name, Spaces: []app.SpaceID{p.space.ID}}, p.org.Name)
}

type assignQuotaInput struct{ Body client.AssignedQuota }

func (s *server) assignQuota(ctx context.Context, in *assignQuotaInput) error {
	p, of := at(ctx), app.OrgID("")
	if p.space.ID != "" {
		of = p.org.ID
	}
	q, err := s.findQuota(ctx, in.Body.Quota, of)
	if err != nil {
		return err
	}
	return s.Quotas.Assign(ctx, requestOf(ctx).who.Name, q.ID, p.org, p.space)
}

func (s *server) unassignQuota(ctx context.Context, _ *nothing) error {
	p := at(ctx)
	return s.Quotas.Unassign(ctx, requestOf(ctx).who.Name, p.org, p.space)
}
