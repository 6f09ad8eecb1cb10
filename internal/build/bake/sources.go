package bake

import (
	"cmp"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"naru/internal/build/bake/deb"
	"naru/internal/build/bake/layer"
	"naru/internal/build/bake/npm"
	"naru/internal/fault"
)

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
			return name, !leftOut(name)
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
