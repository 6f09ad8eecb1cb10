//go:build linux

package server

import (
	"context"

	"naru/internal/app/service"
	"naru/internal/event"
	"naru/internal/pipeline/quota"
	"naru/internal/route"
	"naru/internal/store"
)

// namespaces are domains, as many as quotas allow.
type namespaces struct {
	*store.Store
	desk *quota.Desk
}

// CreateDomain keeps a domain for which there is room.
func (n namespaces) CreateDomain(ctx context.Context, d route.Domain, evs ...event.Event) (route.Domain, error) {
	err := n.Together(ctx, func(ctx context.Context) (err error) {
		if d.Org != "" {
			if err := n.desk.Domain(ctx, d.Org); err != nil {
				return err
			}
		}
		d, err = n.Store.CreateDomain(ctx, d, evs...)
		return err
	})
	return d, err
}

// countedServices are services, as many as quotas allow.
type countedServices struct {
	*store.Store
	desk *quota.Desk
}

// AddService keeps a service for which there is room.
func (c countedServices) AddService(ctx context.Context, one service.Service, sealed string, evs ...event.Event) (service.Service, error) {
	err := c.Together(ctx, func(ctx context.Context) (err error) {
		if err := c.desk.Service(ctx, one.Space); err != nil {
			return err
		}
		one, err = c.Store.AddService(ctx, one, sealed, evs...)
		return err
	})
	return one, err
}
