package storetest

import (
	"reflect"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/auth/vault"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/observe/drain"
	"naru/internal/store"
)

func services(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	other, err := w.CreateSpace(ctx, w.org.ID, "other")
	must(t, err)
	stranger := w.newAppIn(t, other.ID, "stranger")
	late := w.newApp(t, "late")
	add := func(space app.SpaceID, name string) (service.Service, error) {
		return w.AddService(ctx, service.Service{
			ID: service.ID(id.New()), Space: space, Name: name, Tags: []string{"sql"}, Drain: "syslog://h:514", RouteURL: "https://r", By: "ada",
		}, "k1.secret-"+name, happened("service.created", name))
	}
	db, err := add(w.space.ID, "db")
	must(t, err)
	cache, err := add(w.space.ID, "cache")
	must(t, err)
	theirs, err := add(other.ID, "db")
	must(t, err)
	_, err = add(w.space.ID, "db")
	mustBe(t, err, fault.Conflict)
	_, err = add("nowhere", "x")
	mustBe(t, err, fault.NotFound)

	got, err := w.ServiceNamed(ctx, w.space.ID, "db")
	must(t, err)
	if !reflect.DeepEqual(got, db) || got.Created.IsZero() || !got.Updated.Equal(got.Created) {
		t.Errorf("wrote %+v, read %+v", db, got)
	}
	for _, c := range []struct {
		in   []app.SpaceID
		want []service.Service
	}{{nil, []service.Service{cache, db, theirs}}, {[]app.SpaceID{w.space.ID}, []service.Service{cache, db}}, {[]app.SpaceID{"nowhere"}, []service.Service{}}} {
		list, err := w.Services(ctx, c.in...)
		must(t, err)
		if !reflect.DeepEqual(list, c.want) {
			t.Errorf("services of %v are %+v", c.in, list)
		}
	}

	// What changes, and what stays.
	db.Name, db.Tags, db.Drain = "orders", nil, ""
	db, err = w.SetService(ctx, db, "", happened("service.changed", "orders"))
	must(t, err)
	got, err = w.Service(ctx, db.ID)
	must(t, err)
	if got.Name != "orders" || len(got.Tags) != 0 || got.Drain != "" || got.By != "ada" || got.Updated.Before(got.Created) {
		t.Errorf("changed to %+v", got)
	}
	if sealed, err := w.ServiceContent(ctx, db.ID); err != nil || sealed != "k1.secret-db" {
		t.Errorf("content is %q, %v", sealed, err)
	}
	_, err = w.SetService(ctx, db, "k1.new")
	must(t, err)
	if sealed, err := w.ServiceContent(ctx, db.ID); err != nil || sealed != "k1.new" {
		t.Errorf("content is %q, %v", sealed, err)
	}
	taken := db
	taken.Name = "cache"
	_, err = w.SetService(ctx, taken, "")
	mustBe(t, err, fault.Conflict)
	_, err = w.SetService(ctx, service.Service{ID: "gone", Space: w.space.ID, Name: "x"}, "")
	mustBe(t, err, fault.NotFound)

	// Bindings.
	bind := func(s service.ID, a app.ID, name string) (service.Binding, error) {
		return w.AddBinding(ctx, service.Binding{ID: service.BindingID(id.New()), Service: s, App: a, Name: name, By: "ada"}, happened("service.bound", name))
	}
	one, err := bind(db.ID, w.app.ID, "primary")
	must(t, err)
	two, err := bind(db.ID, late.ID, "")
	must(t, err)
	for _, c := range []struct {
		service service.ID
		app     app.ID
		name    string
		want    fault.Kind
		field   string
	}{
		{db.ID, w.app.ID, "", fault.Conflict, "service"}, {cache.ID, w.app.ID, "primary", fault.Conflict, "binding_name"},
		{db.ID, stranger.ID, "", fault.Invalid, "service"}, {"gone", w.app.ID, "", fault.NotFound, "service"}, {cache.ID, "gone", "", fault.NotFound, ""},
	} {
		_, err := bind(c.service, c.app, c.name)
		mustBe(t, err, c.want)
		if f := fault.Of(err); c.field != "" && f.Field != c.field {
			t.Errorf("binding %+v: field %q", c, f.Field)
		}
	}
	three, err := bind(cache.ID, w.app.ID, "")
	must(t, err)
	for name, c := range map[string]struct {
		find service.Find
		want []service.BindingID
	}{
		"all":          {service.Find{}, []service.BindingID{one.ID, two.ID, three.ID}},
		"of an app":    {service.Find{Apps: []app.ID{w.app.ID}}, []service.BindingID{one.ID, three.ID}},
		"of a service": {service.Find{Services: []service.ID{db.ID}}, []service.BindingID{one.ID, two.ID}},
		"of both":      {service.Find{Services: []service.ID{db.ID}, Apps: []app.ID{late.ID}}, []service.BindingID{two.ID}},
		"by id":        {service.Find{IDs: []service.BindingID{three.ID}}, []service.BindingID{three.ID}},
		"of a space":   {service.Find{Spaces: []app.SpaceID{other.ID}}, nil},
	} {
		list, err := w.Bindings(ctx, c.find)
		must(t, err)
		var ids []service.BindingID
		for _, b := range list {
			ids = append(ids, b.ID)
		}
		if !reflect.DeepEqual(ids, c.want) {
			t.Errorf("bindings %s are %v, want %v", name, ids, c.want)
		}
	}
	list, err := w.Bindings(ctx, service.Find{IDs: []service.BindingID{one.ID}})
	must(t, err)
	if want := (service.Standing{Binding: one, ServiceName: "orders", AppName: "shop", Space: w.space.ID}); len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		t.Errorf("binding is %+v, want %+v", list, want)
	}

	// One that is bound stays, and its log drain with it.
	err = w.DeleteService(ctx, db.ID)
	mustBe(t, err, fault.Conflict)
	if f := fault.Of(err); !strings.Contains(f.Message, "shop, late") {
		t.Errorf("the error does not name the apps: %s", f.Message)
	}
	_, err = w.AddDrain(ctx, drain.Declared{ID: drain.ID(one.ID), Space: w.space.ID, App: w.app.ID, Name: "orders@shop"}, "k1.url", nil)
	must(t, err)
	mustBe(t, w.DeleteDrain(ctx, w.space.ID, "orders@shop"), fault.Conflict)
	must(t, w.DeleteBinding(ctx, one.ID, happened("service.unbound", "orders")))
	if drains, err := w.Drains(ctx, w.space.ID, ""); err != nil || len(drains) != 0 {
		t.Errorf("the drain of the binding stays: %v, %v", drains, err)
	}
	mustBe(t, w.DeleteBinding(ctx, one.ID), fault.NotFound)

	// An app that goes takes its bindings along, a space its services.
	must(t, w.DeleteApp(ctx, late.ID))
	must(t, w.DeleteService(ctx, db.ID, happened("service.deleted", "orders")))
	mustBe(t, w.DeleteService(ctx, db.ID), fault.NotFound)
	must(t, w.DeleteApp(ctx, stranger.ID))
	must(t, w.DeleteSpace(ctx, other.ID))
	if _, err := w.Service(ctx, theirs.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("of a space that is gone: %v", err)
	}

	// Sealed values are found for a new key.
	stale, err := w.SealedNotWith(ctx, "k2", 10)
	must(t, err)
	if want := []vault.Sealed{vault.SealedService(cache.ID, "k1.secret-cache")}; !reflect.DeepEqual(stale, want) {
		t.Fatalf("to be sealed anew: %+v", stale)
	}
	must(t, w.Reseal(ctx, stale[0], "k2.again"))
	if sealed, err := w.ServiceContent(ctx, cache.ID); err != nil || sealed != "k2.again" {
		t.Errorf("resealed is %q, %v", sealed, err)
	}
}
