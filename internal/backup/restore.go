package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"naru/internal/atomicfile"
	"naru/internal/fault"
	"naru/internal/secret"
	"naru/internal/store"
)

// Inside the data folder: what is unpacked and not yet in its place, and the
// file in it that says that all was checked.
const (
	staging = ".restore"
	checked = "checked"
)

// Target is where a backup is put back.
type Target struct {
	Dir     string // data folder; there is no file in it but perhaps the key
	KeyPath string // file with the key of secrets, for a backup without
	// WithoutKey goes on although the key is not there: sealed values are lost.
	WithoutKey bool
}

// Restored says what was put back.
type Restored struct {
	About About
	Files int
	// Resumed: an earlier Restore had checked its backup and was interrupted; that
	// one was brought to its end, and the file was not looked at.
	Resumed bool
}

// Restore unpacks a backup beside the data, checks all of it, and only then moves
// it into place, the store last. When it fails before that, nothing has changed;
// interrupted after it, the next Restore goes on.
func Restore(ctx context.Context, file string, t Target) (Restored, error) {
	aside := filepath.Join(t.Dir, staging)
	if ready(aside) {
		return Restored{Resumed: true}, place(aside, t.Dir)
	}
	if err := os.RemoveAll(aside); err != nil {
		return Restored{}, fmt.Errorf("remove an earlier try: %w", err)
	}
	if err := empty(t); err != nil {
		return Restored{}, err
	}
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	done, err := unpack(ctx, file, aside)
	if err == nil {
		err = check(ctx, aside, done.About, t)
	}
	if err != nil {
		return Restored{}, errors.Join(err, os.RemoveAll(aside))
	}
	if err := atomicfile.Write(filepath.Join(aside, checked), nil, 0o600); err != nil {
		return Restored{}, err
	}
	return done, place(aside, t.Dir)
}

// Interrupted reports whether a Restore into the folder was killed while it moved
// files into place: half of a platform is there.
func Interrupted(dir string) bool { return ready(filepath.Join(dir, staging)) }

func ready(aside string) bool {
	_, err := os.Stat(filepath.Join(aside, checked))
	return err == nil
}

// empty refuses a folder with data in it. Folders without files, which packages
// make, and the key are none.
func empty(t Target) error {
	return filepath.WalkDir(t.Dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("look into %s: %w", t.Dir, err)
		case d.IsDir(), path == t.KeyPath:
			return nil
		}
		return fault.New(fault.Conflict, "data_dir", "%s has data already: %s", t.Dir, path).
			WithTry("name an empty folder with --data-dir, or move the old one away")
	})
}

// unpack writes the files of a backup below a folder, and reads it to its end.
func unpack(ctx context.Context, file, into string) (Restored, error) {
	f, err := os.Open(file)
	if err != nil {
		return Restored{}, fault.Wrap(fault.Invalid, "file", err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return Restored{}, fault.New(fault.Invalid, "file", "%s is not a backup: %s", file, err)
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return Restored{}, err
	}
	defer root.Close()
	r := reader{tar: tar.NewReader(gz), root: root}
	done, err := r.all(ctx)
	if err == nil {
		_, err = io.Copy(io.Discard, gz) // to the checksum
	}
	if err != nil && fault.Of(err).Kind == fault.Internal {
		err = fault.New(fault.Invalid, "file", "%s is damaged, or no backup: %s", file, err).
			WithTry("another backup; nothing was changed")
	}
	return done, err
}

type reader struct {
	tar  *tar.Reader
	root *os.Root
}

func (r reader) all(ctx context.Context) (Restored, error) {
	var done Restored
	about, err := r.note(aboutFile, &done.About)
	if err != nil {
		return done, err
	}
	if !about {
		return done, errors.New("it does not begin with " + aboutFile)
	}
	if done.About.Format > format {
		return done, fault.New(fault.Unsupported, "file", "the backup has format %d and was written by naru %s; this one reads up to %d",
			done.About.Format, done.About.Naru, format).WithTry("restore it with that naru, or a newer one")
	}
	for {
		h, err := r.tar.Next()
		if errors.Is(err, io.EOF) {
			return done, errors.New("it was cut off: " + endFile + " is missing")
		}
		if err != nil {
			return done, err
		}
		if err := ctx.Err(); err != nil {
			return done, err
		}
		if h.Name == endFile {
			var last end
			if err := json.NewDecoder(r.tar).Decode(&last); err != nil || last.Files != done.Files+1 {
				return done, fmt.Errorf("it has %d files and should have %d", done.Files+1, last.Files)
			}
			_, err := r.tar.Next()
			if !errors.Is(err, io.EOF) {
				return done, errors.New("something follows its end")
			}
			return done, nil
		}
		if err := r.file(h); err != nil {
			return done, err
		}
		done.Files++
	}
}

// note reads a small JSON entry, if it is the next one.
func (r reader) note(name string, into any) (bool, error) {
	h, err := r.tar.Next()
	if err != nil || h.Name != name {
		return false, err
	}
	text, err := io.ReadAll(io.LimitReader(r.tar, 64<<10))
	if err != nil {
		return false, err
	}
	return true, json.NewDecoder(bytes.NewReader(text)).Decode(into)
}

func (r reader) file(h *tar.Header) (err error) {
	top, _, below := strings.Cut(h.Name, "/")
	known := h.Name == storeFile || h.Name == confFile ||
		below && (slices.Contains(folders, top) || slices.Contains(keyFolders, top))
	if h.Typeflag != tar.TypeReg || !known || path.Clean(h.Name) != h.Name {
		return fmt.Errorf("%q does not belong into a backup", h.Name)
	}
	name := filepath.FromSlash(h.Name)
	if err := r.root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return unpacking(h.Name, err)
	}
	f, err := r.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(h.Mode).Perm())
	if err != nil {
		return unpacking(h.Name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, r.tar); err != nil {
		return unpacking(h.Name, err)
	}
	if err := f.Sync(); err != nil {
		return unpacking(h.Name, err)
	}
	return nil
}

// unpacking tells trouble of this machine from a backup that is damaged.
func unpacking(name string, err error) error {
	var here *fs.PathError
	if !errors.As(err, &here) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fault.New(fault.Unavailable, "data_dir", "unpack %s: %v", name, here.Err).
		WithTry("make room, or name another folder with --data-dir; nothing was changed")
}

// check asks of what was unpacked whether it makes a platform.
func check(ctx context.Context, aside string, about About, t Target) error {
	if err := store.Verify(ctx, filepath.Join(aside, storeFile)); err != nil {
		return fmt.Errorf("the store in the backup: %w", err)
	}
	at := t.KeyPath
	if about.WithKey {
		if _, err := os.Stat(filepath.Join(t.Dir, filepath.FromSlash(keyFile))); err == nil {
			return fault.New(fault.Conflict, "data_dir", "%s has a key already, and the backup has one too", t.Dir).
				WithTry("move %s away", filepath.Join(t.Dir, keyFile))
		}
		at = filepath.Join(aside, filepath.FromSlash(keyFile))
	}
	if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) {
		if t.WithoutKey {
			return nil
		}
		return fault.New(fault.Invalid, "key_file", "the backup has no key for its secrets, and there is none in %s", at).
			WithTry("put the old key there, or name it with --key-file; --without-key goes on and loses all secrets")
	}
	ring, err := secret.LoadKeyring(at)
	if err != nil {
		return err
	}
	if !ring.Holds(about.KeyID) && !t.WithoutKey {
		return fault.New(fault.Invalid, "key_file", "the key in %s is another one than the secrets of the backup were sealed with", at).
			WithTry("put the old key there, or name it with --key-file; --without-key goes on and loses all secrets")
	}
	return nil
}

// place moves what was checked into place. The store comes last: a folder without
// it is no platform yet.
func place(aside, dir string) error {
	entries, err := os.ReadDir(aside)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.Name() != checked && e.Name() != storeFile {
			names = append(names, e.Name())
		}
	}
	if _, err := os.Stat(filepath.Join(aside, storeFile)); err == nil {
		names = append(names, storeFile)
	}
	for _, name := range names {
		// In its place is nothing, or folders without files. A file there is an error.
		if err := vacate(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("restore %s: %w", name, err)
		}
		if err := os.Rename(filepath.Join(aside, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("restore %s: %w", name, err)
		}
	}
	// Whoever reads the folder must get through to the gateway's, as at a first start.
	if err := os.Chmod(dir, 0o711); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return os.RemoveAll(aside)
}

// vacate removes a folder that has only folders in it.
func vacate(dir string) error {
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, path := range slices.Backward(found) {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return err
}
