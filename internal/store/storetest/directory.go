package storetest

import (
	"context"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/store"
)

// Directory is people and places as who asks may change them.
type Directory struct {
	*store.Store
	Auth *auth.Service
}

// Grant gives a user a role.
func (d Directory) Grant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error {
	return d.Auth.Grant(ctx, user, g, evs...)
}

// Ungrant takes a role from a user.
func (d Directory) Ungrant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error {
	return d.Auth.Ungrant(ctx, user, g, evs...)
}

// CreateOrg makes an organisation, which somebody manages.
func (d Directory) CreateOrg(ctx context.Context, name string, evs ...event.Event) (app.Org, error) {
	return d.Auth.Found(ctx, func(ctx context.Context) (app.Org, error) { return d.Store.CreateOrg(ctx, name, evs...) })
}
