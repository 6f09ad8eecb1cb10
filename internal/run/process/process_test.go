//go:build unix

package process_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/run"
	"naru/internal/run/process"
	"naru/internal/run/runtest"
)

func TestDriver(t *testing.T) {
	dir := t.TempDir()
	t.Cleanup(runtest.Leftovers(t, dir))
	cfg := process.Config{
		Dir: filepath.Join(dir, "run"), SpoolDir: filepath.Join(dir, "spool"), DiskEvery: 100 * time.Millisecond,
		LogBinary: runtest.Command(t, "naru/cmd/naru-log"), InitBinary: runtest.Command(t, "naru/cmd/naru-init"),
	}
	open := func(t *testing.T) run.Driver {
		d, err := process.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	runtest.Driver(t, func(t *testing.T) (run.Driver, runtest.Fixture) {
		d := open(t)
		t.Cleanup(func() {
			if err := d.Teardown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return d, runtest.Fixture{
			Image: runtest.AppImage(t, ""), Reopen: open,
			Missing: map[string]string{"out of memory": "the process driver enforces no memory limit, and says so"},
		}
	})
}
