package backup_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/backup"
	"naru/internal/fault"
	"naru/internal/secret"
	"naru/internal/store"
)

// old is a platform's data folder, and what is sealed in it.
type old struct {
	dir    string
	store  *store.Store
	ring   *secret.Keyring
	secret []string // what must not be in a backup without the key
}

func platform(t *testing.T) old {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"registry/blobs/one": "layer", "registry/_uploads/half": "half of a layer", "source/tree": "tree", "foundations/lock.json": "{}",
		"keys/token.pem": "key of tokens", "secrets/admin": "password of the admin", "logs/server.log": "a line", "gateway/table.json": "{}",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	ring, err := secret.LoadKeyring(filepath.Join(dir, "keys", "master"))
	must(t, err)
	master, err := os.ReadFile(filepath.Join(dir, "keys", "master"))
	must(t, err)
	st, err := store.Open(t.Context(), filepath.Join(dir, "store.db"), store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	return old{dir, st, ring, []string{strings.TrimSpace(string(master)), "key of tokens", "password of the admin"}}
}

func (o old) write(t *testing.T, withKey bool) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "naru.backup")
	f, err := os.Create(file)
	must(t, err)
	must(t, backup.Write(t.Context(), f, backup.Source{
		Dir: o.dir, Store: o.store.Backup, Settings: []byte("apps_domain: example.com\n"), KeyPath: filepath.Join(o.dir, "keys", "master"),
		About: backup.About{Naru: "test", Made: time.Now(), KeyID: o.ring.KeyID(), WithKey: withKey},
	}))
	must(t, f.Close())
	return file
}

func target(t *testing.T) backup.Target {
	dir := filepath.Join(t.TempDir(), "data")
	return backup.Target{Dir: dir, KeyPath: filepath.Join(dir, "keys", "master")}
}

func TestWithTheKeyEverythingComesBack(t *testing.T) {
	o, to := platform(t), target(t)
	done, err := backup.Restore(t.Context(), o.write(t, true), to)
	must(t, err)
	if !done.About.WithKey || done.About.Naru != "test" || done.Files != len(tree(t, to.Dir)) {
		t.Errorf("restored %+v, found %v", done, tree(t, to.Dir))
	}
	got := tree(t, to.Dir)
	for _, name := range []string{"registry/blobs/one", "source/tree", "foundations/lock.json", "keys/token.pem", "keys/master", "secrets/admin"} {
		if want, err := os.ReadFile(filepath.Join(o.dir, name)); err != nil || got[name] != string(want) {
			t.Errorf("%s is %q, want %q (%v)", name, got[name], want, err)
		}
	}
	for _, name := range []string{"registry/_uploads/half", "logs/server.log", "gateway/table.json"} {
		if _, there := got[name]; there {
			t.Errorf("%s came back", name)
		}
	}
	if got["config.yaml"] != "apps_domain: example.com\n" {
		t.Errorf("config.yaml is %q", got["config.yaml"])
	}
	must(t, store.Verify(t.Context(), filepath.Join(to.Dir, "store.db")))
}

func TestWithoutTheKeyNothingOpensSecrets(t *testing.T) {
	o := platform(t)
	file := o.write(t, false)
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	gz, err := gzip.NewReader(f)
	must(t, err)
	text, err := io.ReadAll(gz)
	must(t, err)
	if !bytes.Contains(text, []byte("layer")) {
		t.Fatal("the test looks in the wrong place")
	}
	for _, s := range o.secret {
		if bytes.Contains(text, []byte(s)) {
			t.Errorf("the backup holds %q", s)
		}
	}

	t.Run("the key is missing", func(t *testing.T) {
		to := target(t)
		refused(t, file, to, fault.Invalid, "no key for its secrets")
		to.WithoutKey = true
		if _, err := backup.Restore(t.Context(), file, to); err != nil {
			t.Error(err)
		}
	})
	t.Run("another key", func(t *testing.T) {
		to := target(t)
		_, err := secret.LoadKeyring(to.KeyPath) // makes one
		if err != nil {
			must(t, os.MkdirAll(filepath.Dir(to.KeyPath), 0o700))
			_, err = secret.LoadKeyring(to.KeyPath)
		}
		must(t, err)
		refused(t, file, to, fault.Invalid, "another one")
	})
	t.Run("the key in its place", func(t *testing.T) {
		to := target(t)
		must(t, os.MkdirAll(filepath.Dir(to.KeyPath), 0o700))
		must(t, o.ring.Save(to.KeyPath))
		_, err := backup.Restore(t.Context(), file, to)
		must(t, err)
		if got := tree(t, to.Dir); got["keys/master"] == "" || got["store.db"] == "" || got["secrets/admin"] != "" {
			t.Errorf("found %v", got)
		}
	})
}

// TestNothingChangesUntilAllIsChecked: whatever is wrong, the folder is as it was.
func TestNothingChangesUntilAllIsChecked(t *testing.T) {
	o := platform(t)
	good, err := os.ReadFile(o.write(t, true))
	must(t, err)
	entries := unpacked(t, good)
	for name, tc := range map[string]struct {
		file []byte
		want string
	}{
		"no archive":          {[]byte("hello"), "is not a backup"},
		"cut off":             {good[:len(good)/2], "damaged"},
		"a byte changed":      {flipped(good), "damaged"},
		"last entry missing":  {packed(t, entries[:len(entries)-1]), "cut off"},
		"a file missing":      {packed(t, append(entries[:3:3], entries[4:]...)), "should have"},
		"begins elsewhere":    {packed(t, entries[1:]), "does not begin with about.json"},
		"newer format":        {packed(t, append([]entry{{"about.json", `{"format":99,"naru":"9.0.0"}`, tar.TypeReg}}, entries[1:]...)), "written by naru 9.0.0"},
		"leaves the folder":   {packed(t, with(entries, entry{"../evil", "x", tar.TypeReg})), "does not belong"},
		"winding name":        {packed(t, with(entries, entry{"registry/../../evil", "x", tar.TypeReg})), "does not belong"},
		"unknown folder":      {packed(t, with(entries, entry{"gateway/table.json", "{}", tar.TypeReg})), "does not belong"},
		"link":                {packed(t, with(entries, entry{"registry/link", "", tar.TypeSymlink})), "does not belong"},
		"file twice":          {packed(t, with(entries, entries[1])), "file exists"},
		"store is no store":   {packed(t, replaced(entries, "store.db", strings.Repeat("not a database. ", 512))), "store in the backup"},
		"store is damaged":    {packed(t, replaced(entries, "store.db", holed(entries))), "store in the backup"},
		"key is of another":   {packed(t, replaced(entries, "keys/master", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n")), "another one"},
		"something behind it": {packed(t, append(entries[:len(entries):len(entries)], entry{"registry/late", "x", tar.TypeReg})), "follows its end"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "naru.backup")
			must(t, os.WriteFile(file, tc.file, 0o600))
			refused(t, file, target(t), "", tc.want)
		})
	}
	t.Run("data is there", func(t *testing.T) {
		to := target(t)
		must(t, os.MkdirAll(filepath.Join(to.Dir, "registry", "blobs"), 0o700))
		must(t, os.WriteFile(filepath.Join(to.Dir, "registry", "blobs", "mine"), []byte("mine"), 0o600))
		refused(t, o.write(t, true), to, fault.Conflict, "registry/blobs/mine")
	})
	t.Run("a key is there", func(t *testing.T) {
		to := target(t)
		must(t, os.MkdirAll(filepath.Dir(to.KeyPath), 0o700))
		must(t, o.ring.Save(to.KeyPath))
		refused(t, o.write(t, true), to, fault.Conflict, "has a key already")
	})
}

// TestInterruptedItGoesOn stops after each file that is moved into place: by a
// context that ends while reading before it, and by what stands in the way after.
func TestInterruptedItGoesOn(t *testing.T) {
	o, to := platform(t), target(t)
	file := o.write(t, true)
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := backup.Restore(ended, file, to); !errors.Is(err, context.Canceled) && err == nil {
		t.Fatalf("it ended with %v", err)
	}
	if backup.Interrupted(to.Dir) {
		t.Error("nothing was moved, and it says that it was interrupted")
	}
	// As left by a kill between two moves: some in place, the rest aside.
	_, err := backup.Restore(t.Context(), file, to)
	must(t, err)
	want := tree(t, to.Dir)
	aside := filepath.Join(to.Dir, ".restore")
	must(t, os.Mkdir(aside, 0o700))
	for _, name := range []string{"store.db", "source"} {
		must(t, os.Rename(filepath.Join(to.Dir, name), filepath.Join(aside, name)))
	}
	must(t, os.WriteFile(filepath.Join(aside, "checked"), nil, 0o600))
	if !backup.Interrupted(to.Dir) {
		t.Error("it does not notice")
	}
	done, err := backup.Restore(t.Context(), "no longer there", to)
	must(t, err)
	if !done.Resumed || backup.Interrupted(to.Dir) {
		t.Errorf("done %+v", done)
	}
	got := tree(t, to.Dir)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs", name)
		}
	}
}

func refused(t *testing.T, file string, to backup.Target, kind fault.Kind, words string) {
	t.Helper()
	before := tree(t, to.Dir)
	_, err := backup.Restore(t.Context(), file, to)
	if err == nil || !strings.Contains(err.Error(), words) || kind != "" && !fault.Is(err, kind) {
		t.Errorf("got %v, want %q", err, words)
	}
	if after := tree(t, to.Dir); len(after) != len(before) {
		t.Errorf("the folder has %v, had %v", after, before)
	}
}

// tree is every file below a folder with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

type entry struct {
	name, text string
	kind       byte
}

func unpacked(t *testing.T, file []byte) (all []entry) {
	t.Helper()
	gz, err := gzip.NewReader(bytes.NewReader(file))
	must(t, err)
	r := tar.NewReader(gz)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		all = append(all, entry{h.Name, string(text), h.Typeflag})
	}
}

func packed(t *testing.T, all []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for _, e := range all {
		must(t, w.WriteHeader(&tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o600, Size: int64(len(e.text)), Linkname: map[bool]string{true: "/etc"}[e.kind == tar.TypeSymlink]}))
		_, err := io.WriteString(w, e.text)
		must(t, err)
	}
	must(t, w.Close())
	must(t, gz.Close())
	return b.Bytes()
}

// with puts an entry before the last one.
func with(all []entry, one entry) []entry {
	last := len(all) - 1
	return append(append(all[:last:last], one), all[last])
}

func replaced(all []entry, name, text string) []entry {
	var out []entry
	for _, e := range all {
		if e.name == name {
			e.text = text
		}
		out = append(out, e)
	}
	return out
}

// holed is the database with a page of nothing in the middle.
func holed(all []entry) string {
	for _, e := range all {
		if e.name == "store.db" {
			text := []byte(e.text)
			clear(text[8192 : 8192+4096])
			return string(text)
		}
	}
	return ""
}

func flipped(file []byte) []byte {
	out := bytes.Clone(file)
	out[len(out)/2] ^= 1
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
