package source

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"naru/internal/atomicfile"
)

// hashCache remembers the hashes of a directory's files between walks, by size,
// modification time and inode, as git's index does. It is a hint: what is wrong
// or missing costs reading the files again.
type hashCache struct {
	file  string // "" where nothing is remembered
	begun time.Time
	known map[string]cached
}

type cached struct {
	size  int64
	mtime int64 // nanoseconds
	inode uint64
	mode  fs.FileMode
	s256  string
	s1    string
}

const cacheHeader = "naru hashes 1"

func openHashCache(cacheDir, dir string, begun time.Time) *hashCache {
	c := &hashCache{begun: begun, known: map[string]cached{}}
	abs, err := filepath.Abs(dir)
	if cacheDir == "" || err != nil {
		return c
	}
	name := sha256.Sum256([]byte(abs))
	c.file = filepath.Join(cacheDir, hex.EncodeToString(name[:12]))
	data, err := os.ReadFile(c.file)
	if err != nil {
		return c
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	if !lines.Scan() || lines.Text() != cacheHeader {
		return c
	}
	for lines.Scan() {
		if p, e, ok := parseCached(lines.Text()); ok {
			c.known[p] = e
		}
	}
	return c
}

// parseCached reads one line as save writes it.
func parseCached(line string) (string, cached, bool) {
	parts := strings.SplitN(line, " ", 7)
	if len(parts) != 7 {
		return "", cached{}, false
	}
	size, err1 := strconv.ParseInt(parts[0], 10, 64)
	mtime, err2 := strconv.ParseInt(parts[1], 10, 64)
	inode, err3 := strconv.ParseUint(parts[2], 10, 64)
	mode, err4 := strconv.ParseUint(parts[3], 8, 32)
	path, err5 := strconv.Unquote(parts[6])
	ok := errors.Join(err1, err2, err3, err4, err5) == nil
	return path, cached{size, mtime, inode, fs.FileMode(mode), parts[4], parts[5]}, ok
}

// lookup fills in the hashes of a file that has not changed.
func (c *hashCache) lookup(f *File, info fs.FileInfo) bool {
	e, ok := c.known[f.Path]
	if !ok || e.size != info.Size() || e.mtime != info.ModTime().UnixNano() || e.inode != inode(info) ||
		!hex256.MatchString(e.s256) || !hex1.MatchString(e.s1) {
		return false
	}
	f.SHA256, f.SHA1 = e.s256, e.s1
	if !hasModes {
		f.Mode = e.mode
	}
	return true
}

// settled is how old a modification must be to be trusted: a file written twice
// within one tick of the filesystem's clock may keep its time.
const settled = 2 * time.Second

// save writes what was seen; that it cannot is no error of the walk.
func (c *hashCache) save(files Manifest, infos []fs.FileInfo) {
	if c.file == "" || os.MkdirAll(filepath.Dir(c.file), 0o700) != nil {
		return
	}
	b := []byte(cacheHeader + "\n")
	for i, f := range files {
		if f.IsLink() || c.begun.Sub(infos[i].ModTime()) < settled {
			continue
		}
		b = fmt.Appendf(b, "%d %d %d %o %s %s %s\n", f.Size, infos[i].ModTime().UnixNano(), inode(infos[i]), uint32(f.Mode), f.SHA256, f.SHA1, strconv.Quote(f.Path))
	}
	_ = atomicfile.Write(c.file, b, 0o600) // the next walk reads the files again
}
