package buildkit

import (
	"context"
	"fmt"

	bkclient "github.com/moby/buildkit/client"
)

// Prune removes the cache of builds down to most bytes, and further while less
// than free bytes of its disk are free. What a build uses stays. It returns how
// many bytes went.
func (b *Builder) Prune(ctx context.Context, most, free int64) (freed int64, err error) {
	c, err := bkclient.New(ctx, b.opts.Address)
	if err != nil {
		return 0, unreachable(b.opts.Address, err)
	}
	defer c.Close()
	removed := make(chan bkclient.UsageInfo)
	ended := make(chan error, 1)
	go func() {
		ended <- c.Prune(ctx, removed, bkclient.WithKeepOpt(0, 0, most, free))
		close(removed)
	}()
	for r := range removed {
		freed += r.Size
	}
	if err := <-ended; err != nil {
		return freed, fmt.Errorf("prune build cache: %w", err)
	}
	return freed, nil
}
