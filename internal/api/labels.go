package api

import (
	"context"
	"slices"
	"strings"

	"naru/internal/app/label"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/route"
)

// Labels keeps what people write on things; *store.Store does.
type Labels interface {
	// LabelsOf leaves out things that nothing is written on.
	LabelsOf(ctx context.Context, kind string, ids ...string) (map[string]label.Set, error)
	SetLabels(ctx context.Context, on label.Thing, change label.Change, evs ...event.Event) (label.Set, error)
	// Domains lists the domains that were made.
	Domains(ctx context.Context) ([]route.Domain, error)
}

// labelRoutes are the routes of what is written on things: it takes what changing
// the thing takes.
func (s *server) labelRoutes(org, space, one string) []Route {
	return slices.Concat(
		labelled(s, org, "an organisation", auth.OrgRead, auth.OrgManage, s.orgLabelled, labelInput.parted),
		labelled(s, org+"/domains/{domain}", "a domain", auth.OrgRead, auth.OrgManage, s.domainLabelled, domainLabelInput.parted),
		labelled(s, space, "a space", auth.SpaceRead, auth.SpaceManage, s.spaceLabelled, labelInput.parted),
		labelled(s, space+"/routes/{route}", "a route", auth.SpaceRead, auth.RouteWrite, s.routeLabelled, routeLabelInput.parted),
		labelled(s, space+"/services/{service}", "a service", auth.SpaceRead, auth.AppWrite, s.serviceLabelled, serviceLabelInput.parted),
		labelled(s, one, "an app", auth.SpaceRead, auth.AppWrite, s.appLabelled, labelInput.parted),
	)
}

// thing is what can be written on, as people call it.
type thing struct {
	label.Thing
	subject string
}

// labelled are the two routes of a kind of things, one of which find finds by what
// its path names.
func labelled[I, C any](s *server, path, what string, read, write auth.Action, find func(context.Context, *I) (thing, error), parted func(C) (I, client.LabelChange)) []Route {
	return []Route{
		{get, path + "/labels", read, "The labels and annotations of " + what, call(func(ctx context.Context, in *I) (client.Labels, error) {
			on, err := find(ctx, in)
			if err != nil {
				return client.Labels{}, err
			}
			written, err := s.Labels.LabelsOf(ctx, on.Kind, on.ID)
			return labelsOf(written[on.ID]), err
		})},
		{patch, path + "/labels", write, "Change the labels and annotations of " + what, call(func(ctx context.Context, in *C) (client.Labels, error) {
			of, change := parted(*in)
			on, err := find(ctx, &of)
			if err != nil {
				return client.Labels{}, err
			}
			return s.label(ctx, on, change)
		})},
	}
}

type labelInput struct{ Body client.LabelChange }

func (in labelInput) parted() (nothing, client.LabelChange) { return nothing{}, in.Body }

type routeLabelInput struct {
	Route string `path:"route" maxLength:"2048" doc:"id or name; the name is host and path, with %2F for /, and the condition behind a space"`
	Body  client.LabelChange
}

func (in routeLabelInput) parted() (routePath, client.LabelChange) {
	return routePath{in.Route}, in.Body
}

type serviceLabelInput struct {
	Service string `path:"service" maxLength:"255" doc:"name of the service"`
	Body    client.LabelChange
}

func (in serviceLabelInput) parted() (servicePath, client.LabelChange) {
	return servicePath{in.Service}, in.Body
}

type domainLabelInput struct {
	DomainPath
	Body client.LabelChange
}

func (in domainLabelInput) parted() (DomainPath, client.LabelChange) { return in.DomainPath, in.Body }

func (s *server) label(ctx context.Context, on thing, in client.LabelChange) (client.Labels, error) {
	change := label.Change{Labels: in.Labels, Annotations: in.Annotations}
	if err := change.Check(); err != nil {
		return client.Labels{}, err
	}
	set, err := s.Labels.SetLabels(ctx, on.Thing, change, change.Events(on.Thing, requestOf(ctx).who.Name, on.subject)...)
	return labelsOf(set), err
}

// labelsOn are the labels of one thing; nil for none.
func (s *server) labelsOn(ctx context.Context, kind, id string) (map[string]string, error) {
	written, err := s.Labels.LabelsOf(ctx, kind, id)
	return written[id].Labels, err
}

func labelsOf(s label.Set) client.Labels {
	out := client.Labels{Labels: map[string]string{}, Annotations: map[string]string{}}
	if s.Labels != nil {
		out.Labels = s.Labels
	}
	if s.Annotations != nil {
		out.Annotations = s.Annotations
	}
	return out
}

func (s *server) orgLabelled(ctx context.Context, _ *nothing) (thing, error) {
	org := at(ctx).org
	return thing{label.Thing{Kind: label.Orgs, ID: string(org.ID), Org: org.ID}, org.Name}, nil
}

func (s *server) spaceLabelled(ctx context.Context, _ *nothing) (thing, error) {
	p := at(ctx)
	return thing{label.Thing{Kind: label.Spaces, ID: string(p.space.ID), Space: p.space.ID}, p.org.Name + "/" + p.space.Name}, nil
}

func (s *server) appLabelled(ctx context.Context, _ *nothing) (thing, error) {
	a := at(ctx).app
	return thing{label.Thing{Kind: label.Apps, ID: string(a.ID), App: a.ID}, a.Name}, nil
}

func (s *server) routeLabelled(ctx context.Context, in *routePath) (thing, error) {
	r, err := s.routeHere(ctx, in.Route)
	return thing{label.Thing{Kind: label.Routes, ID: string(r.ID), Space: r.Space}, r.Name()}, err
}

func (s *server) serviceLabelled(ctx context.Context, in *servicePath) (thing, error) {
	one, err := s.service(ctx, in.Service)
	return thing{label.Thing{Kind: label.Services, ID: string(one.ID), Space: at(ctx).space.ID}, one.Name}, err
}

// DomainPath names a domain; exported because huma looks into exported fields only.
type DomainPath struct {
	Domain string `path:"domain" maxLength:"255" doc:"name of the domain of the apps, of one that all organisations share, or of one of the organisation's"`
}

// domainLabelled finds a domain that the organisation may use. One that is not its
// own is changed by who may change all.
func (s *server) domainLabelled(ctx context.Context, in *DomainPath) (thing, error) {
	rq, org := requestOf(ctx), at(ctx).org
	all, err := s.Labels.Domains(ctx)
	if err != nil {
		return thing{}, err
	}
	all = append(all, route.Domain{ID: route.DomainID(id.Named("domain", s.cfg.AppsDomain)), Name: s.cfg.AppsDomain})
	i := slices.IndexFunc(all, func(d route.Domain) bool { return d.Name == in.Domain && d.For(org.ID) })
	if i < 0 {
		return thing{}, fault.New(fault.NotFound, "domain", "%s does not exist", quoted("domain", in.Domain))
	}
	d := all[i]
	if strings.HasPrefix(rq.route, patch) && !auth.Can(rq.who, auth.OrgManage, d.Org, "") {
		return thing{}, fault.New(fault.Denied, "domain", "the domain %q is not this organisation's alone", d.Name).
			WithTry("ask an admin, or a manager of the organisation that has it")
	}
	return thing{label.Thing{Kind: label.Domains, ID: string(d.ID), Org: d.Org}, d.Name}, nil
}
