package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/run"
	"naru/internal/store"
)

func apps(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()

	t.Run("what was written is read", func(t *testing.T) {
		a, err := w.UpdateApp(ctx, w.app.ID, func(a *app.App) error {
			a.State, a.NoSSH, a.Image, a.Scale = app.Stopped, true, "an image", map[string]int{"web": 3, "worker": 0}
			a.Draft = a.Draft.WithEnv(map[string]string{"GREETING": "it's \"ünï\"\n\x00?"}).WithSecrets("PASSWORD").
				WithProcess("web", app.Overrides{Command: "node .", MemoryMiB: 64})
			return nil
		}, happened("app.changed", "shop"))
		must(t, err)
		for _, read := range []func() (app.App, error){
			func() (app.App, error) { return w.App(ctx, w.app.ID) },
			func() (app.App, error) { return w.AppNamed(ctx, w.space.ID, "shop") },
		} {
			got, err := read()
			must(t, err)
			if !reflect.DeepEqual(got, a) {
				t.Errorf("read\n%+v, want\n%+v", got, a)
			}
		}
		if a.Created.IsZero() || a.Updated.Before(a.Created) || a.Created.Location() != a.Updated.UTC().Location() {
			t.Errorf("created %v, updated %v", a.Created, a.Updated)
		}
	})

	t.Run("an outline has the processes of the release and of the draft", func(t *testing.T) {
		space, err := w.CreateSpace(ctx, w.org.ID, "outlined")
		must(t, err)
		quiet, said := w.newAppIn(t, space.ID, "quiet"), w.newAppIn(t, space.ID, "said")
		said, err = w.UpdateApp(ctx, said.ID, func(a *app.App) error {
			a.Draft = a.Draft.WithProcess("worker", app.Overrides{MemoryMiB: 64}).WithProcess("clock", app.Overrides{MemoryMiB: 64})
			return nil
		})
		must(t, err)
		got, err := w.AppOutlines(ctx, space.ID, "no space")
		must(t, err)
		slices.SortFunc(got, func(a, b app.Outline) int { return strings.Compare(string(a.ID), string(b.ID)) })
		want := []app.Outline{
			{ID: quiet.ID, Space: space.ID, Created: quiet.Created, Updated: quiet.Updated},
			{ID: said.ID, Space: space.ID, Created: said.Created, Updated: said.Updated, Drafted: []string{"clock", "worker"}},
		}
		slices.SortFunc(want, func(a, b app.Outline) int { return strings.Compare(string(a.ID), string(b.ID)) })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("outlines\n%+v, want\n%+v", got, want)
		}
		must(t, w.DeleteApp(ctx, quiet.ID))
		must(t, w.DeleteApp(ctx, said.ID))
	})

	t.Run("names are unique in a space, and so are slugs", func(t *testing.T) {
		for name, want := range map[string]string{
			"shop":  `app "shop" exists already in default/dev`,
			"Shop!": `app "Shop!" would have the host name "shop" of app "shop" in default/dev`,
		} {
			slug, err := app.Slug(name)
			must(t, err)
			_, err = w.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: w.space.ID, Name: name, Slug: slug})
			f := mustBe(t, err, fault.Conflict)
			if f.Message != want || f.Try == "" {
				t.Errorf("message = %q, try %q, want %q and a way out", f.Message, f.Try, want)
			}
		}
		other, err := w.CreateSpace(ctx, w.org.ID, "prod")
		must(t, err)
		w.newAppIn(t, other.ID, "shop")
	})

	t.Run("a missing app is named", func(t *testing.T) {
		_, err := w.AppNamed(ctx, w.space.ID, "shoop")
		if f := mustBe(t, err, fault.NotFound); f.Message != `app "shoop" does not exist in default/dev` || f.Try != "naru apps" {
			t.Errorf("message = %q, try %q", f.Message, f.Try)
		}
		_, err = w.UpdateApp(ctx, "nobody", func(*app.App) error { return nil })
		mustBe(t, err, fault.NotFound)
		mustBe(t, w.DeleteApp(ctx, "nobody"), fault.NotFound)
	})

	t.Run("a change that fails changes nothing", func(t *testing.T) {
		before, err := w.App(ctx, w.app.ID)
		must(t, err)
		refused := errors.New("refused")
		_, err = w.UpdateApp(ctx, w.app.ID, func(a *app.App) error { a.Name = "x"; return refused }, happened("app.changed", "x"))
		if !errors.Is(err, refused) {
			t.Errorf("err = %v, want the one of the change", err)
		}
		after, err := w.App(ctx, w.app.ID)
		must(t, err)
		if !reflect.DeepEqual(before, after) {
			t.Errorf("changed to %+v", after)
		}
		if n := strings.Count(fmt.Sprint(kinds(t, w.Store)), "app.changed"); n != 1 {
			t.Errorf("%d events app.changed, want the 1 of the change before", n)
		}
	})

	t.Run("pages go through all, each once, in byte order", func(t *testing.T) {
		space, err := w.CreateSpace(ctx, w.org.ID, "pages")
		must(t, err)
		want := []string{"Zoo", "a-1", "a-2", "aB", "ab", "ä", "é"}
		for _, name := range slices.Backward(want) {
			_, err := w.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: space.ID, Name: name, Slug: id.New()})
			must(t, err)
		}
		var got, keyset []string
		after := ""
		f := store.AppFilter{Spaces: []app.SpaceID{space.ID}, Limit: 2}
		for range len(want) {
			page, err := w.AppsAfter(ctx, space.ID, after, 2)
			must(t, err)
			for _, a := range page {
				got, after = append(got, a.Name), a.Name
			}
			page, err = w.Apps(ctx, f)
			must(t, err)
			for _, a := range page {
				keyset, f.AfterName, f.AfterID = append(keyset, a.Name), a.Name, a.ID
			}
		}
		if !slices.Equal(got, want) || !slices.Equal(keyset, want) {
			t.Errorf("pages = %q and %q, want %q", got, keyset, want)
		}
		if n, err := w.CountApps(ctx, f); err != nil || n != len(want) {
			t.Errorf("CountApps = %d, %v, want %d", n, err, len(want))
		}
		if none, err := w.Apps(ctx, store.AppFilter{Spaces: []app.SpaceID{}}); err != nil || len(none) != 0 {
			t.Errorf("apps of no space = %v, %v", none, err)
		}
	})

	t.Run("delete removes all but the record", func(t *testing.T) { deleteApp(t, open) })
}

func deleteApp(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	other := w.newApp(t, "other")
	rel := w.newRelease(t, w.app)
	g := w.newGroup(t, w.app, rel.ID, "web", 1)
	i := w.newInstance(t, g, 0, run.Starting, run.Healthy)
	must(t, w.SetSecrets(ctx, w.app.ID, map[string]string{"A": "k.x"}))
	shared := w.newRoute(t, "both.example", w.app.ID, other.ID)
	alone := w.newRoute(t, "shop.example", w.app.ID)

	f := mustBe(t, w.DeleteApp(ctx, w.app.ID), fault.Conflict)
	if f.Message != `app "shop" still has 1 instances` {
		t.Errorf("message = %q", f.Message)
	}
	for _, to := range []run.State{run.Draining, run.Stopping, run.Stopped} {
		w.move(t, i.ID, to)
	}
	must(t, w.DeleteApp(ctx, w.app.ID, happened("app.deleted", "shop")))

	_, err := w.App(ctx, w.app.ID)
	mustBe(t, err, fault.NotFound)
	_, err = w.Release(ctx, rel.ID)
	mustBe(t, err, fault.NotFound)
	_, err = w.Instance(ctx, i.ID)
	mustBe(t, err, fault.NotFound)
	_, err = w.Route(ctx, alone.ID)
	mustBe(t, err, fault.NotFound)
	left, err := w.Route(ctx, shared.ID)
	must(t, err)
	if len(left.Destinations) != 1 || left.Destinations[0].App != other.ID {
		t.Errorf("the shared route leads to %+v, want the other app", left.Destinations)
	}
	if sealed, err := w.SecretsOf(ctx, w.app.ID); err != nil || len(sealed) != 0 {
		t.Errorf("secrets = %v, %v, want none", sealed, err)
	}
	events, err := w.Events(ctx, store.EventFilter{App: w.app.ID, Kinds: []event.Kind{"app.created", "app.deleted"}})
	must(t, err)
	if len(events) != 2 || events[1].Space != string(w.space.ID) {
		t.Errorf("events = %+v, want created and deleted, in the space", events)
	}
	again := w.newApp(t, "shop")
	if rel := w.newRelease(t, again); rel.Number != 1 {
		t.Errorf("the first release of a new app is %s", rel.Name())
	}
}

// newRoute maps a host to the web processes of apps.
func (w world) newRoute(t testing.TB, host string, to ...app.ID) route.Route {
	t.Helper()
	r := route.Route{ID: route.ID(id.New()), Space: w.space.ID, Host: host, Path: "/"}
	for _, a := range to {
		r.Destinations = append(r.Destinations, route.NewDestination(a, "web", 0, 0))
	}
	r, err := w.SetRoute(t.Context(), r, happened("route.mapped", host))
	must(t, err)
	return r
}
