package bake

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Prune removes what was not used for longest until the cache is within
// Limits.Cache, and returns how many bytes it freed. What killed bakes left in
// the making goes too. Anything removed is
// fetched or baked again when it is wanted; what was used in the last hour
// stays, since a bake may be reading it.
func (b *Baker) Prune() (freed int64, err error) {
	type file struct {
		path string
		size int64
		used time.Time
	}
	var all []file
	var total int64
	walk := func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			all = append(all, file{path, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return err
	}
	if err := b.fetch.Sweep(); err != nil {
		return 0, fmt.Errorf("sweep the cache: %w", err)
	}
	for _, dir := range []string{"blobs", "records", "choices"} {
		if err := filepath.WalkDir(filepath.Join(b.cfg.CacheDir, dir), walk); err != nil {
			return 0, fmt.Errorf("look through the cache: %w", err)
		}
	}
	slices.SortFunc(all, func(x, y file) int { return x.used.Compare(y.used) })
	young := b.cfg.Now().Add(-time.Hour)
	for _, f := range all {
		if total <= b.cfg.Limits.Cache || f.used.After(young) {
			break
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return freed, fmt.Errorf("clean the cache: %w", err)
		}
		total -= f.size
		freed += f.size
	}
	return freed, nil
}
