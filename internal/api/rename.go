package api

import (
	"context"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/event"
)

type renameInput struct{ Body client.Rename }

func (s *server) renameApp(ctx context.Context, in *renameInput) (client.AppDetail, error) {
	a, err := s.Drafts.Rename(ctx, requestOf(ctx).by(), at(ctx).app.ID, in.Body.Name)
	if err != nil {
		return client.AppDetail{}, err
	}
	return s.detail(ctx, a)
}

func (s *server) renameSpace(ctx context.Context, in *renameInput) (client.Space, error) {
	p, name := at(ctx), in.Body.Name
	if err := app.CheckName("name", name); err != nil || name == p.space.Name {
		return spaceOf(p.org)(p.space), err
	}
	space, err := s.Places.RenameSpace(ctx, p.space.ID, name, event.Event{
		Kind: "space.renamed", Actor: requestOf(ctx).who.Name, Space: string(p.space.ID), Subject: p.org.Name + "/" + name,
		Detail: map[string]any{"before": p.space.Name},
	})
	return spaceOf(p.org)(space), err
}

func (s *server) renameOrg(ctx context.Context, in *renameInput) (client.Org, error) {
	org, name := at(ctx).org, in.Body.Name
	if err := app.CheckName("name", name); err != nil || name == org.Name {
		return orgOf(org), err
	}
	renamed, err := s.Places.RenameOrg(ctx, org.ID, name, event.Event{
		Kind: "org.renamed", Actor: requestOf(ctx).who.Name, Subject: name, Detail: map[string]any{"before": org.Name},
	})
	return orgOf(renamed), err
}
