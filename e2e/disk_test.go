package e2e

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A full disk is said to be full, and what is there goes on.
func TestDiskFull(t *testing.T) {
	slow(t)
	p := prepare(t)
	if err := os.MkdirAll(p.data(), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", p.data(), "tmpfs", 0, "size=64m,mode=711"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(p.data(), 0); err != nil {
			t.Errorf("something holds the data folder: %v", err)
		}
	})
	p.begin(t)
	film := make([]byte, 100<<20)
	_, _ = rand.Read(film) // never fails
	dir := folder(t, map[string]string{"index.html": "hello"})
	if err := os.WriteFile(filepath.Join(dir, "film.bin"), film, 0o644); err != nil {
		t.Fatal(err)
	}
	p.admin.refused(t, []string{"push", "film", "--path", dir}, "disk is full")
	p.admin.do(t, "spaces", "create", "still-works")
	mustSay(t, p.admin.do(t, "spaces"), "still-works")
}
