package api

import (
	"context"
	"slices"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/auth"
	"naru/internal/auth/vault"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/secret"
)

func (s *server) listOrgs(ctx context.Context, in *SelectInput) (out client.List[client.Org], err error) {
	all, err := s.Places.Orgs(ctx)
	if err != nil {
		return out, err
	}
	who := requestOf(ctx).who
	all = slices.DeleteFunc(all, func(o app.Org) bool { return !auth.Sees(who, o.ID, "") })
	name := func(o app.Org) string { return o.Name }
	orgs, size, written, err := labelledPage(ctx, s, *in, label.Orgs, name, func(o app.Org) string { return string(o.ID) }, fetchFrom(all, name))
	if err != nil {
		return out, err
	}
	return cut(orgs, size, func(o app.Org) client.Org {
		shown := orgOf(o)
		shown.Labels = written[string(o.ID)].Labels
		return shown
	}, name), nil
}

type newOrgInput struct{ Body client.NewOrg }

func (s *server) createOrg(ctx context.Context, in *newOrgInput) (client.Org, error) {
	if err := app.CheckName("name", in.Body.Name); err != nil {
		return client.Org{}, err
	}
	org, err := s.Places.CreateOrg(ctx, in.Body.Name, event.Event{Kind: "org.created", Actor: requestOf(ctx).who.Name, Subject: in.Body.Name})
	return orgOf(org), err
}

func (s *server) getOrg(ctx context.Context, _ *nothing) (client.Org, error) {
	out := orgOf(at(ctx).org)
	var err error
	out.Labels, err = s.labelsOn(ctx, label.Orgs, out.ID)
	return out, err
}

func (s *server) deleteOrg(ctx context.Context, _ *nothing) error {
	org := at(ctx).org
	return s.Places.DeleteOrg(ctx, org.ID, event.Event{Kind: "org.deleted", Actor: requestOf(ctx).who.Name, Subject: org.Name})
}

func (s *server) listSpaces(ctx context.Context, in *SelectInput) (out client.List[client.Space], err error) {
	org, who := at(ctx).org, requestOf(ctx).who
	all, err := s.Places.Spaces(ctx, org.ID)
	if err != nil {
		return out, err
	}
	all = slices.DeleteFunc(all, func(sp app.Space) bool { return !auth.Sees(who, org.ID, sp.ID) })
	name := func(sp app.Space) string { return sp.Name }
	spaces, size, written, err := labelledPage(ctx, s, *in, label.Spaces, name, func(sp app.Space) string { return string(sp.ID) }, fetchFrom(all, name))
	if err != nil {
		return out, err
	}
	return cut(spaces, size, func(sp app.Space) client.Space {
		shown := spaceOf(org)(sp)
		shown.Labels = written[string(sp.ID)].Labels
		return shown
	}, name), nil
}

type newSpaceInput struct{ Body client.NewSpace }

func (s *server) createSpace(ctx context.Context, in *newSpaceInput) (client.Space, error) {
	org := at(ctx).org
	if err := app.CheckName("name", in.Body.Name); err != nil {
		return client.Space{}, err
	}
	space, err := s.Places.CreateSpace(ctx, org.ID, in.Body.Name,
		event.Event{Kind: "space.created", Actor: requestOf(ctx).who.Name, Subject: org.Name + "/" + in.Body.Name})
	return spaceOf(org)(space), err
}

func (s *server) getSpace(ctx context.Context, _ *nothing) (client.Space, error) {
	out := spaceOf(at(ctx).org)(at(ctx).space)
	var err error
	out.Labels, err = s.labelsOn(ctx, label.Spaces, out.ID)
	return out, err
}

type spaceChangeInput struct{ Body client.SpaceChange }

func (s *server) changeSpace(ctx context.Context, in *spaceChangeInput) (client.Space, error) {
	p := at(ctx)
	if in.Body.AllowRoot == nil {
		return spaceOf(p.org)(p.space), nil
	}
	space, err := s.Places.UpdateSpace(ctx, p.space.ID, func(sp *app.Space) error {
		sp.AllowRoot = *in.Body.AllowRoot
		return nil
	}, event.Event{
		Kind: "space.changed", Actor: requestOf(ctx).who.Name, Space: string(p.space.ID), Subject: p.org.Name + "/" + p.space.Name,
		Detail: map[string]any{"allow_root": *in.Body.AllowRoot},
	})
	return spaceOf(p.org)(space), err
}

func (s *server) deleteSpace(ctx context.Context, _ *nothing) error {
	p := at(ctx)
	return s.Places.DeleteSpace(ctx, p.space.ID, event.Event{
		Kind: "space.deleted", Actor: requestOf(ctx).who.Name, Space: string(p.space.ID), Subject: p.org.Name + "/" + p.space.Name,
	})
}

func (s *server) listCredentials(ctx context.Context, _ *nothing) (client.List[client.Credential], error) {
	all, err := s.Credentials.Credentials(ctx, at(ctx).space.ID)
	return whole(all, credentialOf), err
}

type credentialInput struct {
	Host string `path:"host" maxLength:"255" doc:"host name, with port where it has one"`
	Body client.NewCredential
}

func (s *server) setCredential(ctx context.Context, in *credentialInput) (client.Credential, error) {
	c, err := s.Credentials.SetCredential(ctx, requestOf(ctx).by(), vault.Credential{
		Space: at(ctx).space.ID, Host: in.Host, Kind: vault.Kind(in.Body.Kind), Username: in.Body.User,
	}, secret.New(in.Body.Password))
	return credentialOf(c), err
}

type credentialPath struct {
	Host string `path:"host" doc:"host name, with port where it has one"`
	Kind string `query:"kind" enum:"git,registry" doc:"absent: all for the host"`
}

func (s *server) deleteCredential(ctx context.Context, in *credentialPath) error {
	return s.Credentials.DeleteCredential(ctx, requestOf(ctx).by(), at(ctx).space.ID, in.Host, vault.Kind(in.Kind))
}
