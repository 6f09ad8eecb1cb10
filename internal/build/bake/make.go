package bake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"naru/internal/build/bake/deb"
	"naru/internal/build/bake/fetch"
	"naru/internal/build/bake/layer"
	"naru/internal/build/bake/settle"
	"naru/internal/fault"
)

// making is the state between the first download and the finished image.
type making struct {
	*run
	lock   Lock
	tree   *layer.Tree
	layers []bakedLayer
	done   int

	mu       sync.Mutex             // guards controls
	controls map[string]deb.Stanza  // of the packages opened so far
	files    map[string]chan string // where a download ends up, once it has
}

type bakedLayer struct {
	Name   string
	Result layer.Result
}

// make downloads and unpacks at the same time: a package is unpacked when its
// turn comes, which is seldom before it is there.
func (r *run) make(ctx context.Context, lock Lock) (Result, error) {
	m := &making{run: r, lock: lock, tree: layer.NewTree(), controls: map[string]deb.Stanza{}, files: map[string]chan string{}}
	blobs, err := m.blobs()
	if err != nil {
		return Result{}, err
	}
	err = r.step("layers", func() error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return m.download(ctx, blobs) })
		g.Go(func() error { return m.unpack(ctx) })
		return g.Wait()
	})
	if err != nil {
		return Result{}, err
	}
	m.userless(ctx)
	return m.result()
}

// wanted is one file to download.
type wanted struct {
	name      string
	blob      fetch.Blob
	addresses []string
}

// blobs lists the downloads in the order in which they are unpacked.
func (m *making) blobs() ([]wanted, error) {
	var all []wanted
	var total int64
	mirrors, err := m.sources()
	if err != nil {
		return nil, err
	}
	for _, base := range []bool{true, false} {
		for _, p := range m.lock.Packages {
			if p.Base != base {
				continue
			}
			suite := m.lock.Suites[p.Suite]
			w := wanted{name: p.Name, blob: fetch.Blob{Algorithm: "sha256", Hex: p.SHA256, Size: p.Size}}
			for _, src := range mirrors {
				if src.Suite == suite.Suite {
					w.addresses = append(w.addresses, src.URI+"/"+p.Path)
				}
			}
			if own := suite.URI + "/" + p.Path; !slices.Contains(w.addresses, own) {
				w.addresses = append(w.addresses, own)
			}
			all = append(all, w)
			total += p.Size
		}
	}
	for _, pin := range m.lock.Npm {
		blob, err := pin.Blob(m.cfg.Limits.Package)
		if err != nil {
			return nil, err
		}
		all = append(all, wanted{name: "npm:" + pin.Name, blob: blob, addresses: []string{pin.URL}})
	}
	if total > m.cfg.Limits.Total {
		return nil, fault.New(fault.TooLarge, "packages", "%d MiB would have to be downloaded, the limit is %d MiB", total>>20, m.cfg.Limits.Total>>20)
	}
	for _, w := range all {
		m.files[w.name] = make(chan string, 1)
	}
	return all, nil
}

func (m *making) download(ctx context.Context, all []wanted) error {
	var total int64
	for _, w := range all {
		total += w.blob.Size
	}
	var mu sync.Mutex // guards bytes and files
	var bytes int64
	files := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(m.cfg.Parallel)
	for _, w := range all {
		g.Go(func() error {
			tell := func(n, done int) {
				mu.Lock()
				bytes += int64(n)
				files += done
				m.event(Event{Kind: Downloaded, Step: "layers", Name: w.name, Bytes: bytes, TotalBytes: total, Done: files, Total: len(all)})
				mu.Unlock() // not before: the numbers must not be heard in another order
			}
			path, from, err := m.fetch.Blob(ctx, w.blob, w.addresses, func(n int) { m.count(n); tell(n, 0) })
			if fetch.Missing(err) {
				err = fault.New(fault.NotFound, "from.mirror", "the mirror no longer has %s", w.addresses[0]).
					WithTry("bake without the lock file to take the newest packages, or name an archive of that day under from.mirror").WithCause(err)
			}
			if err != nil {
				return err
			}
			if from != "" && from != w.addresses[0] {
				m.warn(ctx, "%s is not there, it was taken from %s", w.addresses[0], from)
			}
			m.files[w.name] <- path
			tell(0, 1)
			return nil
		})
	}
	return g.Wait()
}

// unpack writes the layers, lowest first.
func (m *making) unpack(ctx context.Context) error {
	var base, rest []LockedPackage
	for _, p := range m.lock.Packages {
		if p.Base {
			base = append(base, p)
		} else {
			rest = append(rest, p)
		}
	}
	if err := m.layer(ctx, "base", m.debs(base), m.settled); err != nil {
		return err
	}
	if len(rest) > 0 {
		if err := m.layer(ctx, "packages", m.debs(rest), m.settled); err != nil {
			return err
		}
	}
	if len(m.lock.Npm) > 0 {
		if err := m.layer(ctx, "npm", m.tarballs(), m.commands); err != nil {
			return err
		}
	}
	if len(m.spec.Files) > 0 {
		return m.layer(ctx, "files", nil, m.declared)
	}
	return nil
}

// layer writes one layer into the cache, under its digest.
func (m *making) layer(ctx context.Context, name string, sources []layer.Source, generate func(time.Time) ([]layer.File, error)) error {
	f, err := m.fetch.Hold(ctx, "layer-"+name+"-"+m.key(m.lock), nil)
	if err != nil {
		return err
	}
	opt := layer.Options{
		Compression: m.cfg.Compression, MaxUnpacked: m.cfg.Limits.Unpacked, Keep: settle.Keep,
		Stripped: func(source, path string) { m.stripped(ctx, source, path) },
		Progress: func(source string) {
			m.done++
			m.event(Event{Kind: Unpacked, Step: "layers", Name: source, Done: m.done, Total: len(m.files)})
		},
	}
	if len(m.layers) == 0 {
		opt.First = settle.First(m.lock.Architecture)
	}
	res, err := layer.Write(ctx, f, m.tree, sources, generate, opt)
	if err != nil {
		return errors.Join(fmt.Errorf("layer %s: %w", name, err), f.Discard())
	}
	m.layers = append(m.layers, bakedLayer{name, res})
	return f.Publish(m.fetch.Path(blobOf(res.Digest, res.Size)))
}

func blobOf(digest string, size int64) fetch.Blob {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return fetch.Blob{Algorithm: algorithm, Hex: hex, Size: size}
}
