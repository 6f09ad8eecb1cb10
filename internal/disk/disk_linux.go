package disk

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Of looks at the disk that a path is on.
func Of(path string) (Room, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return Room{}, fmt.Errorf("look at the disk of %s: %w", path, err)
	}
	free := fs.Bavail
	if os.Geteuid() == 0 {
		free = fs.Bfree
	}
	return Room{Free: int64(free) * fs.Bsize, Total: int64(fs.Blocks) * fs.Bsize}, nil
}
