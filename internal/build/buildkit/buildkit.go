// Package buildkit is a Builder on a BuildKit daemon: it compiles recipes to
// BuildKit's graph, hands Dockerfiles to its own reader, follows the log, and
// renders the daemon's configuration.
package buildkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	bkclient "github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"golang.org/x/sync/errgroup"

	"naru/internal/artifact"
	"naru/internal/build"
	"naru/internal/fault"
)

var _ build.Builder = (*Builder)(nil)

// Builder builds on the daemon at an address. It holds no connection between
// builds, so that the daemon may be restarted at any time.
type Builder struct {
	opts Options
	log  *slog.Logger
}

// Options are what a Builder needs to know of the machine.
type Options struct {
	Address      string // "unix:///run/naru/x/buildkitd.sock"
	StaticServer string // path of the naru-static program; "": static sites cannot be built
	LogBytes     int64  // of the output of one build, what is over is counted and dropped; 0: DefaultLogBytes
}

// New returns a Builder on a daemon. It connects when it builds.
func New(opts Options, log *slog.Logger) *Builder { return &Builder{opts, log} }

// Ready returns nil when the daemon answers and has a worker.
func (b *Builder) Ready(ctx context.Context) error {
	c, err := bkclient.New(ctx, b.opts.Address)
	if err != nil {
		return unreachable(b.opts.Address, err)
	}
	defer c.Close()
	workers, err := c.ListWorkers(ctx)
	if err != nil {
		return unreachable(b.opts.Address, err)
	}
	if len(workers) == 0 {
		return fault.New(fault.Unavailable, "", "the build daemon at %s has no worker", b.opts.Address)
	}
	return nil
}

func unreachable(address string, err error) error {
	return fault.New(fault.Unavailable, "", "the build daemon at %s does not answer", address).
		WithTry("it is started again by itself; naru doctor tells why when it is not").WithCause(err)
}

// Build carries out a request: solve, push, and read back what was pushed.
func (b *Builder) Build(ctx context.Context, req build.Request) (build.Result, error) {
	start := time.Now()
	if err := check(req); err != nil {
		return build.Result{}, err
	}
	limit := req.Timeout
	if limit <= 0 {
		limit = build.DefaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeout)
	defer cancel()
	c, err := bkclient.New(ctx, b.opts.Address)
	if err != nil {
		return build.Result{}, unreachable(b.opts.Address, err)
	}
	defer c.Close()

	follow := newFollower(req.Progress, cmp.Or(b.opts.LogBytes, DefaultLogBytes))
	digest, err := b.solve(ctx, c, req, follow)
	if err != nil {
		return build.Result{}, explain(ctx, err, req, limit, follow)
	}
	res, err := describe(ctx, req, artifact.Ref{Repository: req.Target.Repository, Digest: digest})
	if err != nil {
		return build.Result{}, err
	}
	res.Steps, res.Warnings, res.Took = follow.count(), follow.warnings(), time.Since(start)
	return res, nil
}

var errTimeout = errors.New("build took too long")

func check(req build.Request) error {
	r := req.Recipe
	switch {
	case req.Dir == "":
		return errors.New("build request without a directory")
	case req.Target.Registry == "" || req.Target.Repository == "":
		return errors.New("build request without a target")
	case r.Dockerfile == nil && req.Foundations.Run.Ref == "":
		return fmt.Errorf("foundation %s was not resolved", r.Foundations.Run)
	case len(r.Steps) > 0 && req.Foundations.Build.Ref == "":
		return fmt.Errorf("foundation %s was not resolved", r.Foundations.Build)
	}
	return nil
}

// solve runs the build and returns the digest of the pushed manifest.
func (b *Builder) solve(ctx context.Context, c *bkclient.Client, req build.Request, follow *follower) (string, error) {
	opt, err := b.solveOptions(req)
	if err != nil {
		return "", err
	}
	status := make(chan *bkclient.SolveStatus)
	var resp *bkclient.SolveResponse
	var wrong *fault.Error // found by the frontend; the daemon hands on its text alone
	var g errgroup.Group   // not bound to ctx: the status channel is drained to its end
	g.Go(func() error {
		frontend := b.frontend(req)
		if req.Recipe.Dockerfile != nil {
			frontend = dockerfileFrontend(opt.FrontendAttrs)
		}
		var err error
		resp, err = c.Build(ctx, opt, "naru", func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
			res, err := frontend(ctx, c)
			errors.As(err, &wrong)
			return res, err
		}, status)
		return err
	})
	g.Go(func() error {
		follow.run(status)
		return nil
	})
	if err := g.Wait(); err != nil && wrong != nil {
		return "", wrong
	} else if err != nil {
		return "", err
	}
	digest := resp.ExporterResponse["containerimage.digest"]
	if digest == "" {
		return "", errors.New("the build daemon reported no image digest")
	}
	return digest, nil
}
