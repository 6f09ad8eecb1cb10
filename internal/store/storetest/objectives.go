package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/store"
)

func objectives(t *testing.T, open Opener) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, open, store.Options{Clock: func() time.Time { return now }})
	ctx := t.Context()
	avail := app.Objective{
		Name: "profile", Kind: app.Availability, Target: 0.9995, Window: app.Window{Calendar: app.Month, Zone: "Europe/Berlin"}, Bad: []string{"5xx", "429"},
		Journeys: []app.Journey{{Methods: []string{"GET"}, Path: "/profile/{user}", Weight: 2, Target: 0.99}},
	}
	fast := app.Objective{Name: "fast", Kind: app.Latency, Target: 0.9, Threshold: app.Duration(500 * time.Millisecond), Slice: app.Slice{Length: app.Duration(time.Minute), Target: 0.95}}
	young := app.Objective{Name: "young", Kind: app.Freshness, Target: 0.99, Query: "time() - written", Bound: &app.Bound{Op: "lte", Value: 60}}
	set := func(t *testing.T, origin app.Origin, all ...app.Objective) {
		t.Helper()
		must(t, w.SetObjectives(ctx, w.app.ID, origin, all, "ada"))
	}
	read := func(t *testing.T) []string {
		t.Helper()
		all, err := w.Objectives(ctx, w.app.ID)
		must(t, err)
		names := make([]string, len(all))
		for i, o := range all {
			names[i] = o.Name
		}
		return names
	}
	last := func(t *testing.T) map[string]any {
		t.Helper()
		evs, err := w.EventsBefore(ctx, "", w.app.ID, "objectives.set", 0, 1)
		must(t, err)
		if len(evs) == 0 {
			return nil
		}
		if evs[0].Actor != "ada" || evs[0].Subject != "shop" || evs[0].Space != string(w.space.ID) {
			t.Errorf("event %+v", evs[0])
		}
		return evs[0].Detail
	}

	t.Run("what was written is read, each origin by itself", func(t *testing.T) {
		set(t, app.Applied, young)
		set(t, app.FromManifest, avail, fast)
		got, err := w.Objectives(ctx, w.app.ID)
		must(t, err)
		if want := []app.Objective{avail, fast, young}; !reflect.DeepEqual(got, want) {
			t.Errorf("read\n%+v, want\n%+v", got, want)
		}
		if d := last(t); len(d["added"].([]any)) != 2 || d["origin"] != "manifest" {
			t.Errorf("event %v", d)
		}
	})

	t.Run("what stays the same makes no event", func(t *testing.T) {
		before, err := w.LastEvent(ctx)
		must(t, err)
		set(t, app.FromManifest, avail, fast)
		if after, err := w.LastEvent(ctx); err != nil || after != before {
			t.Errorf("event %d after %d, %v", after, before, err)
		}
	})

	t.Run("a target may change, and what was counted stays known", func(t *testing.T) {
		began := now
		now = now.Add(time.Hour)
		stricter, other := avail, fast
		stricter.Target, stricter.Journeys = 0.999, slices.Clone(avail.Journeys)
		stricter.Journeys[0].Weight = 3
		other.Threshold = app.Duration(time.Second)
		set(t, app.FromManifest, other, stricter)
		got, err := w.Promises(ctx, w.app.ID)
		must(t, err)
		if got[0].Name != "fast" || !got[0].Since.Equal(now) || got[1].Name != "profile" || !got[1].Since.Equal(began) || !got[1].Updated.Equal(now) || got[2].Origin != app.Applied || !got[2].Updated.Equal(began) {
			t.Errorf("%+v", got)
		}
		if d := last(t); len(d["changed"].([]any)) != 2 || d["removed"] != nil {
			t.Errorf("event %v", d)
		}
	})

	t.Run("names of the other origin are taken", func(t *testing.T) {
		f := mustBe(t, w.SetObjectives(ctx, w.app.ID, app.Applied, []app.Objective{avail}, "ada"), fault.Conflict)
		if f.Try == "" || !slices.Equal(read(t), []string{"fast", "profile", "young"}) {
			t.Errorf("%v, then %v", f, read(t))
		}
		mustBe(t, w.SetObjectives(ctx, w.app.ID, app.FromManifest, []app.Objective{young}, "ada"), fault.Conflict)
	})

	t.Run("there are only so many, and nobody else's app", func(t *testing.T) {
		var many []app.Objective
		for i := range app.MaxObjectives {
			o := young
			o.Name = fmt.Sprintf("o%d", i)
			many = append(many, o)
		}
		mustBe(t, w.SetObjectives(ctx, w.app.ID, app.Applied, many, "ada"), fault.TooLarge)
		mustBe(t, w.SetObjectives(ctx, "nobody", app.Applied, many, "ada"), fault.NotFound)
	})

	t.Run("changing sees what is there, and an error changes nothing", func(t *testing.T) {
		refused := errors.New("refused")
		err := w.ChangeObjectives(ctx, w.app.ID, app.Applied, func(have []app.Objective) ([]app.Objective, error) {
			if len(have) != 1 || have[0].Name != "young" {
				t.Errorf("have %v", have)
			}
			return nil, refused
		}, "ada")
		if !errors.Is(err, refused) || len(read(t)) != 3 {
			t.Errorf("%v, left %v", err, read(t))
		}
	})

	t.Run("they go with their app", func(t *testing.T) {
		other := w.newApp(t, "other")
		must(t, w.SetObjectives(ctx, other.ID, app.Applied, []app.Objective{young}, "ada"))
		all, err := w.AllObjectives(ctx)
		if err != nil || len(all) != 2 || len(all[other.ID]) != 1 {
			t.Errorf("%v, %v", all, err)
		}
		must(t, w.DeleteApp(ctx, other.ID))
		if all, err = w.AllObjectives(ctx); err != nil || len(all) != 1 {
			t.Errorf("%v, %v", all, err)
		}
		set(t, app.FromManifest)
		if got := read(t); !slices.Equal(got, []string{"young"}) {
			t.Errorf("left %v", got)
		}
	})
}

func probes(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	all := []app.Probe{
		{Name: "order", Path: "/order?dry=1", Interval: app.Duration(30 * time.Second), Good: []string{"204"}},
		{Name: "begin", Path: "/", Method: "HEAD", Host: "shop.example.com"},
	}
	for range 2 {
		must(t, w.SetProbes(ctx, w.app.ID, all, "ada"))
	}
	got, err := w.Probes(ctx, w.app.ID)
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("read %+v, %v", got, err)
	}
	if evs, err := w.EventsBefore(ctx, "", w.app.ID, "probes.set", 0, 10); err != nil || len(evs) != 1 {
		t.Errorf("events %v, %v, want one for two equal writes", evs, err)
	}
	if of, err := w.AllProbes(ctx); err != nil || len(of[w.app.ID]) != 2 {
		t.Errorf("all %v, %v", of, err)
	}
	_, err = w.UpdateApp(ctx, w.app.ID, func(a *app.App) error { a.State = app.Stopped; return nil })
	must(t, err)
	if of, err := w.AllProbes(ctx); err != nil || len(of) != 0 {
		t.Errorf("of an app that is stopped: %v, %v", of, err)
	}
	must(t, w.SetProbes(ctx, w.app.ID, nil, "ada"))
	if got, err := w.Probes(ctx, w.app.ID); err != nil || len(got) != 0 {
		t.Errorf("left %v, %v", got, err)
	}
	mustBe(t, w.SetProbes(ctx, "nobody", all, "ada"), fault.NotFound)
}

func maintenance(t *testing.T, open Opener) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, open, store.Options{Clock: func() time.Time { return now }})
	ctx := t.Context()
	announce := func(in, lasts time.Duration) app.Maintenance {
		t.Helper()
		m, err := w.AnnounceMaintenance(ctx, app.Maintenance{App: w.app.ID, From: now.Add(in), To: now.Add(in + lasts), Reason: "new database", Hit: 0.25, By: "ada"})
		must(t, err)
		return m
	}
	late, soon := announce(2*time.Hour, time.Hour), announce(time.Hour, time.Hour)
	if got, err := w.Maintenance(ctx, w.app.ID, now); err != nil || !reflect.DeepEqual(got, []app.Maintenance{soon, late}) {
		t.Errorf("read\n%+v, %v, want\n%+v", got, err, []app.Maintenance{soon, late})
	}
	now = now.Add(90 * time.Minute)
	for range 2 {
		m, err := w.CancelMaintenance(ctx, w.app.ID, soon.ID, "bob")
		if err != nil || !m.Cancelled.Equal(now) || !m.End().Equal(now) {
			t.Errorf("cancelled %+v, %v", m, err)
		}
	}
	if m, err := w.CancelMaintenance(ctx, w.app.ID, late.ID, "bob"); err != nil || !m.End().Equal(m.From) {
		t.Errorf("cancelled before it began: %+v, %v", m, err)
	}
	_, err := w.CancelMaintenance(ctx, w.app.ID, "nothing", "bob")
	mustBe(t, err, fault.NotFound)
	_, err = w.CancelMaintenance(ctx, w.newApp(t, "other").ID, late.ID, "bob")
	mustBe(t, err, fault.NotFound)
	over := announce(time.Minute, time.Minute)
	now = now.Add(time.Hour)
	_, err = w.CancelMaintenance(ctx, w.app.ID, over.ID, "bob")
	mustBe(t, err, fault.Conflict)
	if got, err := w.Maintenance(ctx, w.app.ID, now); err != nil || len(got) != 1 || got[0].ID != late.ID {
		t.Errorf("what ends from now on: %+v, %v", got, err)
	}
	if got := kinds(t, w.Store); len(got) < 6 || !slices.Contains(got, "maintenance.announced") || !slices.Contains(got, "maintenance.cancelled") {
		t.Errorf("events %v", got)
	}
	must(t, w.DeleteApp(ctx, w.app.ID))
	if got, err := w.Maintenance(ctx, w.app.ID, time.Time{}); err != nil || len(got) != 0 {
		t.Errorf("left %v, %v", got, err)
	}
	_, err = w.AnnounceMaintenance(ctx, app.Maintenance{App: w.app.ID, From: now, To: now.Add(time.Hour), Reason: "x", By: "ada"})
	mustBe(t, err, fault.NotFound)
}
