//go:build linux

package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/build"
	"naru/internal/config"
	"naru/internal/observe/drain"
	"naru/internal/pipeline/provide"
	"naru/internal/pipeline/quota"
	"naru/internal/run/launch"
	"naru/internal/run/vcap"
	"naru/internal/secret"
	"naru/internal/store"
)

// newProvided wires what apps are provided with, and tells it to their instances
// and to the buildpacks that build them.
func newProvided(cfg config.Config, st *store.Store, safe *vault.Vault, drains *drain.Desk, launcher *launch.Launcher, told *around) *provide.Desk {
	told.desk = provide.New(countedServices{st, quota.NewDesk(st)}, safe, drains, cfg.Services.Max)
	launcher.Surround(func(ctx context.Context, a app.App, space app.Space) (s launch.Surroundings, err error) {
		if s, err = told.of(ctx, a, space); err != nil {
			return s, err
		}
		s.Variables, err = told.desk.Variables(ctx, provide.Running)
		return s, err
	})
	return told.desk
}

// around knows what is around an app.
type around struct {
	api   string
	store *store.Store
	desk  *provide.Desk
}

func newAround(cfg config.Config, st *store.Store) *around {
	return &around{api: AppsURL(cfg, "api."+cfg.PlatformDomain()), store: st}
}

// of is where an app is, how people reach it and what is bound to it.
func (r *around) of(ctx context.Context, a app.App, space app.Space) (s launch.Surroundings, err error) {
	s.API = r.api
	if s.Org, err = r.store.Org(ctx, space.Org); err != nil {
		return s, err
	}
	routes, err := r.store.RoutesOf(ctx, a.ID)
	if err != nil {
		return s, err
	}
	for _, one := range routes {
		if one.TCP == nil && one.When == nil {
			s.URIs = append(s.URIs, one.Name())
		}
	}
	s.Bound, err = r.desk.Bound(ctx, a.ID)
	return s, err
}

// hand gives the buildpacks of a request what they are to know of their app. Its
// routes do not change what it is known by, nor do the services' secrets; that
// other services are bound, or others than before, does.
func (r *around) hand(ctx context.Context, req *build.Request) error {
	if len(req.Recipe.Buildpacks) == 0 || req.App == "" {
		return nil
	}
	a, err := r.store.App(ctx, req.App)
	if err != nil {
		return err
	}
	space, err := r.store.Space(ctx, a.Space)
	if err != nil {
		return err
	}
	s, err := r.of(ctx, a, space)
	if err != nil {
		return err
	}
	about, err := vcap.Application{
		API: s.API, Name: a.Name, URIs: s.URIs, SpaceName: space.Name, Space: string(space.ID), Org: string(s.Org.ID), OrgName: s.Org.Name,
		ID: string(a.ID), Version: req.SnapshotDigest, Limits: vcap.Limits{Descriptors: vcap.Descriptors, MemoryMiB: req.MemoryMiB},
	}.Text()
	if err != nil {
		return fmt.Errorf("write VCAP_APPLICATION: %w", err)
	}
	services, err := vcap.Services(s.Bound)
	if err != nil {
		return err
	}
	req.Handed = map[string]secret.Secret{"VCAP_APPLICATION": secret.New(about), "VCAP_SERVICES": secret.New(services)}
	if uri := vcap.Database(s.Bound); uri != "" {
		req.Handed["DATABASE_URL"] = secret.New(uri)
	}
	if len(s.Bound) == 0 {
		return nil
	}
	sum := sha256.New()
	for _, b := range s.Bound {
		fmt.Fprintf(sum, "%s %s %d\n", b.ID, b.Of.ID, b.Of.Updated.UnixNano())
	}
	req.Bound = hex.EncodeToString(sum.Sum(nil)[:8])
	return nil
}
