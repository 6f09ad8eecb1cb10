package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// allocate gives a file its blocks, not only its length.
func allocate(f *os.File, bytes int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, bytes)
	if err == unix.EOPNOTSUPP {
		return fill(f, bytes)
	}
	return err
}
