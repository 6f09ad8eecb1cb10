package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"naru/internal/build/bake/bakefix"
)

// Whatever is pushed, the answer names what is wrong, where, and the way out.
func TestBadInput(t *testing.T) {
	t.Parallel()
	p := start(t, "NARU_UPLOAD_BYTES=4MiB", "NARU_UPLOAD_UNPACKED=8MiB", "NARU_BUILD_TIMEOUT=30s")
	t.Run("source", func(t *testing.T) { testBadSource(t, p) })
	t.Run("names", func(t *testing.T) { testBadNames(t, p) })
	t.Run("mirror", func(t *testing.T) { testBadMirror(t, p) })
	t.Run("build", func(t *testing.T) { slow(t); testBadBuild(t, p) })
	t.Run("app", func(t *testing.T) { slow(t); testBadApp(t, p) })
	t.Run("table", func(t *testing.T) { testBadTable(t, p) })
	if out := p.admin.do(t, "apps"); strings.Contains(out, "healthy") {
		t.Errorf("something bad runs:\n%s", out)
	}
}

func testBadSource(t *testing.T, p *platform) {
	for _, tc := range []struct {
		name  string
		path  func(t *testing.T) string
		words []string
	}{
		{"no such folder", func(*testing.T) string { return "/nowhere/shop" }, []string{"/nowhere/shop does not exist", "naru push --path"}},
		{"not a folder", func(t *testing.T) string { return file(t, "notes.txt", []byte("hello")) }, []string{"notes.txt"}},
		{"empty folder", func(t *testing.T) string { return t.TempDir() }, []string{"is empty"}},
		{"nothing detected", func(t *testing.T) string { return folder(t, map[string]string{"notes.txt": "hello"}) }, []string{"package.json", "go.mod", "Dockerfile", "Procfile"}},
		{"dot dot", func(t *testing.T) string { return tarball(t, tar.Header{Name: "../evil", Typeflag: tar.TypeReg}) }, []string{"../evil", "leaves the source tree"}},
		{"absolute path", func(t *testing.T) string { return tarball(t, tar.Header{Name: "/etc/evil", Typeflag: tar.TypeReg}) }, []string{"/etc/evil", "absolute"}},
		{"leaving symlink", func(t *testing.T) string {
			return tarball(t, tar.Header{Name: "link", Linkname: "../../etc/passwd", Typeflag: tar.TypeSymlink})
		}, []string{"link", "../../etc/passwd", "leaves the source tree"}},
		{"device", func(t *testing.T) string { return tarball(t, tar.Header{Name: "disk", Typeflag: tar.TypeBlock}) }, []string{"disk", "device", "cannot be in an archive of source"}},
		{"zip bomb", zipBomb, []string{"limit of 8 MiB"}},
		{"damaged archive", func(t *testing.T) string { return file(t, "shop.tar.gz", []byte("\x1f\x8b\x08 not really")) }, []string{"shop.tar.gz", "archive"}},
		{"upload over the limit", tooMuch, []string{"limit", "8 MiB"}},
		{"archive over the limit", func(t *testing.T) string {
			return file(t, "big.tar", make([]byte, 5<<20))
		}, []string{"4 MiB"}},
		{"manifest", func(t *testing.T) string {
			return folder(t, map[string]string{"index.html": "hello", "manifest.yml": "applications:\n- name: shop\n  memory: lots\n"})
		}, []string{"manifest.yml:3", "memory", "lots"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p.admin.refused(t, []string{"push", "bad", "--path", tc.path(t)}, tc.words...)
		})
	}
}

func testBadNames(t *testing.T, p *platform) {
	h := p.admin
	h.do(t, "push", "taken", "--path", "../examples/static")
	other := p.user(t, "mallory", "others")
	for _, tc := range []struct {
		name  string
		who   home
		args  []string
		words []string
	}{
		{"unknown app", h, []string{"scale", "nope", "2"}, []string{"nope", "does not exist"}},
		{"unknown org", h, []string{"apps", "--org", "nowhere"}, []string{"nowhere", "does not exist"}},
		{"unknown space", h, []string{"apps", "--space", "nowhere"}, []string{"nowhere", "does not exist"}},
		{"route of another space", other, []string{"push", "mine", "--path", "../examples/static", "--route", "taken.localhost"}, []string{"taken.localhost"}},
		{"another's space", other, []string{"apps", "--space", "dev"}, []string{"dev"}},
		{"other's app", other, []string{"delete", "taken", "--yes"}, []string{"taken", "does not exist"}},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.who.refused(t, tc.args, tc.words...) })
	}
	p.says(t, "taken", "/", "Hello")
	t.Run("expired token", func(t *testing.T) {
		token := regexp.MustCompile(`(?m)^naru_\S+$`).FindString(h.do(t, "tokens", "create", "short", "--lifetime", "1s"))
		eventually(t, 10*time.Second, "the token has expired", func() error {
			cmd := home{p: p, dir: t.TempDir()}.command("apps", "--server", "http://"+p.api)
			cmd.Env = append(cmd.Env, "NARU_TOKEN="+token)
			out, err := cmd.CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("expired")) {
				return errorText(string(out))
			}
			return nil
		})
	})
	h.do(t, "delete", "taken", "--yes")
}

func testBadMirror(t *testing.T, p *platform) {
	archive := bakefix.NewArchive(t)
	archive.Publish("trixie", time.Now(), "", bakefix.Package{Control: "Package: tiny\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody\nDescription: a test\n"})
	spec := file(t, "tiny.yaml", []byte("foundation: tiny\nfrom: {distribution: trixie, suites: [trixie], mirror: \""+archive.URL+"\"}\npackages: [tiny]\n"))
	p.admin.refused(t, []string{"bake", spec}, archive.URL, "is not signed by a key of the keyring", "mirrors.keyring")
}

func testBadBuild(t *testing.T, p *platform) {
	t.Run("failing Dockerfile", func(t *testing.T) {
		dir := folder(t, map[string]string{"Dockerfile": "FROM naru/base\nRUN echo about to fail && exit 7\nCMD [\"true\"]\n"})
		p.admin.refused(t, []string{"push", "bad", "--path", dir}, "Dockerfile", "about to fail", "7")
	})
	t.Run("timeout", func(t *testing.T) {
		dir := folder(t, map[string]string{"Dockerfile": "FROM naru/base\nRUN echo waiting; sleep 3600\nCMD [\"true\"]\n"})
		p.admin.refused(t, []string{"push", "bad", "--path", dir}, "30s", "timeout")
	})
}

func testBadApp(t *testing.T, p *platform) {
	for _, tc := range []struct {
		app   string
		more  []string
		words []string
	}{
		{"never-listens", []string{"--start-timeout", "5s"}, []string{"nothing listens on port 8080", "$PORT"}},
		{"wrong-port", []string{"--start-timeout", "5s"}, []string{"8080", "9999"}},
		{"crash-loop", nil, []string{"exit 3", "cannot reach the database"}},
	} {
		t.Run(tc.app, func(t *testing.T) {
			p.admin.refused(t, append([]string{"push", tc.app, "--path", "../testdata/apps/" + tc.app}, tc.more...), tc.words...)
			p.admin.do(t, "delete", tc.app, "--yes")
		})
	}
	t.Run("eats-memory", func(t *testing.T) {
		p.admin.run(t, "", "push", "greedy", "--path", "../testdata/apps/eats-memory", "--memory", "128M") // healthy at first, or not at all
		eventually(t, 40*time.Second, "the app is out of memory", func() error {
			out, _ := p.admin.run(t, "", "app", "greedy")
			if !strings.Contains(out, "out of memory at 128 MiB") {
				return errorText(out)
			}
			return nil
		})
		p.admin.do(t, "delete", "greedy", "--yes")
	})
}

func testBadTable(t *testing.T, p *platform) {
	p.admin.do(t, "push", "steady", "--path", "../examples/static")
	table := filepath.Join(p.data(), "gateway", "table.json")
	if !exists(table) {
		t.Fatalf("the gateway keeps no table at %s", table)
	}
	if err := os.WriteFile(table, []byte(`{"version": 3, "routes": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	p.kill(t, "naru", "gateway")
	eventually(t, 10*time.Second, "traffic flows with a table from the server", func() error {
		got, err := p.visit(t, "steady", "/")
		if err == nil && got.status != 200 {
			err = errorText(got.body)
		}
		return err
	})
	p.admin.refused(t, []string{"gateway", "--table", file(t, "table.json", []byte(`{"version": 3, "routes": [`)), "--listen", "127.0.0.1:0"}, "table.json")
	p.admin.do(t, "delete", "steady", "--yes")
}

// errorText is what was seen instead of what was hoped for.
type errorText string

func (e errorText) Error() string { return string(e) }

func file(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tarball has a page and one more entry.
func tarball(t *testing.T, entry tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	entry.Mode = 0o644
	for _, h := range []*tar.Header{{Name: "index.html", Typeflag: tar.TypeReg, Mode: 0o644}, &entry} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file(t, "shop.tar", b.Bytes())
}

// zipBomb is small and unpacks to 1 GiB.
func zipBomb(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("index.html")
	if err == nil {
		_, err = io.CopyN(w, zeros{}, 1<<30)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "bomb.zip", b.Bytes())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// tooMuch is a folder of more than may be pushed.
func tooMuch(t *testing.T) string {
	t.Helper()
	return folder(t, map[string]string{"index.html": "hello", "film.bin": strings.Repeat("x", 9<<20)})
}
