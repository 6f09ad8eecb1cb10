package storetest

import (
	"slices"
	"testing"

	"naru/internal/event"
	"naru/internal/feature"
	"naru/internal/store"
)

// features: what was switched is kept, once for each feature.
func features(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	if have, err := w.Features(ctx); err != nil || len(have) != 0 {
		t.Fatalf("features that nobody switched: %v, %v", have, err)
	}
	set := func(n feature.Name, on bool, message string) feature.State {
		t.Helper()
		st, err := w.SetFeature(ctx, feature.State{Name: n, On: on, Message: message}, happened("feature.switched", string(n)))
		must(t, err)
		if st.Updated.IsZero() {
			t.Errorf("%s was switched at no time", n)
		}
		return st
	}
	set(feature.TaskCreation, false, "")
	routes := set(feature.RouteCreation, false, "ask Ada, «soon»")
	tasks := set(feature.TaskCreation, true, "it's \"on\"")
	have, err := w.Features(ctx)
	must(t, err)
	if want := []feature.State{routes, tasks}; !slices.Equal(have, want) {
		t.Errorf("features that were switched:\n%v, want\n%v", have, want)
	}
	evs, err := w.Events(ctx, store.EventFilter{Kinds: []event.Kind{"feature.switched"}})
	must(t, err)
	if len(evs) != 3 {
		t.Errorf("%d switches are on record, want 3", len(evs))
	}
}
