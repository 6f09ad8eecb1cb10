package deliver_test

import (
	"context"
	"errors"
	"testing"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/pipeline/deliver"
	"naru/internal/release"
)

// without is a context in which somebody asks while a feature is switched off.
func without(ctx context.Context, n feature.Name, admin bool) context.Context {
	return feature.As(ctx, feature.Asker{Admin: admin, Features: feature.Set{n: {Name: n}}})
}

func isOff(err error) feature.Name {
	var off *feature.Disabled
	if !errors.As(err, &off) || !fault.Is(err, fault.Denied) {
		return ""
	}
	return off.Name
}

func instances(n int) map[string]client.PushedProcess {
	return map[string]client.PushedProcess{app.Web: {Instances: &n}}
}

func TestFeaturesThatAreOffAreRefused(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	shop := p.shop(t, w) // of an image that was not built here
	groups, err := p.store.Groups(t.Context(), shop)
	if err != nil || len(groups) == 0 {
		t.Fatalf("groups %v, %v", groups, err)
	}
	releases, err := p.store.Releases(t.Context(), shop, 1)
	if err != nil || len(releases) != 1 {
		t.Fatalf("releases %v, %v", releases, err)
	}
	there, err := p.store.RoutesOf(t.Context(), shop)
	if err != nil || len(there) != 1 {
		t.Fatalf("routes %v, %v", there, err)
	}
	three, image := 3, artifact.ID(mustApp(t, p, shop).Image)
	push := func(in client.Push) func(ctx context.Context) error {
		return func(ctx context.Context) error { _, err := p.Push(ctx, by, w.space, in); return err }
	}
	declare := func(d deliver.Declaration) func(ctx context.Context) error {
		d.App, d.Name = shop, "shop"
		return func(ctx context.Context) error {
			_, err := p.ApplyManifest(ctx, by, w.space, []deliver.Declaration{d})
			return err
		}
	}
	deploy := func(d deliver.Deployment) func(ctx context.Context) error {
		return func(ctx context.Context) error { _, err := p.Deploy(ctx, by, shop, d); return err }
	}
	more := pushed("shop", "serve")
	more.Processes = instances(3)
	for _, tc := range []struct {
		name string
		off  feature.Name
		do   func(ctx context.Context) error
	}{
		{"scale", feature.AppScaling, func(ctx context.Context) error {
			_, err := p.Scale(ctx, by, shop, map[string]int{app.Web: 3})
			return err
		}},
		{"memory", feature.AppScaling, func(ctx context.Context) error {
			_, err := p.SetProcesses(ctx, by, shop, map[string]app.Overrides{app.Web: {MemoryMiB: 300}})
			return err
		}},
		{"push with instances", feature.AppScaling, push(more)},
		{"manifest with instances", feature.AppScaling, declare(deliver.Declaration{Scale: map[string]int{app.Web: 3}})},
		{"manifest with memory", feature.AppScaling, declare(deliver.Declaration{Processes: map[string]app.Overrides{app.Web: {MemoryMiB: 300}}})},
		{"deployment with instances", feature.AppScaling, deploy(deliver.Deployment{Scale: map[string]int{app.Web: 3}})},
		{"resize a group", feature.AppScaling, func(ctx context.Context) error {
			_, err := p.ChangeGroup(ctx, by, shop, client.GroupChange{Action: "resize", Group: groups[0].Name, Size: &three})
			return err
		}},
		{"clone a group", feature.AppScaling, func(ctx context.Context) error {
			_, err := p.ChangeGroup(ctx, by, shop, client.GroupChange{Action: "clone", Group: groups[0].Name})
			return err
		}},
		{"reserve a route", feature.RouteCreation, func(ctx context.Context) error {
			_, err := p.ReserveRoute(ctx, by, w.space, "another", "/")
			return err
		}},
		{"map a route", feature.RouteCreation, func(ctx context.Context) error {
			_, err := p.MapRoute(ctx, by, shop, client.NewRoute{Host: "another"})
			return err
		}},
		{"map a path", feature.RouteCreation, func(ctx context.Context) error {
			_, err := p.MapRoute(ctx, by, shop, client.NewRoute{Host: there[0].Host, Path: "/below"})
			return err
		}},
		{"manifest with a route", feature.RouteCreation, declare(deliver.Declaration{Routes: []client.NewRoute{{Host: there[0].Host}, {Host: "another"}}})},
		{"push of another app", feature.RouteCreation, push(pushed("blog", "serve"))},
		{"push of an image", feature.DiegoDocker, push(pushed("shop", "serve"))},
		{"start of an image", feature.DiegoDocker, func(ctx context.Context) error { _, err := p.Start(ctx, by, shop); return err }},
		{"restart of an image", feature.DiegoDocker, func(ctx context.Context) error { _, err := p.Restart(ctx, by, shop); return err }},
		{"deployment of an image", feature.DiegoDocker, deploy(deliver.Deployment{Image: image})},
		{"deployment of the app's image", feature.DiegoDocker, deploy(deliver.Deployment{})},
		{"deployment of a release", feature.DiegoDocker, deploy(deliver.Deployment{Release: releases[0].ID})},
		{"going back to an image", feature.DiegoDocker, func(ctx context.Context) error {
			_, err := p.Rollback(ctx, by, shop, releases[0].ID)
			return err
		}},
		{"settings, with a restart", feature.DiegoDocker, func(ctx context.Context) error {
			_, _, err := p.SetEnv(ctx, by, shop, app.EnvChange{Set: map[string]string{"A": "b"}}, true)
			return err
		}},
		{"skeleton for images", feature.DiegoDocker, func(ctx context.Context) error {
			_, err := p.Skeleton(ctx, by, w.space, "images", app.Build{Docker: true})
			return err
		}},
		{"manifest for images", feature.DiegoDocker, declare(deliver.Declaration{Build: &app.Build{Docker: true}})},
		{"release for a task", feature.TaskCreation, func(ctx context.Context) error { _, err := p.ForTask(ctx, by, shop); return err }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.do(without(t.Context(), tc.off, false)); isOff(err) != tc.off {
				t.Errorf("got %v, want that %s is off", err, tc.off)
			}
		})
	}
	if _, err := p.store.AppNamed(t.Context(), w.space, "blog"); !fault.Is(err, fault.NotFound) {
		t.Errorf("what was refused is there: %v", err)
	}
	if got, err := p.store.RoutesOf(t.Context(), shop); err != nil || len(got) != 1 {
		t.Errorf("routes %v, %v", got, err)
	}
}

func TestFeaturesThatAreOffLeaveTheRest(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	shop := p.shop(t, w)
	there, err := p.store.RoutesOf(t.Context(), shop)
	if err != nil || len(there) != 1 {
		t.Fatalf("routes %v, %v", there, err)
	}
	route := []client.NewRoute{{Host: there[0].Host}}
	manifest := func(n feature.Name, admin bool, d deliver.Declaration) {
		t.Helper()
		d.App, d.Name = shop, "shop"
		op, err := p.ApplyManifest(without(t.Context(), n, admin), by, w.space, []deliver.Declaration{d})
		p.done(t, op, err)
	}
	// What is as it was is neither scaling nor a route.
	manifest(feature.AppScaling, false, deliver.Declaration{Scale: map[string]int{app.Web: 1}, Env: map[string]string{"A": "b"}})
	manifest(feature.RouteCreation, false, deliver.Declaration{Routes: route, Host: "shop"})
	manifest(feature.RouteCreation, false, deliver.Declaration{NoRoute: true, Routes: []client.NewRoute{{Host: "another"}}})
	manifest(feature.RouteCreation, false, deliver.Declaration{Routes: route}) // the space kept it
	// The first size of an app is no scaling.
	blog := pushed("blog", "serve")
	blog.Processes = instances(2)
	op, err := p.Push(without(t.Context(), feature.AppScaling, false), by, w.space, blog)
	p.done(t, op, err)
	// Administrators are spared.
	manifest(feature.AppScaling, true, deliver.Declaration{Scale: map[string]int{app.Web: 2}})
	manifest(feature.RouteCreation, true, deliver.Declaration{Routes: []client.NewRoute{{Host: "another"}}})
	op, err = p.Scale(without(t.Context(), feature.AppScaling, true), by, shop, map[string]int{app.Web: 1})
	p.done(t, op, err)
	// Images of other registries are not to be run, whoever asks.
	if _, err := p.Restart(without(t.Context(), feature.DiegoDocker, true), by, shop); isOff(err) != feature.DiegoDocker {
		t.Errorf("an administrator restarts an image: %v", err)
	}
	op, err = p.Stop(without(t.Context(), feature.DiegoDocker, false), by, shop)
	p.done(t, op, err)
	if _, err := p.Deploy(without(t.Context(), feature.DiegoDocker, false), by, shop, deliver.Deployment{Release: release.ID("none")}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a release that is not there: %v", err)
	}
}
