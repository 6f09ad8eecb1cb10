package buildkit_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"naru/internal/build/bake"
)

// bakeCache outlives test runs, so that only the first one downloads. Name
// another folder with NARU_TEST_CACHE.
func bakeCache() (string, error) {
	if dir := os.Getenv("NARU_TEST_CACHE"); dir != "" {
		return filepath.Join(dir, "bake"), nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "naru-test", "bake"), err
}

var bakers = sync.OnceValues(func() (*bake.Baker, error) {
	dir, err := bakeCache()
	if err != nil {
		return nil, err
	}
	return bake.New(bake.Config{CacheDir: dir}, slog.New(slog.DiscardHandler))
})

// foundationImage bakes a foundation that comes with naru.
func foundationImage(ctx context.Context, want string) (img v1.Image, abi string, err error) {
	baker, err := bakers()
	if err != nil {
		return nil, "", err
	}
	spec, err := bake.BuiltinSpec(want)
	if err != nil {
		return nil, "", err
	}
	res, err := baker.Bake(ctx, spec, bake.Options{})
	return res.Image, res.ABI, err
}
