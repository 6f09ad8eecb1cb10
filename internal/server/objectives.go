//go:build linux

package server

import (
	"context"
	"strings"

	"naru/internal/observe/collect"
	"naru/internal/store"
)

// Apps returns the places of all apps by their ids.
func (o *observed) Apps(ctx context.Context) (map[string]collect.Place, error) {
	homes, err := o.homes(ctx)
	if err != nil {
		return nil, err
	}
	apps, err := o.state.Apps(ctx, store.AppFilter{})
	if err != nil {
		return nil, err
	}
	out := make(map[string]collect.Place, len(apps))
	for _, a := range apps {
		home := homes[a.ID]
		org, space, _ := strings.Cut(home.Name, "/")
		out[string(a.ID)] = collect.Place{Org: org, Space: space, SpaceID: string(home.Space), App: a.Name}
	}
	return out, nil
}
