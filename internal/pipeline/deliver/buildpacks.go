package deliver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/source"
)

// buildpacks freezes the repositories of classic buildpacks, so that what a build
// used is known to the file.
func (s *Service) buildpacks(ctx context.Context, space app.SpaceID, urls []string) ([]build.Buildpack, error) {
	var all []build.Buildpack
	for _, one := range urls {
		url, ref, _ := strings.Cut(one, "#")
		snap, err := s.git.Clone(ctx, space, url, ref, "", func(string) {})
		if err != nil {
			return nil, err
		}
		if snap, err = s.store.AddSnapshot(ctx, snap); err != nil {
			return nil, err
		}
		all = append(all, build.Buildpack{Name: packName(snap.Origin), Digest: snap.Digest})
	}
	return all, nil
}

// packName is a buildpack for people: where it is from, and which commit.
func packName(o source.Origin) string {
	return o.URL + "#" + o.Commit[:min(10, len(o.Commit))]
}

// unpack lays buildpacks out below a folder.
func (s *Service) unpack(ctx context.Context, space app.SpaceID, packs []build.Buildpack, dir string) error {
	for i := range packs {
		snap, err := s.snapshot(ctx, space, packs[i].Digest)
		if err != nil {
			return err
		}
		packs[i].Dir = filepath.Join(dir, "buildpack-"+strconv.Itoa(i))
		if err := os.Mkdir(packs[i].Dir, 0o700); err != nil {
			return fmt.Errorf("make folder of buildpack: %w", err)
		}
		if err := s.sources.Checkout(ctx, snap, packs[i].Dir); err != nil {
			return err
		}
	}
	return nil
}
