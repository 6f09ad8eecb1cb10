//go:build linux

package server

import (
	"context"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/config"
	"naru/internal/observe/drain"
	"naru/internal/pipeline/provide"
	"naru/internal/pipeline/quota"
	"naru/internal/run/launch"
	"naru/internal/store"
)

// newProvided wires what apps are provided with, and tells it to their instances.
func newProvided(cfg config.Config, st *store.Store, safe *vault.Vault, drains *drain.Desk, launcher *launch.Launcher) *provide.Desk {
	desk := provide.New(countedServices{st, quota.NewDesk(st)}, safe, drains, cfg.Services.Max)
	api := AppsURL(cfg, "api."+cfg.PlatformDomain())
	launcher.Surround(func(ctx context.Context, a app.App, space app.Space) (s launch.Surroundings, err error) {
		s.API = api
		if s.Org, err = st.Org(ctx, space.Org); err != nil {
			return s, err
		}
		routes, err := st.RoutesOf(ctx, a.ID)
		if err != nil {
			return s, err
		}
		for _, r := range routes {
			if r.TCP == nil && r.When == nil {
				s.URIs = append(s.URIs, r.Name())
			}
		}
		if s.Bound, err = desk.Bound(ctx, a.ID); err != nil {
			return s, err
		}
		s.Variables, err = desk.Variables(ctx, provide.Running)
		return s, err
	})
	return desk
}
