// Package backup writes a platform into one file, and puts it back where none is.
//
// The file is a gzipped tar. about.json comes first, store.db second, then the
// folders, and end.json last: a file without it was cut off. Without the key no
// file of keys/ and secrets/ is in it, so that nothing inside opens a sealed
// value, signs a token, or is anybody's password.
package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	format    = 1 // of the archive; a reader refuses a greater one
	aboutFile = "about.json"
	endFile   = "end.json"
	storeFile = "store.db"
	confFile  = "config.yaml"
	keyFile   = "keys/master"
)

// folders of the data folder that cannot be made again.
var folders = []string{"registry", "source", "foundations"}

// keyFolders are in a backup only where its owner asked for the key.
var keyFolders = []string{"keys", "secrets"}

// About is what a backup says of itself.
type About struct {
	Format  int       `json:"format"`
	Naru    string    `json:"naru"` // version of the program that wrote it
	Made    time.Time `json:"made"`
	KeyID   string    `json:"key_id"`   // of the key that seals; says nothing about the key
	WithKey bool      `json:"with_key"` // keys/ and secrets/ are inside
}

// end is the last entry.
type end struct {
	Files int `json:"files"` // entries before it
}

// Source is the platform that is written.
type Source struct {
	Dir      string                                       // data folder
	Store    func(ctx context.Context, w io.Writer) error // writes a consistent copy of the database
	Settings []byte                                       // the configuration file to come back with
	KeyPath  string                                       // file with the key of secrets, wherever it is
	About    About                                        // Format is filled in
}

// Write writes the backup while the platform runs. What it wrote before an error
// is no backup, and Restore refuses it.
func Write(ctx context.Context, w io.Writer, s Source) error {
	gz := gzip.NewWriter(w)
	out := &writer{tar: tar.NewWriter(gz), made: s.About.Made}
	s.About.Format = format
	if err := out.json(aboutFile, s.About); err != nil {
		return err
	}
	// The store before the folders: what it names is older than the folders read
	// after it, and nothing that it names is removed meanwhile, for garbage is
	// younger.
	if err := out.store(ctx, s); err != nil {
		return err
	}
	if err := out.bytes(confFile, s.Settings); err != nil {
		return err
	}
	named := folders
	if s.About.WithKey {
		if err := out.file(s.KeyPath, keyFile); err != nil {
			return err
		}
		named = append(named[:len(named):len(named)], keyFolders...)
	}
	for _, dir := range named {
		if err := out.tree(ctx, s, dir); err != nil {
			return err
		}
	}
	if err := out.json(endFile, end{out.files}); err != nil {
		return err
	}
	if err := errors.Join(out.tar.Close(), gz.Close()); err != nil {
		return fmt.Errorf("end backup: %w", err)
	}
	return nil
}

type writer struct {
	tar   *tar.Writer
	made  time.Time
	files int
}

func (w *writer) json(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	return w.bytes(name, append(text, '\n'))
}

func (w *writer) bytes(name string, text []byte) error {
	return w.entry(name, 0o600, int64(len(text)), w.made, strings.NewReader(string(text)))
}

// store copies the database into a file first: its size stands before it.
func (w *writer) store(ctx context.Context, s Source) (err error) {
	tmp, err := os.CreateTemp(s.Dir, "backup-*.db")
	if err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	defer func() { err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name())) }()
	if err := s.Store(ctx, tmp); err != nil {
		return err
	}
	return w.file(tmp.Name(), storeFile)
}

func (w *writer) tree(ctx context.Context, s Source, dir string) error {
	return filepath.WalkDir(filepath.Join(s.Dir, dir), func(path string, d fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(s.Dir, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("back up %s: %w", dir, err)
		case ctx.Err() != nil:
			return ctx.Err()
		case relErr != nil:
			return relErr
		case !d.Type().IsRegular(), filepath.ToSlash(name) == keyFile, strings.Contains(path, "/_uploads/"):
			return nil
		}
		return w.file(path, name)
	})
}

// file adds a file; one that was removed meanwhile was garbage.
func (w *writer) file(path, name string) (err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && name != keyFile {
		return nil
	}
	if err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	return w.entry(name, info.Mode().Perm(), info.Size(), info.ModTime(), f)
}

func (w *writer) entry(name string, mode fs.FileMode, size int64, changed time.Time, from io.Reader) error {
	h := &tar.Header{Name: filepath.ToSlash(name), Mode: int64(mode), Size: size, ModTime: changed, Typeflag: tar.TypeReg}
	if err := w.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	if _, err := io.CopyN(w.tar, from, size); err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	w.files++
	return nil
}
