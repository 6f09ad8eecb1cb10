package bake_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"naru/internal/build/bake"
	"naru/internal/build/bake/bakefix"
	"naru/internal/fault"
)

// day is when the small archive of these tests lives.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// small is an archive that has what every foundation stands on, nearly empty,
// and one package more.
func small(t *testing.T) *bakefix.Archive {
	t.Helper()
	a := bakefix.NewArchive(t)
	a.Publish("trixie", day.Add(-time.Hour), "", packages(t)...)
	return a
}

func packages(t *testing.T) []bakefix.Package {
	t.Helper()
	base, err := bake.BuiltinSpec(bake.BaseName)
	if err != nil {
		t.Fatal(err)
	}
	all := bakefix.Base(base.Packages)
	tool := bakefix.Plain("tool", bakefix.File{Name: "./usr/bin/tool", Mode: 0o4755, Body: "tool"},
		bakefix.File{Name: "./usr/share/man/man1/tool.1", Mode: 0o644, Body: "manual"})
	tool.Control += "Depends: bash\n"
	return append(all, tool)
}

func smallSpec(t *testing.T, a *bakefix.Archive, more string) bake.Spec {
	t.Helper()
	s, err := bake.ParseSpec("tool.yaml", []byte("foundation: tool\nfrom: {distribution: trixie, suites: [trixie], architecture: amd64, mirror: \""+a.URL+"\"}\npackages: [tool]\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func smallBaker(t *testing.T, a *bakefix.Archive, cache string, change func(*bake.Config)) *bake.Baker {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys.gpg")
	if err := os.WriteFile(keys, a.Public, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := bake.Config{CacheDir: cache, Keyring: keys, Now: func() time.Time { return day }}
	if change != nil {
		change(&cfg)
	}
	b, err := bake.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBakeIsRepeatable(t *testing.T) {
	a := small(t)
	spec := smallSpec(t, a, "files: [{path: /etc/motd, content: hi}]\nenv: {A: b}\n")
	first, err := smallBaker(t, a, t.TempDir(), nil).Bake(t.Context(), spec, bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	b := smallBaker(t, a, cache, nil)
	second, err := b.Bake(t.Context(), spec, bake.Options{})
	if err != nil || second.Digest != first.Digest || !bytes.Equal(second.SBOM, first.SBOM) || second.Remembered {
		t.Fatalf("another cache: %s, remembered %v, %v; want %s", second.Digest, second.Remembered, err, first.Digest)
	}
	// A new Release with the same packages is the same image.
	a.Publish("trixie", day, "", packages(t)...)
	asked := a.Asked("pool/")
	third, err := b.Bake(t.Context(), spec, bake.Options{})
	if err != nil || third.Digest != first.Digest || !third.Remembered || a.Asked("pool/") != asked {
		t.Errorf("again: %s, remembered %v, %v; want %s from the cache", third.Digest, third.Remembered, err, first.Digest)
	}
	if first.Lock.Digest() == third.Lock.Digest() {
		t.Error("the lock does not say that the Release is another")
	}
}

func TestImageHoldsWhatScriptsWouldHaveMade(t *testing.T) {
	a := small(t)
	res, err := smallBaker(t, a, t.TempDir(), nil).Bake(t.Context(), smallSpec(t, a, "files: [{path: /opt/x/run, content: hi, mode: \"0755\"}]\n"), bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	links := map[string]string{}
	r := mutate.Extract(res.Image)
	defer r.Close()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(tr)
		files[h.Name], links[h.Name] = string(body), h.Linkname
		if h.Mode&0o6000 != 0 {
			t.Errorf("%s is setuid or setgid", h.Name)
		}
	}
	for name, says := range map[string]string{
		"etc/passwd": "app:*:1000:1000:app:/home/app:/bin/sh\n", "etc/group": "app:*:1000:", "etc/machine-id": "",
		"etc/profile": "# profile", "usr/bin/bash": "elf", "opt/x/run": "hi",
		"var/lib/dpkg/status": "Package: tool\nStatus: install ok installed\nVersion: 1-1\n",
	} {
		if body, ok := files[name]; !ok || !strings.Contains(body, says) {
			t.Errorf("%s = %q, want %q in it", name, body, says)
		}
	}
	if links["bin"] != "usr/bin" || links["var/run"] != "/run" {
		t.Errorf("links: bin -> %q, var/run -> %q", links["bin"], links["var/run"])
	}
	if _, ok := files["usr/share/man/man1/tool.1"]; ok {
		t.Error("a manual page is in the image")
	}
	cfg, err := res.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Config.User != "1000:1000" || cfg.Config.WorkingDir != "/app" || cfg.Config.Labels[bake.LabelABI] != "glibc=1" || !cfg.Created.Equal(time.Unix(1_740_000_000, 0)) {
		t.Errorf("config = %+v, created %s", cfg.Config, cfg.Created)
	}
	names, err := bake.Layers(res.Image)
	if err != nil || !slices.Equal(names, []string{"base", "packages", "files"}) {
		t.Errorf("layers = %v, %v", names, err)
	}
}

func TestBaseLayerIsShared(t *testing.T) {
	a := small(t)
	b := smallBaker(t, a, t.TempDir(), nil)
	one, err := b.Bake(t.Context(), smallSpec(t, a, ""), bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	spec := smallSpec(t, a, "")
	spec.Packages = nil
	two, err := b.Bake(t.Context(), spec, bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l1, _ := one.Image.Layers()
	l2, _ := two.Image.Layers()
	d1, _ := l1[0].Digest()
	d2, _ := l2[0].Digest()
	if d1 != d2 || len(l1) != 2 || len(l2) != 1 {
		t.Errorf("base layers %s and %s of %d and %d", d1, d2, len(l1), len(l2))
	}
}

func TestLockFixesThePackages(t *testing.T) {
	a := small(t)
	spec := smallSpec(t, a, "")
	first, err := smallBaker(t, a, t.TempDir(), nil).Bake(t.Context(), spec, bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lock, err := bake.ParseLock("tool.lock", first.Lock.Encode())
	if err != nil {
		t.Fatal(err)
	}
	newer := packages(t)
	newer[len(newer)-1].Control = strings.Replace(newer[len(newer)-1].Control, "1-1", "1-2", 1)
	a.Publish("trixie", day, "", newer...)
	b := smallBaker(t, a, t.TempDir(), nil)
	locked, err := b.Bake(t.Context(), spec, bake.Options{Lock: lock})
	if err != nil || locked.Digest != first.Digest {
		t.Errorf("with the lock: %s, %v; want %s", locked.Digest, err, first.Digest)
	}
	free, err := b.Bake(t.Context(), spec, bake.Options{})
	if err != nil || free.Digest == first.Digest {
		t.Errorf("without: %s, %v; want another than %s", free.Digest, err, first.Digest)
	}
	spec.Packages = []string{"bash"}
	if _, err := b.Bake(t.Context(), spec, bake.Options{Lock: lock}); !fault.Is(err, fault.Conflict) {
		t.Errorf("the lock of another declaration: %v", err)
	}
	for name, text := range map[string]string{
		"no json":       "x",
		"unknown field": `{"version":1,"evil":1}`,
		"future":        `{"version":9}`,
		"path leaves":   strings.Replace(string(first.Lock.Encode()), `"path": "pool/`, `"path": "../pool/`, 1),
		"no hash":       strings.Replace(string(first.Lock.Encode()), `"sha256": "`, `"sha256": "zz`, 2),
	} {
		if _, err := bake.ParseLock("x.lock", []byte(text)); fault.Of(err) == nil || fault.Of(err).Try == "" {
			t.Errorf("%s: %v; want a refusal with a way out", name, err)
		}
	}
}

func TestRememberedBakeSurvivesDamage(t *testing.T) {
	a := small(t)
	cache := t.TempDir()
	b := smallBaker(t, a, cache, nil)
	spec := smallSpec(t, a, "")
	first, err := b.Bake(t.Context(), spec, bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	layers, _ := first.Image.Layers()
	digest, _ := layers[0].Digest()
	path := filepath.Join(cache, "blobs", "sha256", digest.Hex)
	if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := b.Bake(t.Context(), spec, bake.Options{Lock: &first.Lock})
	if err != nil || again.Remembered || again.Digest != first.Digest {
		t.Errorf("after damage: %s, remembered %v, %v", again.Digest, again.Remembered, err)
	}
	records, _ := filepath.Glob(filepath.Join(cache, "records", "*"))
	if err := os.WriteFile(records[0], []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err = b.Bake(t.Context(), spec, bake.Options{Lock: &first.Lock}); err != nil || again.Remembered || again.Digest != first.Digest {
		t.Errorf("after a damaged record: %s, %v", again.Digest, err)
	}
}

func TestBadMirrors(t *testing.T) {
	pool := func(a *bakefix.Archive) string { return a.Names("pool/main/tool")[0] }
	for name, tc := range map[string]struct {
		harm   func(a *bakefix.Archive)
		change func(*bake.Config)
		kind   fault.Kind
		says   string
	}{
		"wrong signature": {harm: func(a *bakefix.Archive) {
			a.Put("/dists/trixie/InRelease", bakefix.NewArchive(t).Sign("Suite: trixie\n"))
		},
			kind: fault.Invalid, says: "is not signed by a key of the keyring"},
		"wrong hash": {harm: func(a *bakefix.Archive) {
			raw := bytes.Clone(a.Get(pool(a)))
			raw[len(raw)-1] ^= 1
			a.Put(pool(a), raw)
		}, kind: fault.Invalid, says: "were promised"},
		"package gone": {harm: func(a *bakefix.Archive) { a.Remove(pool(a)) }, kind: fault.NotFound, says: "no longer has"},
		"another package under the name": {harm: func(a *bakefix.Archive) {
			p := packages(t)
			p[len(p)-1].Control = "Package: tool\nVersion: 1-1\nArchitecture: amd64\nDepends: bash\n"
			a.PublishAs("trixie", day, p, func(p *bakefix.Package) {
				p.Control = strings.Replace(p.Control, "Package: tool", "Package: trojan", 1)
			})
		}, kind: fault.Invalid, says: "the index promised tool 1-1, the file is trojan 1-1"},
		"package too large": {change: func(c *bake.Config) { c.Limits.Package = 100 }, kind: fault.TooLarge, says: "limit for one package"},
		"all too large":     {change: func(c *bake.Config) { c.Limits.Total = 100 }, kind: fault.TooLarge, says: "would have to be downloaded"},
		"unpacks too large": {change: func(c *bake.Config) { c.Limits.Unpacked = 20 }, kind: fault.TooLarge, says: "unpacks to more than"},
		"leaves the tree": {harm: func(a *bakefix.Archive) {
			a.Publish("trixie", day, "", append(packages(t)[:len(packages(t))-1], bakefix.Plain("tool", bakefix.File{Name: "./../../etc/cron.d/x", Body: "x"}))...)
		}, kind: fault.Invalid, says: `leaves the image with ".."`},
	} {
		t.Run(name, func(t *testing.T) {
			a := small(t)
			if tc.harm != nil {
				tc.harm(a)
			}
			cache := t.TempDir()
			_, err := smallBaker(t, a, cache, tc.change).Bake(t.Context(), smallSpec(t, a, ""), bake.Options{})
			if err == nil || fault.Of(err).Kind != tc.kind || !strings.Contains(err.Error(), tc.says) || fault.Of(err).Try == "" && tc.kind != fault.TooLarge && name != "leaves the tree" && name != "another package under the name" {
				t.Errorf("err = %v (%+v), want %s saying %q and a way out", err, fault.Of(err), tc.kind, tc.says)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "tmp", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestCancelledBakeLeavesNothingAndGoesOn(t *testing.T) {
	a := small(t)
	cache := t.TempDir()
	b := smallBaker(t, a, cache, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var unpacked atomic.Int32
	_, err := b.Bake(ctx, smallSpec(t, a, ""), bake.Options{Progress: func(e bake.Event) {
		if e.Kind == bake.Unpacked && unpacked.Add(1) == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want cancelled", err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "tmp", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := b.Bake(t.Context(), smallSpec(t, a, ""), bake.Options{}); err != nil {
		t.Errorf("the next bake: %v", err)
	}
}

func TestEventsTellTheStory(t *testing.T) {
	a := small(t)
	var kinds []string
	done := map[bake.EventKind]int{}
	_, err := smallBaker(t, a, t.TempDir(), nil).Bake(t.Context(), smallSpec(t, a, ""), bake.Options{Progress: func(e bake.Event) {
		if e.Kind == bake.Begun || e.Kind == bake.Ended {
			kinds = append(kinds, string(e.Kind)+" "+e.Step)
		}
		if e.Done > 0 && e.Done < done[e.Kind] {
			t.Errorf("%s went back from %d to %d", e.Kind, done[e.Kind], e.Done)
		}
		done[e.Kind] = e.Done
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"begun suites", "ended suites", "begun resolve", "ended resolve", "begun layers", "ended layers", "begun image", "ended image"}
	if !slices.Equal(kinds, want) {
		t.Errorf("steps %v, want %v", kinds, want)
	}
	if n := len(packages(t)); done[bake.Unpacked] != n || done[bake.Downloaded] != n {
		t.Errorf("unpacked %d, downloaded %d, want %d", done[bake.Unpacked], done[bake.Downloaded], n)
	}
}

func TestSBOMListsEverything(t *testing.T) {
	a := small(t)
	res, err := smallBaker(t, a, t.TempDir(), nil).Bake(t.Context(), smallSpec(t, a, ""), bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkSBOM(t, res)
	if !strings.Contains(string(res.SBOM), `"name": "Expat"`) {
		t.Error("the licence is not in it")
	}
}

// checkSBOM holds a bill of materials against CycloneDX's schema and the lock.
func checkSBOM(t *testing.T, res bake.Result) {
	t.Helper()
	validateCycloneDX(t, res.SBOM)
	var bom struct {
		Components []struct {
			Name, Version, Purl string
			Hashes              []struct{ Alg, Content string }
		}
	}
	if err := json.Unmarshal(res.SBOM, &bom); err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, c := range bom.Components {
		if len(c.Hashes) == 1 && strings.HasPrefix(c.Purl, "pkg:deb/debian/") {
			have[c.Name+"="+c.Version] = c.Hashes[0].Content
		}
	}
	for _, p := range res.Lock.Packages {
		if have[p.Name+"="+p.Version] != p.SHA256 {
			t.Errorf("%s %s is not in the bill of materials with its hash", p.Name, p.Version)
		}
	}
}
