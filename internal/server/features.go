//go:build linux

package server

import (
	"context"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/feature"
	"naru/internal/store"
)

// newSwitches reads which features are switched.
func newSwitches(ctx context.Context, st *store.Store) (*feature.Book, error) {
	switches := feature.NewBook(st)
	return switches, switches.Load(ctx)
}

// directory is people and places as who asks may change them.
type directory struct {
	*store.Store
	auth *auth.Service
}

// Grant gives a user a role.
func (d directory) Grant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error {
	return d.auth.Grant(ctx, user, g, evs...)
}

// Ungrant takes a role from a user.
func (d directory) Ungrant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error {
	return d.auth.Ungrant(ctx, user, g, evs...)
}

// CreateOrg makes an organisation, which somebody manages.
func (d directory) CreateOrg(ctx context.Context, name string, evs ...event.Event) (app.Org, error) {
	return d.auth.Found(ctx, func(ctx context.Context) (app.Org, error) { return d.Store.CreateOrg(ctx, name, evs...) })
}
