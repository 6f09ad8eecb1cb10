package buildkit_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"naru/internal/build"
	"naru/internal/build/bake"
	"naru/internal/fault"
)

// mirror is a server on this machine that builds may reach: files by path.
type mirror struct {
	port  int
	files map[string][]byte
}

func newMirror(t testing.TB, files map[string][]byte) *mirror {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{port: l.Addr().(*net.TCPAddr).Port, files: files}
	srv := httptest.NewUnstartedServer(m)
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	return m
}

// ServeHTTP serves a file; a folder's listing is a file whose name ends in a
// slash.
func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, ok := m.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/") {
		w.Header().Set("Content-Type", "text/html")
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

func (m *mirror) url(gateway, path string) string {
	return fmt.Sprintf("http://%s:%d%s", gateway, m.port, path)
}

// wheel is a Python package with one module.
func wheel(t testing.TB, name, code string, requires ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	info := name + "-1.0.dist-info/"
	meta := "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n"
	for _, r := range requires {
		meta += "Requires-Dist: " + r + "\n"
	}
	for _, f := range [][2]string{
		{name + "/__init__.py", code}, {info + "METADATA", meta},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", name + "/__init__.py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	} {
		w, err := z.Create(f[0])
		if err == nil {
			_, err = io.WriteString(w, f[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pythonIndex is a PEP 503 index of two packages, of which one needs the other.
func pythonIndex(t testing.TB) map[string][]byte {
	files := map[string][]byte{}
	add := func(name string, data []byte) {
		file := name + "-1.0-py3-none-any.whl"
		files["/files/"+file] = data
		files["/simple/"+name+"/"] = fmt.Appendf(nil, "<!doctype html><a href=\"/files/%s#sha256=%x\">%s</a>", file, sha256.Sum256(data), file)
	}
	add("greeting", wheel(t, "greeting", "from words import HELLO\n\ndef hello(whom):\n    return f'{HELLO} from {whom}'\n", "words"))
	add("words", wheel(t, "words", "HELLO = 'Hello'\n"))
	return files
}

// mavenRepository is what Debian's packages of Maven's standard plugins hold:
// a repository in Maven's own layout, taken from a baked image.
func mavenRepository(ctx context.Context, t testing.TB) map[string][]byte {
	t.Helper()
	baker, err := bakers()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := bake.ParseSpec("maven-mirror.yaml", []byte(`
foundation: maven-mirror
from: {distribution: trixie}
packages: [libmaven-compiler-plugin-java, libmaven-resources-plugin-java, libmaven-jar-plugin-java,
  libmaven-dependency-plugin-java, libsurefire-java, libcommons-lang3-java]
`))
	if err != nil {
		t.Fatal(err)
	}
	res, err := baker.Bake(ctx, spec, bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const root = "/usr/share/"
	files, links := map[string][]byte{}, map[string]string{}
	stream := mutate.Extract(res.Image)
	defer stream.Close()
	for tr := tar.NewReader(stream); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Clean("/" + h.Name)
		if !strings.HasPrefix(name, root+"maven-repo/") && !strings.HasPrefix(name, root+"java/") {
			continue
		}
		switch h.Typeflag {
		case tar.TypeReg:
			if files[name], err = io.ReadAll(tr); err != nil {
				t.Fatal(err)
			}
		case tar.TypeSymlink:
			links[name] = path.Join(path.Dir(name), h.Linkname)
		}
	}
	out := map[string][]byte{}
	for name := range links {
		at := name
		for range 5 {
			if next, ok := links[at]; ok {
				at = next
			}
		}
		files[name] = files[at]
	}
	for name, data := range files {
		if p, ok := strings.CutPrefix(name, root+"maven-repo"); ok && data != nil {
			out[p] = data
		}
	}
	return out
}

func testMirrors(t *testing.T, m *machine) {
	python := newMirror(t, pythonIndex(t))
	maven := newMirror(t, mavenRepository(t.Context(), t))
	if err := m.daemon.Network(python.port, maven.port).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("python", func(t *testing.T) { testPython(t, m, python) })
	t.Run("maven", func(t *testing.T) { testMaven(t, m, maven) })
}

func testPython(t *testing.T, m *machine, index *mirror) {
	dir := copied(t, "python")
	withIndex := func(r *build.Request) { r.Mirrors.PyPI = index.url(m.gateway, "/simple/") }
	first, _, err := m.push(t, dir, snapshotA, withIndex)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "app.py", "import greeting\nprint(greeting.hello('you'))\n")
	changed, events, err := m.push(t, dir, snapshotB, withIndex)
	if err != nil {
		t.Fatal(err)
	}
	if layerOf(changed, "dependencies") != layerOf(first, "dependencies") || !slices.Contains(steps(events, build.Cached), "install dependencies") {
		t.Errorf("a change of the source installed again: %v", steps(events, build.Done))
	}
	// The mirror's address is no part of what is remembered.
	_, events, err = m.push(t, dir, snapshotB, func(r *build.Request) { r.Mirrors.PyPI = "http://127.0.0.1:1/simple/" })
	if err != nil || len(steps(events, build.Done)) > 1 {
		t.Errorf("another mirror: %v, ran %v", err, steps(events, build.Done))
	}
	write(t, dir, "requirements.txt", "not-there==1\n")
	_, _, err = m.push(t, dir, "sha256:"+strings.Repeat("c", 64), withIndex)
	mustFail(t, err, fault.Failed, "install dependencies: ", "a requirement does not exist")
}

func testMaven(t *testing.T, m *machine, repository *mirror) {
	dir := copied(t, "maven")
	_, events, err := m.push(t, dir, snapshotA, func(r *build.Request) { r.Mirrors.Maven = repository.url(m.gateway, "") })
	if err != nil {
		for _, e := range events {
			t.Log(e.Text)
		}
		t.Fatal(err)
	}
}
