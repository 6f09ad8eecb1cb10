package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"naru/internal/app"
)

// FromDirectory freezes a directory of the server's own machine.
func (s *Store) FromDirectory(ctx context.Context, space app.SpaceID, dir string, opts WalkOptions, origin Origin) (Snapshot, error) {
	opts.Limits = s.limits
	m, err := Walk(ctx, dir, opts)
	if err != nil {
		return Snapshot{}, err
	}
	in, err := s.Begin(space)
	if err != nil {
		return Snapshot{}, err
	}
	defer in.Close()
	for _, f := range m {
		if err := addFrom(ctx, in, dir, f); err != nil {
			return Snapshot{}, err
		}
	}
	return in.Freeze(ctx, origin)
}

func addFrom(ctx context.Context, in *Intake, dir string, f File) error {
	if f.IsLink() {
		return in.Link(f.Path, f.Link)
	}
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Path)))
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	defer file.Close()
	_, err = in.Add(ctx, f.Path, f.Mode, file)
	return err
}
