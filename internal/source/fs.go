package source

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Fetch gives a read-only view of a snapshot without checking it out. Symlinks
// are followed inside the tree; the view also implements fs.ReadLinkFS.
func (s *Store) Fetch(ctx context.Context, snap Snapshot) (fs.FS, error) {
	m, err := s.Load(ctx, snap.Space, snap.Digest)
	if err != nil {
		return nil, err
	}
	dir, err := s.spaceDir(snap.Space)
	if err != nil {
		return nil, err
	}
	return newView(dir, m), nil
}

// view is a tree as an fs.FS.
type view struct {
	dir   string // of the space
	files map[string]File
	dirs  map[string][]string // folder to the names in it, sorted
}

var _ fs.ReadLinkFS = (*view)(nil)

func newView(dir string, m Manifest) *view {
	v := &view{dir: dir, files: make(map[string]File, len(m)), dirs: map[string][]string{".": nil}}
	for _, f := range m {
		v.files[f.Path] = f
		for p := f.Path; p != "."; {
			parent := path.Dir(p)
			_, known := v.dirs[parent]
			v.dirs[parent] = append(v.dirs[parent], path.Base(p))
			if known {
				break
			}
			p = parent
		}
	}
	for name, entries := range v.dirs {
		slices.Sort(entries)
		v.dirs[name] = slices.Compact(entries)
	}
	return v
}

// Open opens a file or folder, following symlinks.
func (v *view) Open(name string) (fs.File, error) {
	at, err := v.follow("open", name)
	if err != nil {
		return nil, err
	}
	info, err := v.lstat("open", at)
	if err != nil {
		return nil, err
	}
	info.name = path.Base(name)
	if info.IsDir() {
		return &openDir{v: v, path: at, info: info}, nil
	}
	f, err := os.Open(blobPath(v.dir, info.file.SHA256))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{File: f, info: info}, nil
}

// ReadFile reads a file whole.
func (v *view) ReadFile(name string) ([]byte, error) {
	f, err := v.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b.Bytes(), nil
}

// ReadLink returns the target of a symlink.
func (v *view) ReadLink(name string) (string, error) {
	f, ok := v.files[name]
	if !ok {
		if _, isDir := v.dirs[name]; isDir {
			return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
		}
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrNotExist}
	}
	if !f.IsLink() {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return f.Link, nil
}

// Lstat describes a path without following a symlink at its end.
func (v *view) Lstat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrInvalid}
	}
	return v.lstat("lstat", name)
}

// Stat describes a path, following symlinks.
func (v *view) Stat(name string) (fs.FileInfo, error) {
	at, err := v.follow("stat", name)
	if err != nil {
		return nil, err
	}
	info, err := v.lstat("stat", at)
	if err != nil {
		return nil, err
	}
	info.name = path.Base(name)
	return info, nil
}

func (v *view) follow(op, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	at, err := resolve(v.files, name)
	if err != nil {
		return "", &fs.PathError{Op: op, Path: name, Err: err}
	}
	return cmp.Or(at, "."), nil
}

func (v *view) lstat(op, name string) (fileInfo, error) {
	if f, ok := v.files[name]; ok {
		return fileInfo{name: path.Base(name), file: f}, nil
	}
	if _, ok := v.dirs[name]; ok {
		return fileInfo{name: path.Base(name), dir: true}, nil
	}
	return fileInfo{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// fileInfo describes a file, symlink or folder of a view.
type fileInfo struct {
	name string
	file File
	dir  bool
}

func (i fileInfo) Name() string               { return i.name }
func (i fileInfo) Size() int64                { return i.file.Size }
func (i fileInfo) IsDir() bool                { return i.dir }
func (i fileInfo) Sys() any                   { return nil }
func (i fileInfo) Type() fs.FileMode          { return i.Mode().Type() }
func (i fileInfo) Info() (fs.FileInfo, error) { return i, nil }
func (i fileInfo) String() string             { return fs.FormatFileInfo(i) }

func (i fileInfo) Mode() fs.FileMode {
	switch {
	case i.dir:
		return fs.ModeDir | 0o755
	case i.file.IsLink():
		return fs.ModeSymlink | 0o777
	}
	return i.file.Mode
}

func (i fileInfo) ModTime() time.Time {
	if i.dir || i.file.IsLink() {
		return contentTime(strings.Repeat("0", 64))
	}
	return contentTime(i.file.SHA256)
}

// openFile is a content under the name it has in the tree.
type openFile struct {
	*os.File
	info fileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// openDir lists a folder.
type openDir struct {
	v    *view
	path string
	info fileInfo
	next int
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: fs.ErrInvalid}
}

// ReadDir returns the next n entries, all where n is not above zero.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.v.dirs[d.path][d.next:]
	if n > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if n > 0 {
		rest = rest[:min(n, len(rest))]
	}
	d.next += len(rest)
	out := make([]fs.DirEntry, 0, len(rest))
	for _, name := range rest {
		info, err := d.v.lstat("readdir", path.Join(d.path, name))
		if err != nil {
			return out, err
		}
		out = append(out, info)
	}
	return out, nil
}
