package source

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncAll makes the named files and folders, all on the filesystem of dir,
// durable. Above a handful one syncfs is cheaper than a wait for each.
func syncAll(dir string, paths []string) error {
	if len(paths) <= 16 {
		return syncEach(paths)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
