package source_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/source"
)

const space = app.SpaceID("0190a000-0000-7000-8000-000000000001")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantFault fails unless err is a fault of the kind that says all the words.
func wantFault(t *testing.T, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("error %v, want a fault of kind %s", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// tree writes files into a new directory. A name ending in * is executable, a
// value "-> x" makes a symlink.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		mode := fs.FileMode(0o600)
		if strings.HasSuffix(name, "*") {
			name, mode = strings.TrimSuffix(name, "*"), 0o700
		}
		p := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			must(t, os.Symlink(target, p))
			continue
		}
		must(t, os.WriteFile(p, []byte(content), mode))
	}
	return dir
}

func newStore(t testing.TB, l source.Limits) *source.Store {
	t.Helper()
	return source.New(filepath.Join(t.TempDir(), "source"), l)
}

// push sends a directory as a client does and returns the snapshot and what was
// sent.
func push(t testing.TB, s *source.Store, dir string) (source.Snapshot, source.Received) {
	t.Helper()
	ctx := context.Background()
	m, err := source.Walk(ctx, dir, source.WalkOptions{})
	must(t, err)
	missing, err := s.Missing(ctx, space, m.Hashes())
	must(t, err)
	var b bytes.Buffer
	must(t, source.WriteUpload(ctx, &b, dir, m, missing, nil))
	got, err := s.Receive(ctx, space, &b)
	must(t, err)
	snap, err := s.Freeze(ctx, space, m, source.Origin{Kind: source.Directory})
	must(t, err)
	return snap, got
}

var sample = map[string]string{
	"index.js": "console.log(1)", "bin/start*": "#!/bin/sh\n", "lib/a/b.js": "x", "lib/copy.js": "x",
	"latest": "-> lib/a", "lib/up": "-> ../index.js", "empty": "",
}

func TestPushSendsOnlyWhatIsMissing(t *testing.T) {
	s, dir := newStore(t, source.Limits{}), tree(t, sample)
	first, got := push(t, s, dir)
	if got.Files != 4 { // two files have the same content
		t.Errorf("first push sent %d contents, want 4", got.Files)
	}
	if first.Files != 7 || first.Bytes != int64(14+10+1+1) {
		t.Errorf("snapshot has %d files, %d bytes", first.Files, first.Bytes)
	}
	again, got := push(t, s, dir)
	if got.Files != 0 || again.Digest != first.Digest || again.ID == first.ID {
		t.Errorf("second push sent %d; digest %s, was %s", got.Files, again.Digest, first.Digest)
	}
	must(t, os.WriteFile(filepath.Join(dir, "index.js"), []byte("console.log(2)"), 0o600))
	changed, got := push(t, s, dir)
	if got.Files != 1 || changed.Digest == first.Digest {
		t.Errorf("changed push sent %d; digest %s", got.Files, changed.Digest)
	}
}

func TestCheckoutAndViewGiveTheTreeBack(t *testing.T) {
	s := newStore(t, source.Limits{})
	snap, _ := push(t, s, tree(t, sample))
	dir := t.TempDir()
	must(t, s.Checkout(t.Context(), snap, dir))
	for name, want := range map[string]string{"index.js": "console.log(1)", "latest/b.js": "x", "lib/up": "console.log(1)", "empty": ""} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v, want %q", name, got, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "bin/start")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("bin/start: %v, %v", info.Mode(), err)
	}
	m, err := source.Walk(t.Context(), dir, source.WalkOptions{})
	must(t, err)
	if m.Digest() != snap.Digest {
		t.Errorf("the checkout has digest %s, the snapshot %s", m.Digest(), snap.Digest)
	}
	wantFault(t, s.Checkout(t.Context(), snap, dir), fault.Conflict, "not empty")

	view, err := s.Fetch(t.Context(), snap)
	must(t, err)
	must(t, fstest.TestFS(view, "index.js", "bin/start", "lib/a/b.js", "latest", "empty"))
	if got, err := fs.ReadFile(view, "latest/b.js"); err != nil || string(got) != "x" {
		t.Errorf("through a link: %q, %v", got, err)
	}
	if _, err := fs.ReadFile(view, "nope"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestWritingIntoACheckoutLeavesTheSnapshot(t *testing.T) {
	s := newStore(t, source.Limits{})
	snap, _ := push(t, s, tree(t, map[string]string{"a": "good"}))
	dir := t.TempDir()
	must(t, s.Checkout(t.Context(), snap, dir))
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("evil"), 0o600))
	other := t.TempDir()
	must(t, s.Checkout(t.Context(), snap, other))
	if got, err := os.ReadFile(filepath.Join(other, "a")); err != nil || string(got) != "good" {
		t.Errorf("the snapshot now says %q, %v", got, err)
	}
}

func TestCheckoutShowsAChangeOfTheSameSize(t *testing.T) {
	s := newStore(t, source.Limits{})
	var times []time.Time
	for _, content := range []string{"one", "two", "one"} {
		snap, _ := push(t, s, tree(t, map[string]string{"a": content}))
		dir := t.TempDir()
		must(t, s.Checkout(t.Context(), snap, dir))
		info, err := os.Stat(filepath.Join(dir, "a"))
		must(t, err)
		times = append(times, info.ModTime())
	}
	if times[0].Equal(times[1]) || !times[0].Equal(times[2]) {
		t.Errorf("times %v: want a change to show, and the same again to be the same", times)
	}
}

func TestFreezeNamesMissingFiles(t *testing.T) {
	s, dir := newStore(t, source.Limits{}), tree(t, map[string]string{"a": "1", "b/c": "2"})
	m, err := source.Walk(t.Context(), dir, source.WalkOptions{})
	must(t, err)
	_, err = s.Freeze(t.Context(), space, m, source.Origin{})
	wantFault(t, err, fault.Conflict, "2 files", "a, b/c")
}

func TestFreezeRefusesAWrongSize(t *testing.T) {
	s, dir := newStore(t, source.Limits{}), tree(t, map[string]string{"a": "1"})
	push(t, s, dir)
	m, err := source.Walk(t.Context(), dir, source.WalkOptions{})
	must(t, err)
	m[0].Size = 0 // would slip under a quota
	_, err = s.Freeze(t.Context(), space, m, source.Origin{})
	wantFault(t, err, fault.Invalid, "0 bytes", "has 1")
}

func TestSpacesDoNotShareContents(t *testing.T) {
	s, dir := newStore(t, source.Limits{}), tree(t, map[string]string{"secret": "of the first space"})
	snap, _ := push(t, s, dir)
	m, err := s.Load(t.Context(), space, snap.Digest)
	must(t, err)
	missing, err := s.Missing(t.Context(), "another", m.Hashes())
	must(t, err)
	if len(missing) != 1 {
		t.Errorf("another space has the content of the first: missing %v", missing)
	}
	_, err = s.Load(t.Context(), "another", snap.Digest)
	wantFault(t, err, fault.NotFound)
	_, err = s.Missing(t.Context(), "../"+space, nil)
	wantFault(t, err, fault.Invalid, "not the id of a space")
}

func TestBySHA1FindsWhatCloudFoundryClientsAskFor(t *testing.T) {
	s := newStore(t, source.Limits{})
	push(t, s, tree(t, map[string]string{"a": "abc"}))
	const abc = "a9993e364706816aba3e25717850c26c9cd0d89d"
	found, err := s.BySHA1(t.Context(), space, []string{abc, strings.Repeat("0", 40)})
	must(t, err)
	if len(found) != 1 || found[abc].Size != 3 {
		t.Errorf("found %+v", found)
	}
}

func TestSweepKeepsWhatIsNeededOrYoung(t *testing.T) {
	s := newStore(t, source.Limits{})
	old, _ := push(t, s, tree(t, map[string]string{"a": "shared", "b": "only old"}))
	kept, _ := push(t, s, tree(t, map[string]string{"a": "shared", "c": "only new"}))

	swept, err := s.Sweep(t.Context(), space, []string{kept.Digest}, time.Hour)
	must(t, err)
	if swept.Files != 0 {
		t.Errorf("swept %+v although all is young", swept)
	}
	swept, err = s.Sweep(t.Context(), space, []string{kept.Digest}, -time.Second)
	must(t, err)
	if swept.Files != 2 || swept.Bytes == 0 { // the content "only old" and the old manifest
		t.Errorf("swept %+v, want 2 files", swept)
	}
	must(t, s.Checkout(t.Context(), kept, t.TempDir()))
	_, err = s.Load(t.Context(), space, old.Digest)
	wantFault(t, err, fault.NotFound, "gone")

	_, err = s.Sweep(t.Context(), space, []string{kept.Digest, old.Digest}, -time.Second)
	if err == nil {
		t.Error("a sweep went on without the manifest of a kept snapshot")
	}
	must(t, s.Drop(space))
	spaces, err := s.Spaces()
	must(t, err)
	if slices.Contains(spaces, space) {
		t.Error("the dropped space is still there")
	}
}
