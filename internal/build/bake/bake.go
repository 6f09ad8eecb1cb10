// Package bake turns a declared foundation into an OCI image from a Debian
// mirror, without root, chroot or dpkg: the same input gives the same digest.
package bake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"naru/internal/build/bake/apt"
	"naru/internal/build/bake/fetch"
	"naru/internal/build/bake/inflate"
	"naru/internal/build/bake/layer"
	"naru/internal/build/bake/npm"
	"naru/internal/fault"
)

// version is part of the key of remembered images: raise it with every change
// that gives other bytes for the same input.
const version = "1"

// Config says where to bake and what from.
type Config struct {
	CacheDir string // packages, layers and remembered images; made when missing

	Mirror      string // of Debian, for Specs that name none; "" reads the host's apt sources
	Security    string // of debian-security; "" as above
	Keyring     string // file with the keys to believe; "" is Debian's, built in
	NPMRegistry string // "" is npm's own

	CABundle []byte                                // PEM, trusted beside the system's certificates
	Proxy    func(*http.Request) (*url.URL, error) // nil connects directly

	Compression layer.Compression // "" is zstd
	Parallel    int               // downloads at once; 0 means 16
	Limits      Limits
	Now         func() time.Time // for Valid-Until; nil is time.Now
}

// Limits bound what a mirror or a declaration can make us do.
type Limits struct {
	Release  int64 // bytes of an InRelease file; 0 means 4 MiB
	Index    int64 // bytes of a Packages index, unpacked; 0 means 256 MiB
	Package  int64 // bytes of one .deb or npm tarball; 0 means 1 GiB
	Total    int64 // bytes of all downloads of one bake; 0 means 4 GiB
	Unpacked int64 // bytes of file content in one layer; 0 means 8 GiB
	Cache    int64 // bytes that Prune leaves in CacheDir; 0 means 20 GiB
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Release: cmp.Or(l.Release, 4<<20), Index: cmp.Or(l.Index, 256<<20), Package: cmp.Or(l.Package, 1<<30),
		Total: cmp.Or(l.Total, 4<<30), Unpacked: cmp.Or(l.Unpacked, 8<<30), Cache: cmp.Or(l.Cache, 20<<30),
	}
}

// Baker bakes foundations; it is safe for concurrent use.
type Baker struct {
	cfg      Config
	fetch    *fetch.Client
	apt      *apt.Reader
	npm      npm.Registry
	inflate  inflate.Inflater
	hostApts func() (apt.Mirrors, error)
	log      *slog.Logger
}

// New checks the configuration and wires a Baker. It contacts nobody.
func New(cfg Config, log *slog.Logger) (*Baker, error) {
	if cfg.CacheDir == "" {
		return nil, fault.New(fault.Invalid, "cache_dir", "no folder for the cache")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	cfg.Parallel = cmp.Or(cfg.Parallel, 16)
	cfg.Compression = cmp.Or(cfg.Compression, layer.Zstd)
	cfg.NPMRegistry = cmp.Or(cfg.NPMRegistry, npm.DefaultRegistry)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	keyring, err := apt.DebianKeyring()
	if cfg.Keyring != "" {
		keyring, err = apt.LoadKeyring(cfg.Keyring)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "mirrors.keyring", err)
	}
	f, err := fetch.New(fetch.Config{Dir: cfg.CacheDir, CABundle: cfg.CABundle, Proxy: cfg.Proxy}, log)
	if err != nil {
		return nil, err
	}
	inf := inflate.Host()
	return &Baker{
		cfg: cfg, fetch: f, inflate: inf, log: log,
		apt:      apt.NewReader(f, keyring, inf, apt.Limits{Release: cfg.Limits.Release, Index: cfg.Limits.Index}, cfg.Now),
		npm:      npm.Registry{URL: cfg.NPMRegistry, Fetch: f},
		hostApts: func() (apt.Mirrors, error) { return apt.HostMirrors(os.DirFS("/etc/apt")) },
	}, nil
}

// Options are of one bake.
type Options struct {
	Lock     *Lock       // bake exactly this; nil chooses the newest packages
	Progress func(Event) // called from one goroutine at a time; nil: nobody listens
}

// Result is a baked foundation.
type Result struct {
	Image      v1.Image // its layers are read from the cache
	Digest     string   // of the image's manifest, "sha256:..."
	Lock       Lock
	SBOM       []byte // CycloneDX JSON
	ABI        string // "node=22,glibc=2.41"
	Remembered bool   // nothing was unpacked: an equal bake had been done
	Downloaded int64  // bytes
	Steps      []StepTime
}

// Bake makes the image of a Spec. Killed at any instant, the next bake goes on
// with what is in the cache. Of equal bakes at once, in this process or another
// with the same cache, one works and the others wait for its result.
func (b *Baker) Bake(ctx context.Context, spec Spec, opt Options) (Result, error) {
	r := &run{Baker: b, spec: spec, tell: opt.Progress}
	if err := b.fetch.Sweep(); err != nil {
		b.log.WarnContext(ctx, "remains of earlier bakes stay", "error", err)
	}
	res, err := r.bake(ctx, opt.Lock)
	if err != nil {
		return Result{}, fmt.Errorf("bake %s: %w", spec.Foundation, err)
	}
	res.Steps, res.Downloaded = r.steps, r.downloaded
	b.log.InfoContext(ctx, "foundation baked", "foundation", spec.Foundation, "digest", res.Digest,
		"packages", len(res.Lock.Packages), "remembered", res.Remembered, "downloaded", res.Downloaded)
	return res, nil
}

// run is one bake.
type run struct {
	*Baker
	spec  Spec
	steps []StepTime
	lacks []string // what the image lacks of what its packages expect

	mu         sync.Mutex // guards tell and what follows
	tell       func(Event)
	downloaded int64
}

func (r *run) bake(ctx context.Context, lock *Lock) (Result, error) {
	if lock == nil {
		var err error
		if lock, err = r.choose(ctx); err != nil {
			return Result{}, err
		}
	} else if lock.Wish != r.spec.wish() || lock.Architecture != r.spec.From.Architecture {
		return Result{}, fault.New(fault.Conflict, "lock", "the lock file was made for another declaration").
			WithTry("bake without the lock file to make a new one")
	}
	key := r.key(*lock)
	if res, ok := r.recall(ctx, key, *lock); ok {
		return res, nil
	}
	var made Result
	err := r.alone(ctx, "bake-"+key, func() error {
		if res, ok := r.recall(ctx, key, *lock); ok {
			made = res // of an equal bake that ended meanwhile
			return nil
		}
		var err error
		if made, err = r.make(ctx, *lock); err != nil {
			return err
		}
		return r.step("image", func() error { return r.remember(ctx, key, made) })
	})
	return made, err
}

// alone does what equal bakes must not do at once: they wait here for the first,
// and do it themselves if it failed or was killed.
func (r *run) alone(ctx context.Context, name string, do func() error) error {
	var began time.Time
	h, err := r.fetch.Hold(ctx, name, func() {
		began = time.Now()
		r.event(Event{Kind: Begun, Step: "waiting"})
	})
	if !began.IsZero() {
		r.ended("waiting", began)
	}
	if err != nil {
		return fmt.Errorf("wait for an equal bake: %w", err)
	}
	return errors.Join(do(), h.Discard())
}

// step times and reports a part of the bake.
func (r *run) step(name string, do func() error) error {
	start := time.Now()
	r.event(Event{Kind: Begun, Step: name})
	err := do()
	r.ended(name, start)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (r *run) ended(name string, start time.Time) {
	took := time.Since(start)
	r.steps = append(r.steps, StepTime{name, took})
	r.event(Event{Kind: Ended, Step: name, Took: took})
}

func (r *run) event(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tell != nil {
		r.tell(e)
	}
}

// count adds downloaded bytes and holds them against the limit.
func (r *run) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.downloaded += int64(n)
}
