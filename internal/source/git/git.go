// Package git freezes a commit of a git repository as a snapshot. It reads
// objects and never makes a working tree, so nothing in a repository (hooks,
// filters, symlinks, submodules) has a chance to act.
package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/secret"
	"naru/internal/source"
)

// Options say how repositories are fetched. Zero fields mean the default.
type Options struct {
	Program    string        // the git program; "" looks for one in PATH; Builtin uses none
	AllowFile  bool          // file:// URLs: they read the server's own disk
	AllowHTTP  bool          // http:// URLs: they send credentials in clear
	Timeout    time.Duration // for all of one fetch; 5 minutes
	MaxBytes   int64         // on disk, packed; 2 GiB
	KnownHosts string        // file of ssh host keys that hold for everyone; "" for /etc/ssh/ssh_known_hosts
	CAFile     string        // certificates to trust beside the system's
	Env        []string      // added to the program's environment, such as HTTPS_PROXY=...
	TempDir    string        // where repositories lie while they are read; "" for the system's
}

// Builtin as the program means the one compiled in.
const Builtin = "builtin"

// Defaults of Options.
const (
	DefaultTimeout  = 5 * time.Minute
	DefaultMaxBytes = 2 << 30
)

// Credentials open a private repository. The zero value is for public ones.
type Credentials struct {
	User       string
	Password   secret.Secret // or a token
	SSHKey     secret.Secret // PEM
	KnownHosts string        // lines of a known_hosts file for this host
}

// Client fetches repositories.
type Client struct {
	opts Options
	log  *slog.Logger
}

// New returns a client. It starts nothing.
func New(opts Options, log *slog.Logger) *Client {
	opts.Timeout = cmp.Or(opts.Timeout, DefaultTimeout)
	opts.MaxBytes = cmp.Or(opts.MaxBytes, DefaultMaxBytes)
	if opts.Program == "" {
		if path, err := exec.LookPath("git"); err == nil {
			opts.Program = path
		} else {
			opts.Program = Builtin
		}
	}
	opts.KnownHosts = cmp.Or(opts.KnownHosts, "/etc/ssh/ssh_known_hosts")
	return &Client{opts: opts, log: log}
}

// repository is a fetched one, whichever code fetched it.
type repository interface {
	// fetch brings the commit that ref names, and as little else as the server
	// allows, into dir and returns its id.
	fetch(ctx context.Context, at Location, creds Credentials) (commit string, err error)
	// committed is when a commit was made, in Unix seconds.
	committed(ctx context.Context, commit string) (int64, error)
	// files calls add for each file and symlink of the commit.
	files(ctx context.Context, commit string, add func(path string, mode fs.FileMode, r io.Reader) error) error
}

// Snapshot freezes what "URL#ref" names: a branch, a tag or a commit, the
// default branch where there is no ref. Submodules are left out.
func (c *Client) Snapshot(ctx context.Context, store *source.Store, space app.SpaceID, spec string, creds Credentials) (_ source.Snapshot, err error) {
	at, creds, err := c.parse(spec, creds)
	if err != nil {
		return source.Snapshot{}, err
	}
	dir, err := os.MkdirTemp(c.opts.TempDir, "naru-git-")
	if err != nil {
		return source.Snapshot{}, fmt.Errorf("fetch %s: %w", at, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	start := time.Now()
	repo := c.open(dir)
	commit, err := c.fetchBounded(ctx, repo, dir, at, creds)
	if err != nil {
		return source.Snapshot{}, err
	}
	c.log.InfoContext(ctx, "repository fetched", "url", at.String(), "commit", commit, "took", time.Since(start))
	in, err := store.Begin(space)
	if err != nil {
		return source.Snapshot{}, err
	}
	defer in.Close()
	if err := takeIn(ctx, repo, commit, in); err != nil {
		return source.Snapshot{}, fmt.Errorf("read %s: %w", at, err)
	}
	when, err := repo.committed(ctx, commit)
	if err != nil {
		return source.Snapshot{}, fmt.Errorf("read %s: %w", at, err)
	}
	return in.Freeze(ctx, source.Origin{Kind: source.Git, URL: at.URL, Ref: at.Ref, Commit: commit, Committed: when})
}

func (c *Client) open(dir string) repository {
	if c.opts.Program == Builtin {
		return &builtin{opts: c.opts, dir: dir}
	}
	return &program{opts: c.opts, dir: dir}
}

// maxLink bounds the target of a symlink while it is read; the intake judges it.
const maxLink = 64 << 10

func takeIn(ctx context.Context, repo repository, commit string, in *source.Intake) error {
	return repo.files(ctx, commit, func(path string, mode fs.FileMode, r io.Reader) error {
		if source.NeverSent(path) {
			return nil
		}
		if mode&fs.ModeSymlink == 0 {
			_, err := in.Add(ctx, path, mode, r)
			return err
		}
		target, err := io.ReadAll(io.LimitReader(r, maxLink))
		if err != nil {
			return err
		}
		return in.Link(path, string(target))
	})
}

// fetchBounded ends a fetch that takes too long or grows too big: neither is
// known before.
func (c *Client) fetchBounded(ctx context.Context, repo repository, dir string, at Location, creds Credentials) (string, error) {
	ctx, stop := context.WithTimeoutCause(ctx, c.opts.Timeout, fault.New(fault.Failed, "git", "fetching %s took longer than %s", at, c.opts.Timeout).
		WithTry("push the directory instead: naru push --path DIR"))
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watchSize(ctx, dir, at, cancel)
	}()
	commit, err := repo.fetch(ctx, at, creds)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	cancel(nil)
	<-watched
	return commit, err
}

// watchSize cancels the fetch when its folder outgrows the limit.
func (c *Client) watchSize(ctx context.Context, dir string, at Location, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if sizeOf(dir) > c.opts.MaxBytes {
				cancel(tooBig(at, c.opts.MaxBytes))
				return
			}
		}
	}
}

func tooBig(at Location, limit int64) error {
	return fault.New(fault.TooLarge, "git", "the repository %s is over the limit of %d MiB", at, limit>>20).
		WithTry("push the directory instead: naru push --path DIR")
}

// sizeOf sums the files below dir; what vanishes meanwhile does not count.
func sizeOf(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // renamed while we looked
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}
