package storetest

import (
	"reflect"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
	"naru/internal/store"
)

func drains(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	other, err := w.CreateSpace(ctx, w.org.ID, "other")
	must(t, err)
	late := w.newApp(t, "late")
	begin := map[app.ID]logs.Cursor{w.app.ID: {Day: 20260301, ID: 7}}
	add := func(space app.SpaceID, a app.ID, name string) (drain.Declared, error) {
		return w.AddDrain(ctx, drain.Declared{
			ID: drain.ID(id.New()), Space: space, App: a, Name: name, Shown: "otlp+https://***@h/v1/logs", Fields: []string{"X-Key"}, Search: "panic", CA: "PEM", By: "ada",
		}, "k1.secret", begin, happened("drain.added", name))
	}
	one, err := add(w.space.ID, w.app.ID, "one")
	must(t, err)
	all, err := add(w.space.ID, "", "all")
	must(t, err)
	if _, err := add(other.ID, "", "one"); err != nil {
		t.Errorf("the name of another space's drain: %v", err)
	}
	_, err = add(w.space.ID, "", "one")
	mustBe(t, err, fault.Conflict)
	_, err = add("nowhere", "", "x")
	mustBe(t, err, fault.NotFound)

	got, err := w.DrainNamed(ctx, w.space.ID, "one")
	must(t, err)
	if !reflect.DeepEqual(got, one) || got.Created.IsZero() {
		t.Errorf("wrote %+v, read %+v", one, got)
	}
	for _, c := range []struct {
		of   app.ID
		want []drain.Declared
	}{{"", []drain.Declared{all, one}}, {w.app.ID, []drain.Declared{all, one}}, {late.ID, []drain.Declared{all}}} {
		list, err := w.Drains(ctx, w.space.ID, c.of)
		must(t, err)
		if !reflect.DeepEqual(list, c.want) {
			t.Errorf("drains of %q are %+v", c.of, list)
		}
	}

	// What runs: the drain of an app for it, that of a space for each of its apps.
	courses := func() map[string]drain.Course {
		list, err := w.Courses(ctx)
		must(t, err)
		out := map[string]drain.Course{}
		for _, c := range list {
			out[c.From.Org+"/"+c.From.Space+"/"+c.From.App+" "+c.Name] = c
		}
		return out
	}
	of := courses()
	if len(of) != 3 || of["default/dev/shop one"].State.Cursor != begin[w.app.ID] || of["default/dev/late all"].State != (drain.State{}) || of["default/dev/late all"].Of != late.ID {
		t.Errorf("courses are %+v", of)
	}
	state := drain.State{Cursor: logs.Cursor{Day: 20260302, ID: 1 << 40}, Sent: 1 << 41, Dropped: 3, Failing: time.Unix(1, 2).UTC(), Error: "refused"}
	must(t, w.KeepDrained(ctx, []drain.Kept{
		{Drain: all.ID, App: late.ID, State: state}, {Drain: "gone", App: late.ID, State: state}, {Drain: all.ID, App: "gone", State: state},
	}))
	must(t, w.KeepDrained(ctx, []drain.Kept{{Drain: one.ID, App: w.app.ID, State: state}}))
	far, err := w.Drained(ctx, all.ID)
	must(t, err)
	if of = courses(); of["default/dev/shop one"].State != state || len(far) != 2 || far[late.ID] != state {
		t.Errorf("kept are %+v and %+v", of, far)
	}

	// A new key seals them anew.
	batch, err := w.SealedNotWith(ctx, "k2", 10)
	must(t, err)
	if len(batch) != 3 || !batch[0].OfDrain() || batch[0].OfCertificate() || batch[0].Owner() == batch[1].Owner() {
		t.Fatalf("to be sealed anew: %+v", batch)
	}
	for _, b := range batch {
		must(t, w.Reseal(ctx, b, "k2.secret"))
	}
	must(t, w.Reseal(ctx, vault.SealedDrain(w.space.ID, one.ID, "k1.secret"), "k3.old")) // it was changed meanwhile
	if text, err := w.DrainTarget(ctx, one.ID); err != nil || text != "k2.secret" {
		t.Errorf("sealed anew: %q, %v", text, err)
	}

	// They go with what they are of.
	must(t, w.DeleteApp(ctx, w.app.ID))
	if of := courses(); len(of) != 1 {
		t.Errorf("after its app: %+v", of)
	}
	mustBe(t, w.DeleteDrain(ctx, w.space.ID, "one"), fault.NotFound)
	must(t, w.DeleteDrain(ctx, w.space.ID, "all", happened("drain.deleted", "all")))
	if far, err := w.Drained(ctx, all.ID); err != nil || len(far) != 0 {
		t.Errorf("of a deleted drain: %v, %v", far, err)
	}
	must(t, w.DeleteSpace(ctx, other.ID))
	if batch, err := w.SealedNotWith(ctx, "k9", 10); err != nil || len(batch) != 0 {
		t.Errorf("after its space: %+v, %v", batch, err)
	}
}
