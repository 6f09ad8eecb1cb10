//go:build linux

package server

import (
	"context"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/provide"
)

// bindables are the services of a desk as manifests name them.
type bindables struct{ desk *provide.Desk }

// ServiceNames are those of a space.
func (b bindables) ServiceNames(ctx context.Context, space app.SpaceID) (names []string, err error) {
	all, err := b.desk.Services(ctx, space)
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names, err
}

// BoundTo are the services that an app has.
func (b bindables) BoundTo(ctx context.Context, a app.ID) (out []deliver.Binding, err error) {
	all, err := b.desk.Bindings(ctx, service.Find{Apps: []app.ID{a}})
	for _, one := range all {
		out = append(out, deliver.Binding{Service: one.ServiceName, Name: one.Name})
	}
	return out, err
}

// bindDeclared binds the services that a manifest names to its app.
func bindDeclared(desk *provide.Desk) deliver.Declare {
	return func(ctx context.Context, actor string, a app.App, d deliver.Declaration) error {
		for _, b := range d.Bindings {
			if _, _, err := desk.BindNamed(ctx, operation.Ask{Actor: actor}, a.ID, b.Service, b.Name); err != nil {
				return err
			}
		}
		return nil
	}
}
