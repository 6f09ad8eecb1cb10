package cli

import (
	"context"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile waits until no other process holds the lock.
func lockFile(_ context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &windows.Overlapped{}); err != nil {
		_ = f.Close() // the lock's error says more
		return nil, err
	}
	return func() { _ = f.Close() }, nil // closing unlocks; nothing was written
}
