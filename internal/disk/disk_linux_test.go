package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"naru/internal/fault"
)

// small is a folder on a disk of its own.
func small(t *testing.T, mib string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+mib+"m"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// take writes that much to the disk of dir.
func take(t *testing.T, dir string, mib int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "film"), make([]byte, mib<<20), 0o600); err != nil && !Full(err) {
		t.Fatal(err)
	}
}

func TestReserve(t *testing.T) {
	dir := small(t, "20")
	r := Reserve{Path: dir, Percent: 10}
	take(t, dir, 17)
	if err := r.Check("builds"); err != nil {
		t.Errorf("with 3 of 20 MiB free: %v", err)
	}
	take(t, dir, 19)
	err := r.Check("builds")
	if !fault.Is(err, fault.Conflict) {
		t.Fatalf("with 1 of 20 MiB free: %v", err)
	}
	for _, word := range []string{dir, "1 MiB of 20 MiB free", "10%", "builds must wait"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	if try := fault.Of(err).Try; !strings.Contains(try, "naru gc") || !strings.Contains(try, "reserve.disk_percent") {
		t.Errorf("the way out is %q", try)
	}
	if err := (Reserve{Path: dir}).Check("builds"); err != nil {
		t.Errorf("nothing is kept, yet: %v", err)
	}
}

func TestAFullDiskIsKnown(t *testing.T) {
	dir := small(t, "1")
	err := os.WriteFile(filepath.Join(dir, "film"), make([]byte, 2<<20), 0o600)
	if !Full(err) {
		t.Errorf("Full(%v) = false", err)
	}
	if Full(nil) || Full(os.ErrNotExist) {
		t.Error("other errors are no full disk")
	}
	if got := Explain(err, "").Error(); !strings.Contains(got, "the disk is full at "+dir+"/film: 0 B of 1 MiB free") {
		t.Errorf("Explain() = %q", got)
	}
	if got := Explain(os.ErrNotExist, dir); got != os.ErrNotExist {
		t.Errorf("Explain() of another error = %v", got)
	}
	if got := Error(dir).Message; !strings.Contains(got, "0 B of 1 MiB free") || !strings.Contains(got, dir) {
		t.Errorf("Error() = %q", got)
	}
}

func TestGuard(t *testing.T) {
	dir := small(t, "20")
	ctx, stop := Reserve{Path: dir, Percent: 10}.Guard(t.Context(), "the build")
	defer stop()
	if ctx.Err() != nil {
		t.Fatal("ended at once")
	}
	take(t, dir, 20)
	<-ctx.Done()
	if cause := context.Cause(ctx); !fault.Is(cause, fault.Conflict) || !strings.Contains(cause.Error(), "the build was stopped") {
		t.Errorf("cause = %v", cause)
	}

	ctx, stop = Reserve{Path: dir, Percent: 0}.Guard(t.Context(), "the build")
	stop()
	if !errors.Is(context.Cause(ctx), context.Canceled) {
		t.Errorf("stopped with %v", context.Cause(ctx))
	}
}
