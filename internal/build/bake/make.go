package bake

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"naru/internal/build/bake/deb"
	"naru/internal/build/bake/fetch"
	"naru/internal/build/bake/layer"
	"naru/internal/build/bake/npm"
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
				e := Event{Kind: Downloaded, Step: "layers", Name: w.name, Bytes: bytes, TotalBytes: total, Done: files, Total: len(all)}
				mu.Unlock()
				m.event(e)
			}
			path, _, err := m.fetch.Blob(ctx, w.blob, w.addresses, func(n int) { m.count(n); tell(n, 0) })
			if fetch.Missing(err) {
				err = fault.New(fault.NotFound, "lock", "the mirror no longer has %s", w.addresses[0]).
					WithTry("bake without the lock file to take the newest packages, or name an archive of that day under from.mirror").WithCause(err)
			}
			if err != nil {
				return err
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
func (m *making) layer(ctx context.Context, name string, sources []layer.Source, generate func(time.Time) ([]layer.File, error)) (err error) {
	f, err := m.fetch.Temp("layer")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	opt := layer.Options{
		Compression: m.cfg.Compression, MaxUnpacked: m.cfg.Limits.Unpacked, Keep: settle.Keep,
		Progress: func(source string) {
			m.done++
			m.event(Event{Kind: Unpacked, Step: "layers", Name: source, Done: m.done, Total: len(m.files)})
		},
	}
	if len(m.layers) == 0 {
		opt.First = settle.Merged(m.lock.Architecture)
	}
	res, err := layer.Write(ctx, f, m.tree, sources, generate, opt)
	if err != nil {
		return fmt.Errorf("layer %s: %w", name, err)
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	path := m.fetch.Path(blobOf(res.Digest, res.Size))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	m.layers = append(m.layers, bakedLayer{name, res})
	return os.Rename(f.Name(), path)
}

func blobOf(digest string, size int64) fetch.Blob {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return fetch.Blob{Algorithm: algorithm, Hex: hex, Size: size}
}

// await is where a download lies, as soon as it is complete.
func (m *making) await(ctx context.Context, name string) (*os.File, error) {
	select {
	case path := <-m.files[name]:
		return os.Open(path)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *making) debs(packages []LockedPackage) []layer.Source {
	var all []layer.Source
	for _, p := range packages {
		s := layer.Source{Name: p.Name, Replaces: map[string]bool{}, Place: func(name string) (string, bool) {
			return name, !settle.Superseded(name) && !leftOut(name)
		}}
		for _, r := range p.Replaces {
			s.Replaces[r] = true
		}
		s.Open = func(ctx context.Context) (layer.Stream, error) { return m.open(ctx, p) }
		all = append(all, s)
	}
	return all
}

// open unpacks one .deb, whose control file must agree with the lock.
func (m *making) open(ctx context.Context, p LockedPackage) (layer.Stream, error) {
	f, err := m.await(ctx, p.Name)
	if err != nil {
		return layer.Stream{}, err
	}
	fail := func(err error) (layer.Stream, error) { _ = f.Close(); return layer.Stream{}, err }
	a, err := deb.Open(f, p.Size)
	if err != nil {
		return fail(err)
	}
	control, err := a.Control(ctx)
	if err != nil {
		return fail(err)
	}
	if control.Get("Package") != p.Name || control.Get("Version") != p.Version {
		return fail(fault.New(fault.Invalid, "from.mirror", "the index promised %s %s, the file is %s %s",
			p.Name, p.Version, control.Get("Package"), control.Get("Version")))
	}
	m.mu.Lock()
	m.controls[p.Name] = control
	m.mu.Unlock()
	data, err := a.Data(ctx, m.inflate)
	if err != nil {
		return fail(err)
	}
	return layer.Stream{ReadCloser: both{data, f}, Date: a.Date}, nil
}

// both closes the stream and the file it comes from.
type both struct {
	io.ReadCloser
	file io.Closer
}

func (b both) Close() error { return cmp.Or(b.ReadCloser.Close(), b.file.Close()) }

// leftOut says what servers never read: manuals, translations, change logs.
// Licences stay.
func leftOut(name string) bool {
	for _, dir := range []string{"usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "usr/share/groff/", "usr/share/linda/", "usr/share/doc-base/"} {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	rest, ok := strings.CutPrefix(name, "usr/share/doc/")
	if !ok {
		return false
	}
	_, file, inside := strings.Cut(rest, "/")
	return inside && file != "copyright"
}

// npmDate is what npm itself writes into tarballs; taking it for all of them
// keeps the layer the same when only Debian moves on.
var npmDate = time.Date(1985, 10, 26, 8, 15, 0, 0, time.UTC)

func (m *making) tarballs() []layer.Source {
	var all []layer.Source
	for _, pin := range m.lock.Npm {
		all = append(all, layer.Source{Name: "npm:" + pin.Name, Place: pin.Place, Adjust: pin.Adjust,
			Open: func(ctx context.Context) (layer.Stream, error) { return m.openTarball(ctx, pin) }})
	}
	return all
}

func (m *making) openTarball(ctx context.Context, pin npm.Pin) (layer.Stream, error) {
	f, err := m.await(ctx, "npm:"+pin.Name)
	if err != nil {
		return layer.Stream{}, err
	}
	plain, err := m.inflate.Open(ctx, "package.tar.gz", f)
	if err != nil {
		_ = f.Close()
		return layer.Stream{}, err
	}
	return layer.Stream{ReadCloser: both{plain, f}, Date: npmDate}, nil
}
