package storetest

import (
	"maps"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/id"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/operation"
	"naru/internal/store"
)

// pulse: what is counted is what is there.
func pulse(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	w.newApp(t, "till")
	w.newOperation(t, "a", "1")
	w.newOperation(t, "b", "2")
	ended, ok, err := w.TakeOperation(ctx)
	must(t, err)
	if !ok {
		t.Fatal("there is nothing to take")
	}
	must(t, w.EndOperation(ctx, ended.ID, operation.Done, nil, nil, nil))
	d, err := w.AddDrain(ctx, drain.Declared{ID: drain.ID(id.New()), Space: w.space.ID, Name: "d", Shown: "syslog://h", By: "ada"}, "k1.secret", map[app.ID]logs.Cursor{}, happened("drain.added", "d"))
	must(t, err)
	must(t, w.KeepDrained(ctx, []drain.Kept{{Drain: d.ID, App: w.app.ID, State: drain.State{Sent: 5, Dropped: 2, Failing: time.Unix(7, 0)}}}))

	got, err := w.Pulse(ctx)
	must(t, err)
	if got.Apps != 2 || got.Events < 5 || !maps.Equal(got.Operations, map[string]int64{"queued": 1}) || len(got.Instances)+len(got.Rollouts)+len(got.Alerts) != 0 {
		t.Errorf("counted %+v", got)
	}
	if want := (store.Drained{Courses: 1, Failing: 1, Sent: 5, Dropped: 2}); got.Drains != want {
		t.Errorf("drains are %+v, want %+v", got.Drains, want)
	}
}
