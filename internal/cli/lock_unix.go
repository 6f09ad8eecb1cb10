//go:build unix

package cli

import (
	"context"
	"os"
	"syscall"
)

// lockFile waits until no other process holds the lock.
func lockFile(_ context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		_ = f.Close() // the lock's error says more
		return nil, err
	}
	return func() { _ = f.Close() }, nil // closing unlocks; nothing was written
}
