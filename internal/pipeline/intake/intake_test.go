package intake_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/intake"
	"naru/internal/pipeline/operation"
	"naru/internal/source"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

var by = operation.Ask{Actor: "ada"}

// world is a real store and real contents.
type world struct {
	t     *testing.T
	store *store.Store
	files *source.Store
	*intake.Service
	app   app.App
	other app.App // in another space
}

func newWorld(t *testing.T) *world {
	t.Helper()
	st := storetest.Open(t, store.Options{})
	w := &world{t: t, store: st, files: source.New(filepath.Join(t.TempDir(), "source"), source.Limits{MaxFiles: 100, MaxFile: 1 << 20, MaxBytes: 2 << 20})}
	w.Service = intake.New(st, w.files, func() error { return nil })
	org, space, err := st.Bootstrap(t.Context())
	w.must(err)
	elsewhere, err := st.CreateSpace(t.Context(), org.ID, "prod")
	w.must(err)
	for at, a := range map[app.SpaceID]*app.App{space.ID: &w.app, elsewhere.ID: &w.other} {
		*a, err = st.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: at, Name: "shop", Slug: "shop", State: app.Stopped})
		w.must(err)
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pack is a package of an app that waits.
func (w *world) pack(a app.App) source.Package {
	w.t.Helper()
	p, err := w.store.AddPackage(w.t.Context(), source.Package{ID: source.PackageID(id.New()), App: a.ID, Kind: source.Bits, State: source.Awaiting})
	w.must(err)
	return p
}

// zipped is an archive of files by path.
func zipped(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// upload takes an archive in for a package.
func (w *world) upload(p source.Package, files map[string]string, known ...source.File) (source.Package, error) {
	w.t.Helper()
	up, err := w.Begin(p)
	if err != nil {
		return p, err
	}
	defer up.Close()
	if len(known) > 0 {
		if err := up.Reuse(w.t.Context(), []app.SpaceID{w.app.Space}, known); err != nil {
			return p, err
		}
	}
	if err := up.Archive(w.t.Context(), zipped(w.t, files)); err != nil {
		return p, err
	}
	return up.Finish(w.t.Context(), by)
}

// hello is a file by its SHA-1.
var hello = source.File{Path: "hello.txt", Mode: source.Plain, Size: 5, SHA1: "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"}

func TestAnUploadMakesAPackageReady(t *testing.T) {
	w := newWorld(t)
	p, err := w.upload(w.pack(w.app), map[string]string{"hello.txt": "hello", "sub/": "", "sub/a": "b"})
	w.must(err)
	if p.State != source.Ready || p.Snapshot == "" {
		t.Fatalf("after the upload: %+v", p)
	}
	snap, err := w.store.SnapshotByDigest(t.Context(), w.app.Space, p.Snapshot)
	if err != nil || snap.Files != 2 {
		t.Errorf("the snapshot is %+v, %v", snap, err)
	}
	if _, err := w.upload(p, map[string]string{"x": "y"}); !errors.Is(err, intake.ErrTaken) {
		t.Errorf("a second upload: %v", err)
	}
}

func TestWhatIsKnownIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	_, err := w.upload(w.pack(w.app), map[string]string{"hello.txt": "hello"})
	w.must(err)
	wrongSize := hello
	wrongSize.Path, wrongSize.Size = "wrong", 6
	unknown := hello
	unknown.Path, unknown.SHA1 = "unknown", strings.Repeat("0", 40)
	got, err := w.Known(t.Context(), []app.SpaceID{w.app.Space}, []source.File{unknown, hello, wrongSize})
	if err != nil || len(got) != 1 || got[0].Path != hello.Path || got[0].SHA256 == "" {
		t.Fatalf("known: %+v, %v", got, err)
	}
	if got, err := w.Known(t.Context(), []app.SpaceID{w.other.Space}, []source.File{hello}); err != nil || len(got) != 0 {
		t.Errorf("in another space: %+v, %v", got, err)
	}
	moved := hello
	moved.Path, moved.Mode = "bin/hello", source.Executable
	for name, a := range map[string]app.App{"same space": w.app, "brought to another space": w.other} {
		p, err := w.upload(w.pack(a), map[string]string{"new": "file"}, moved)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var b bytes.Buffer
		w.must(w.WriteZip(t.Context(), &b, p))
		z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		w.must(err)
		if len(z.File) != 2 || z.File[0].Name != "bin/hello" || z.File[0].Mode() != 0o755 || z.File[1].Name != "new" {
			t.Errorf("%s: the package holds %v", name, z.File)
		}
	}
	if _, err := w.upload(w.pack(w.app), map[string]string{"new": "file"}, unknown); !fault.Is(err, fault.Conflict) {
		t.Errorf("a file that nobody has: %v", err)
	}
}

func TestHostileArchives(t *testing.T) {
	w := newWorld(t)
	for name, files := range map[string]map[string]string{
		"leaves the tree":  {"../x": "y"},
		"absolute":         {"/etc/passwd": "y"},
		"too large a file": {"big": strings.Repeat("x", 1<<20+1)},
		"nothing in it":    {"sub/": ""},
		"a bomb":           {"a": strings.Repeat("\x00", 1<<20), "b": strings.Repeat("\x00", 1<<20), "c": strings.Repeat("\x00", 1<<20)},
	} {
		p := w.pack(w.app)
		_, err := w.upload(p, files)
		if k := fault.Of(err).Kind; k != fault.Invalid && k != fault.TooLarge {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p, err := w.store.Package(t.Context(), p.ID); err != nil || p.State != source.Awaiting {
			t.Errorf("%s: the package is %s, %v", name, p.State, err)
		}
		w.must(w.Spoil(t.Context(), by, p.ID, err))
		if p, err := w.store.Package(t.Context(), p.ID); err != nil || p.State != source.Spoilt || p.Error == "" {
			t.Errorf("%s: spoilt it is %+v, %v", name, p, err)
		}
	}
}

func TestTwoUploadsAtOnce(t *testing.T) {
	w := newWorld(t)
	p := w.pack(w.app)
	first, err := w.Begin(p)
	w.must(err)
	defer first.Close()
	second, err := w.Begin(p)
	w.must(err)
	defer second.Close()
	w.must(first.Archive(t.Context(), zipped(t, map[string]string{"a": "1"})))
	w.must(second.Archive(t.Context(), zipped(t, map[string]string{"a": "2"})))
	got, err := second.Finish(t.Context(), by)
	w.must(err)
	if _, err := first.Finish(t.Context(), by); !errors.Is(err, intake.ErrTaken) {
		t.Errorf("the second of two: %v", err)
	}
	if p, err := w.store.Package(t.Context(), p.ID); err != nil || p.Snapshot != got.Snapshot {
		t.Errorf("it holds %s, %v, want %s", p.Snapshot, err, got.Snapshot)
	}
}

func TestAnUploadThatIsBrokenOff(t *testing.T) {
	w := newWorld(t)
	p := w.pack(w.app)
	up, err := w.Begin(p)
	w.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := up.Archive(ctx, zipped(t, map[string]string{"a": "1"})); err == nil {
		t.Error("an upload went on without its client")
	}
	up.Close()
	if _, err := w.upload(p, map[string]string{"a": "1"}); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestACopyForAnotherApp(t *testing.T) {
	w := newWorld(t)
	from, err := w.upload(w.pack(w.app), map[string]string{"hello.txt": "hello", "sub/a": "b"})
	w.must(err)
	for _, to := range []app.App{w.app, w.other} {
		got, err := w.Copy(t.Context(), by, from, source.Package{ID: source.PackageID(id.New()), App: to.ID, Space: to.Space})
		if err != nil || got.State != source.Ready || got.Snapshot != from.Snapshot {
			t.Fatalf("copy: %+v, %v", got, err)
		}
		var b bytes.Buffer
		w.must(w.WriteZip(t.Context(), &b, got))
	}
	if _, err := w.Copy(t.Context(), by, w.pack(w.app), source.Package{ID: "x", App: w.app.ID}); !fault.Is(err, fault.Conflict) {
		t.Errorf("copy of what waits: %v", err)
	}
}
