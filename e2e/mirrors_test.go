package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"naru/internal/build/bake"
)

// mirrors serves a Python index and a Maven repository to builds, and returns
// the settings that name them. The public ones are not asked by any test.
func mirrors(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		return nil
	}
	addr := machineAddress(t)
	return []string{
		"NARU_MIRRORS_PIP=" + serveFiles(t, addr, pythonIndex(t)) + "/simple/",
		"NARU_MIRRORS_MAVEN=" + serveFiles(t, addr, mavenRepository(t)),
	}
}

// machineAddress is where commands of builds find this machine: their loopback
// is their own.
func machineAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil && !ip.IsLoopback() {
			return ip.String()
		}
	}
	t.Skip("needs a network interface beside lo, for builds to reach mirrors that the test serves")
	return ""
}

// serveFiles serves files by path; a folder's listing is a file whose name ends
// in a slash.
func serveFiles(t *testing.T, addr string, files map[string][]byte) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", addr+":0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/") {
			w.Header().Set("Content-Type", "text/html")
		}
		if r.Method != http.MethodHead {
			_, _ = w.Write(data) // a build that went away is not the mirror's concern
		}
	}))
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

// pythonIndex is a PEP 503 index of two packages, of which one needs the other.
func pythonIndex(t *testing.T) map[string][]byte {
	files := map[string][]byte{}
	add := func(name string, data []byte) {
		file := name + "-1.0-py3-none-any.whl"
		files["/files/"+file] = data
		files["/simple/"+name+"/"] = fmt.Appendf(nil, "<!doctype html><a href=\"/files/%s#sha256=%x\">%s</a>", file, sha256.Sum256(data), file)
	}
	add("greeting", wheel(t, "greeting", "from words import HELLO\n\ndef hello(whom):\n    return f'{HELLO} from {whom}'\n", "Requires-Dist: words\n"))
	add("words", wheel(t, "words", "HELLO = 'Hello'\n", ""))
	return files
}

// wheel is a Python package with one module.
func wheel(t *testing.T, name, code, requires string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	info := name + "-1.0.dist-info/"
	for _, f := range [][2]string{
		{name + "/__init__.py", code},
		{info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n" + requires},
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

// mavenRepository is what Debian's packages of Maven's standard plugins hold: a
// repository in Maven's own layout.
func mavenRepository(t *testing.T) map[string][]byte {
	t.Helper()
	baker, err := bake.New(bake.Config{CacheDir: t.TempDir()}, slog.New(slog.DiscardHandler))
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
	res, err := baker.Bake(context.WithoutCancel(t.Context()), spec, bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stream := mutate.Extract(res.Image)
	defer stream.Close()
	return repositoryIn(t, tar.NewReader(stream))
}

// repositoryIn follows the repository's links into Debian's folder of jars.
func repositoryIn(t *testing.T, tr *tar.Reader) map[string][]byte {
	t.Helper()
	const root = "/usr/share/"
	files, links := map[string][]byte{}, map[string]string{}
	for {
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
	for name := range links {
		at := name
		for range 5 {
			if next, ok := links[at]; ok {
				at = next
			}
		}
		files[name] = files[at]
	}
	repository := map[string][]byte{}
	for name, data := range files {
		if p, ok := strings.CutPrefix(name, root+"maven-repo"); ok && data != nil {
			repository[p] = data
		}
	}
	return repository
}
