//go:build unix

package source

import (
	"io/fs"
	"syscall"
)

// hasModes says that files carry whether they are executable.
const hasModes = true

// inode tells a file from another that took its name and time.
func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}
