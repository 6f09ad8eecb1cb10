package vault_test

import (
	"fmt"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/observe/drain"
	"naru/internal/store"
)

func TestReceiversOfDrainsAreSealed(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	to := drain.Target{URL: "otlp+https://me:hidden@h/v1/logs?key=hidden", Header: map[string]string{"X-Key": "hidden"}}
	d, err := b.AddDrain(ctx, drain.Declared{ID: "d-1", By: "ada", Space: b.space, App: b.app, Name: "out", Shown: drain.Shown(to.URL)}, to, nil)
	must(t, err)
	kept, err := b.store.DrainTarget(ctx, d.ID)
	must(t, err)
	events, err := b.store.Events(ctx, store.EventFilter{})
	must(t, err)
	if text := fmt.Sprintf("%v %+v %+v %v", kept, events, d, to); strings.Contains(text, "hidden") || !strings.Contains(text, "drain.added") {
		t.Errorf("a secret is readable, or no event tells of it: %s", text)
	}
	if d.By != "ada" || d.Created.IsZero() {
		t.Errorf("kept %+v", d)
	}
	open := func() {
		t.Helper()
		got, err := b.DrainTarget(ctx, d)
		must(t, err)
		if got.URL != to.URL || got.Header["X-Key"] != "hidden" {
			t.Error("it leads somewhere else")
		}
	}
	open()
	if b.ring, err = b.ring.Rotated(); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Reseal(ctx); err != nil || n != 1 {
		t.Fatalf("sealed %d anew, %v", n, err)
	}
	b.ring = b.ring.Newest()
	open()

	// Under another owner it does not open.
	d.Space = app.SpaceID("elsewhere")
	if _, err := b.DrainTarget(ctx, d); err == nil {
		t.Error("a value that was copied to another space opens")
	}
	if _, err := b.DrainTarget(ctx, drain.Declared{ID: "gone"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("of a drain that is gone: %v", err)
	}
}
