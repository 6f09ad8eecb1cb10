package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"naru/internal/app"
)

// Swept says what a sweep removed.
type Swept struct {
	Files int   // contents and manifests
	Bytes int64 // freed
}

// Sweep removes what none of the kept snapshots needs and nobody used since
// olderThan ago. It may run while others receive, freeze and check out: what
// they were promised counts as used. A kept digest whose manifest is gone or
// damaged stops the sweep before anything is removed.
func (s *Store) Sweep(ctx context.Context, space app.SpaceID, keep []string, olderThan time.Duration) (Swept, error) {
	dir, err := s.spaceDir(space)
	if err != nil {
		return Swept{}, err
	}
	needed, err := s.needed(ctx, space, keep)
	if err != nil {
		return Swept{}, err
	}
	limit := time.Now().Add(-olderThan)
	var swept Swept
	folders, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return swept, nil
	}
	if err != nil {
		return swept, fmt.Errorf("sweep %s: %w", space, err)
	}
	for _, folder := range folders {
		if folder.Name() == "sha1" {
			continue // after the contents they point to
		}
		if err := s.sweepFolder(ctx, filepath.Join(dir, folder.Name()), needed, limit, &swept); err != nil {
			return swept, fmt.Errorf("sweep %s: %w", space, err)
		}
	}
	return swept, sweepNames(ctx, dir)
}

// needed lists the files that the kept snapshots consist of.
func (s *Store) needed(ctx context.Context, space app.SpaceID, keep []string) (map[string]bool, error) {
	needed := map[string]bool{}
	for _, digest := range keep {
		m, err := s.Load(ctx, space, digest)
		if err != nil {
			return nil, fmt.Errorf("sweep %s: %w", space, err)
		}
		needed[digest[len("sha256:"):]] = true
		for _, f := range m {
			needed[f.SHA256] = true
		}
	}
	return needed, nil
}

func (s *Store) sweepFolder(ctx context.Context, folder string, needed map[string]bool, limit time.Time, swept *Swept) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if needed[e.Name()] {
			continue
		}
		n, err := s.removeIfOld(filepath.Join(folder, e.Name()), limit)
		if err != nil {
			return err
		}
		if n >= 0 {
			swept.Files++
			swept.Bytes += n
		}
	}
	return nil
}

// removeIfOld removes a file unless it was used since limit; it returns its
// size, or -1 where it stays.
func (s *Store) removeIfOld(path string, limit time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil // what was in tmp has been renamed
	}
	if err != nil {
		return -1, err
	}
	if info.IsDir() || info.ModTime().After(limit) {
		return -1, nil
	}
	return info.Size(), os.Remove(path)
}

// sweepNames removes SHA-1 names whose content is gone.
func sweepNames(ctx context.Context, dir string) error {
	err := filepath.WalkDir(filepath.Join(dir, "sha1"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		hash, err := os.Readlink(p)
		if err == nil && hex256.MatchString(hash) {
			if _, err := os.Stat(blobPath(dir, hash)); err == nil {
				return ctx.Err()
			}
		}
		return errors.Join(ctx.Err(), os.Remove(p))
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// DropEmpty removes the folders of a space that was deleted, once no file is in them.
func (s *Store) DropEmpty(space app.SpaceID) error {
	dir, err := s.spaceDir(space)
	if err != nil {
		return err
	}
	var found bool
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found, err = true, fs.SkipAll
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look through the source of %s: %w", space, err)
	}
	if found {
		return nil
	}
	return s.Drop(space)
}

// Drop removes all source of a space that was deleted.
func (s *Store) Drop(space app.SpaceID) error {
	dir, err := s.spaceDir(space)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("drop source of %s: %w", space, err)
	}
	return nil
}
