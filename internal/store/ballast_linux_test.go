package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"naru/internal/app"
	"naru/internal/disk"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/store"
)

// onSmallDisk opens a store on a disk of its own.
func onSmallDisk(t *testing.T, mib int) (st *store.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	st, err := store.Open(t.Context(), filepath.Join(dir, "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st, dir
}

// film takes all that is free on the disk of dir.
func film(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "film")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !disk.Full(err) {
		t.Fatal(err)
	}
	return path
}

func running(t *testing.T, st *store.Store, subject string) operation.Operation {
	t.Helper()
	_, err := st.AddOperation(t.Context(), operation.Operation{
		ID: operation.ID(id.New()), Kind: "push", Subject: subject, Actor: "ada", Request: []byte("{}"), State: operation.Queued,
	})
	if err != nil {
		t.Fatal(err)
	}
	op, ok, err := st.TakeOperation(t.Context())
	if err != nil || !ok {
		t.Fatalf("TakeOperation() = %v, %v", ok, err)
	}
	return op
}

func reserved(t *testing.T, dir string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "store.db.reserve"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestOperationsEndOnAFullDisk(t *testing.T) {
	st, dir := onSmallDisk(t, 64)
	ops := []operation.Operation{running(t, st, "one"), running(t, st, "two")}
	if got := reserved(t, dir); got != 8<<20 {
		t.Fatalf("reserve of %d bytes, want 8 MiB", got)
	}
	path := film(t, dir)

	// What may wait is refused in words that say what is full.
	err := st.ReportOperation(t.Context(), ops[0].ID, nil, []operation.Progress{{Step: "build", Status: operation.StepLog, Text: "hello"}})
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "disk is full at "+dir) || !strings.Contains(fault.Of(err).Try, "naru gc") {
		t.Errorf("a line of progress on a full disk: %v", err)
	}
	// What must be written is, however often somebody fills up what was given back.
	for i, op := range ops {
		end := []operation.Progress{{Step: "build", Status: operation.StepFailed, Text: strings.Repeat("x", 4000)}}
		if err := st.EndOperation(t.Context(), op.ID, operation.Failed, fault.New(fault.Failed, "", "the disk is full"), nil, end); err != nil {
			t.Fatalf("end %d: %v", i, err)
		}
		film(t, dir)
	}
	if got := reserved(t, dir); got >= 8<<20 {
		t.Errorf("the reserve still has %d bytes", got)
	}

	// Room comes back, and the reserve with it.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for n := 0; reserved(t, dir) < 8<<20; n++ {
		if n == 100_000 {
			t.Fatalf("the reserve stays at %d bytes", reserved(t, dir))
		}
		running(t, st, fmt.Sprint(n))
	}
}

// With the reserve used up a write is an error in people's words, and one that
// leaves nothing behind.
func TestAFullDiskWithoutReserve(t *testing.T) {
	st, dir := onSmallDisk(t, 24)
	_, space, err := st.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for n := 0; err == nil; n++ {
		film(t, dir)
		err = st.Together(t.Context(), func(ctx context.Context) error {
			name := fmt.Sprintf("app-%d", n)
			_, first := st.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: space.ID, Name: name, Slug: name, State: app.Started})
			_, second := st.AddOperation(ctx, operation.Operation{
				ID: operation.ID(id.New()), Kind: "push", Subject: name, Actor: "ada", State: operation.Queued,
				Request: []byte(`"` + strings.Repeat("y", 200<<10) + `"`),
			})
			return errors.Join(first, second)
		})
		if err == nil {
			names = append(names, fmt.Sprintf("app-%d", n))
		}
	}
	if len(names) == 0 || !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "disk is full at "+dir) {
		t.Fatalf("after %d writes: %v", len(names), err)
	}
	if err := os.Remove(filepath.Join(dir, "film")); err != nil {
		t.Fatal(err)
	}
	apps, err := st.Apps(t.Context(), store.AppFilter{})
	if err != nil || len(apps) != len(names) {
		t.Errorf("%d apps, want the %d acknowledged (%v)", len(apps), len(names), err)
	}
	if _, err := st.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: space.ID, Name: "after", Slug: "after", State: app.Started}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// A store opens on a full disk.
func TestOpenOnAFullDisk(t *testing.T) {
	st, dir := onSmallDisk(t, 64)
	op := running(t, st, "one")
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	film(t, dir)
	again, err := store.Open(t.Context(), filepath.Join(dir, "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.EndOperation(t.Context(), op.ID, operation.Done, nil, nil, nil); err != nil {
		t.Errorf("end what was under way: %v", err)
	}
}
