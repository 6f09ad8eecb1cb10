package buildkit_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"naru/internal/build/buildkit"
	"naru/internal/fault"
)

// A full disk is a real one here: the daemon's state is on 192 MiB of memory.
func TestDiskFull(t *testing.T) {
	m := newMachine(t, newRegistry(t), func(d *buildkit.Daemon) {
		d.Root = filepath.Join(d.DataDir, "small")
		mountSmall(t, d.Root)
	})
	dir := copied(t, "static")
	write(t, dir, "large.bin", strings.Repeat("0123456789abcdef", 16<<20))
	_, _, err := m.push(t, dir, snapshotA, nil)
	mustFail(t, err, fault.Failed, "no space left on device", "the disk of the build machine is full")
}

func mountSmall(t *testing.T, dir string) {
	t.Helper()
	mustMake(t, dir)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=192m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
