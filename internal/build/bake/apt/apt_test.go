package apt_test

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"naru/internal/backoff"
	"naru/internal/build/bake/apt"
	"naru/internal/build/bake/bakefix"
	"naru/internal/build/bake/fetch"
	"naru/internal/build/bake/inflate"
	"naru/internal/fault"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var hello = bakefix.Package{Control: "Package: hello\nVersion: 1-1\nArchitecture: amd64\n"}

func reader(t *testing.T, keys []byte, limits apt.Limits) *apt.Reader {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	f, err := fetch.New(fetch.Config{Dir: t.TempDir(), Attempts: 2, Retry: backoff.Policy{First: time.Millisecond, Max: time.Millisecond}}, log)
	if err != nil {
		t.Fatal(err)
	}
	k, err := apt.ReadKeyring("test keyring", bytes.NewReader(keys))
	if err != nil {
		t.Fatal(err)
	}
	return apt.NewReader(f, k, inflate.Host(), limits, func() time.Time { return now })
}

func TestSuiteIsReadAndChecked(t *testing.T) {
	a := bakefix.NewArchive(t)
	a.Publish("trixie", now.Add(-time.Hour), "Valid-Until: "+now.Add(time.Hour).Format(time.RFC1123)+"\n", hello)
	r := reader(t, a.Public, apt.Limits{})
	s, err := r.Release(t.Context(), apt.Source{URI: a.URL, Suite: "trixie", Components: []string{"main"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Indexes(t.Context(), &s, "amd64", nil); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.Indexes[0].Text, "Package: hello\n") {
		t.Errorf("index = %q", s.Indexes[0].Text)
	}
	if a.Asked("by-hash") != 1 || a.Asked("Packages.gz") != 0 {
		t.Error("the index was not asked for by its hash")
	}
}

func TestBadArchives(t *testing.T) {
	other := bakefix.NewArchive(t)
	inRelease := "/dists/trixie/InRelease"
	for name, tc := range map[string]struct {
		harm   func(a *bakefix.Archive)
		limits apt.Limits
		kind   fault.Kind
		says   string
	}{
		"unsigned": {func(a *bakefix.Archive) { a.Put(inRelease, []byte("Origin: Test\n")) }, apt.Limits{}, fault.Invalid, "not signed by a key"},
		"signed by somebody else": {func(a *bakefix.Archive) { a.Put(inRelease, other.Sign("Origin: Test\n")) },
			apt.Limits{}, fault.Invalid, "not signed by a key"},
		"one byte changed": {func(a *bakefix.Archive) {
			a.Put(inRelease, bytes.Replace(a.Get(inRelease), []byte("Origin: Test"), []byte("Origin: Tent"), 1))
		}, apt.Limits{}, fault.Invalid, "not signed by a key"},
		"text before the signature": {func(a *bakefix.Archive) {
			a.Put(inRelease, append([]byte("Suite: evil\n"), bytes.Replace(a.Get(inRelease), []byte("Hash:"), []byte("Evil: x\nHash:"), 1)...))
		}, apt.Limits{}, fault.Invalid, "not signed by a key"},
		"run out": {func(a *bakefix.Archive) {
			a.Publish("trixie", now.Add(-48*time.Hour), "Valid-Until: "+now.Add(-time.Hour).Format(time.RFC1123)+"\n", hello)
		}, apt.Limits{}, fault.Invalid, "ran out"},
		"from the future": {func(a *bakefix.Archive) { a.Publish("trixie", now.Add(48*time.Hour), "", hello) },
			apt.Limits{}, fault.Invalid, "in the future"},
		"another suite": {func(a *bakefix.Archive) {
			a.Publish("bookworm", now, "", hello)
			a.Put(inRelease, a.Get("/dists/bookworm/InRelease"))
		}, apt.Limits{}, fault.Invalid, "not of \"trixie\""},
		"no suite":          {func(a *bakefix.Archive) { a.Put(inRelease, a.Sign("nothing: here\n")) }, apt.Limits{}, fault.Invalid, "signed and yet unreadable"},
		"release too large": {func(*bakefix.Archive) {}, apt.Limits{Release: 100}, fault.TooLarge, "larger than 100"},
		"index too large":   {func(*bakefix.Archive) {}, apt.Limits{Index: 20}, fault.TooLarge, "limit"},
		"index damaged": {func(a *bakefix.Archive) {
			for _, n := range a.Names("by-hash") {
				a.Put(n, []byte("damaged"))
			}
		}, apt.Limits{}, fault.Invalid, "promised"},
	} {
		t.Run(name, func(t *testing.T) {
			a := bakefix.NewArchive(t)
			a.Publish("trixie", now.Add(-time.Hour), "", hello)
			tc.harm(a)
			r := reader(t, a.Public, tc.limits)
			s, err := r.Release(t.Context(), apt.Source{URI: a.URL, Suite: "trixie", Components: []string{"main"}})
			if err == nil {
				err = r.Indexes(t.Context(), &s, "amd64", nil)
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) || fault.Of(err).Kind != tc.kind {
				t.Errorf("err = %v (%s), want %s saying %q", err, fault.Of(err).Kind, tc.kind, tc.says)
			}
		})
	}
}

func TestWhatIsNotThereIsNamed(t *testing.T) {
	a := bakefix.NewArchive(t)
	a.Publish("trixie", now, "", hello)
	r := reader(t, a.Public, apt.Limits{})
	if _, err := r.Release(t.Context(), apt.Source{URI: a.URL, Suite: "trixie-security"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown suite: %v", err)
	}
	s, err := r.Release(t.Context(), apt.Source{URI: a.URL, Suite: "trixie", Components: []string{"contrib"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Indexes(t.Context(), &s, "amd64", nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown component: %v", err)
	}
	if err := r.Indexes(t.Context(), &s, "vax", nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("unknown architecture: %v", err)
	}
}

func TestOldArchiveOnDemand(t *testing.T) {
	a := bakefix.NewArchive(t)
	a.Publish("trixie", now.AddDate(-1, 0, 0), "Valid-Until: "+now.AddDate(0, -11, 0).Format(time.RFC1123)+"\n", hello)
	src := apt.Source{URI: a.URL, Suite: "trixie", Components: []string{"main"}, IgnoreValidUntil: true}
	if _, err := reader(t, a.Public, apt.Limits{}).Release(t.Context(), src); err != nil {
		t.Error(err)
	}
}

// TestRecordedReleases holds the built-in keyring against real files of the
// archive, at the time they were recorded.
func TestRecordedReleases(t *testing.T) {
	k, err := apt.DebianKeyring()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"trixie-updates", "trixie-security"} {
		raw, err := os.ReadFile("testdata/" + name + ".InRelease")
		if err != nil {
			t.Fatal(err)
		}
		text, err := k.Verify(raw, time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rel, err := apt.ParseRelease(text)
		if err != nil || rel.Codename != name || !rel.ByHash || rel.ValidUntil.IsZero() {
			t.Errorf("%s: %+v, %v", name, rel, err)
		}
		harmed := bytes.Replace(raw, []byte("Origin: Debian"), []byte("Origin: Debiam"), 1)
		if _, err := k.Verify(harmed, time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)); err == nil {
			t.Errorf("%s: a changed byte was not noticed", name)
		}
	}
}

func TestHostMirrors(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  apt.Mirrors
	}{
		"nothing": {nil, apt.Default()},
		"one line": {map[string]string{"sources.list": "# old\ndeb-src http://src/debian bookworm main\n" +
			"deb [signed-by=/k arch=amd64] http://mirror.example/debian/ bookworm main contrib # ours\n" +
			"deb http://sec.example/debian-security bookworm-security main\n"},
			apt.Mirrors{Main: "http://mirror.example/debian", Security: "http://sec.example/debian-security"}},
		"deb822": {map[string]string{"sources.list.d/debian.sources": "Types: deb\n# a comment\nURIs: https://m/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\n" +
			"Types: deb\nEnabled: no\nURIs: https://off/debian-security\nSuites: bookworm-security\n\nTypes: deb deb-src\nURIs: https://s/sec\nSuites: bookworm-security\n"},
			apt.Mirrors{Main: "https://m/debian", Security: "https://s/sec"}},
		"a vendor's only": {map[string]string{"sources.list.d/node.sources": "Types: deb\nURIs: https://deb.nodesource.com/node_20.x\nSuites: nodistro\n",
			"sources.list": "deb cdrom:[Debian]/ bookworm main\ndeb http://archive.ubuntu.com/ubuntu noble main\n"}, apt.Default()},
		"old security name": {map[string]string{"sources.list": "deb http://s/sec buster/updates main\ndeb http://s/sec bullseye/updates main\n"},
			apt.Mirrors{Main: apt.Default().Main, Security: "http://s/sec"}},
	} {
		t.Run(name, func(t *testing.T) {
			fs := fstest.MapFS{}
			for f, text := range tc.files {
				fs[f] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := apt.HostMirrors(fs)
			if err != nil || got != tc.want {
				t.Errorf("HostMirrors() = %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}
