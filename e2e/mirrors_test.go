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
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"naru/internal/build/bake"
	"naru/internal/build/bake/bakefix"
	"naru/internal/config"
)

// pip serves a Python index to builds, and returns the setting that names it.
// The public one is not asked by any test.
func pip(t *testing.T) string {
	t.Helper()
	return "NARU_MIRRORS_PIP=" + serveFiles(t, machineAddress(t), pythonIndex(t)) + "/simple/"
}

// maven is the same with a repository of Maven's.
func maven(t *testing.T) string {
	t.Helper()
	return "NARU_MIRRORS_MAVEN=" + serveFiles(t, machineAddress(t), mavenRepository(t))
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
	cache, err := foundations()
	if err != nil {
		t.Fatal(err)
	}
	baker, err := bake.New(bake.Config{CacheDir: cache}, slog.New(slog.DiscardHandler))
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

// A Debian mirror that serves anything but what its signed index promises is
// named with the file, both hashes and the way out, and leaves nothing behind.
func TestBadDebianMirror(t *testing.T) {
	t.Parallel()
	archive := bakefix.NewArchive(t)
	p := prepare(t, "NARU_MIRRORS_KEYRING="+file(t, "keys.gpg", archive.Public)) // with a cache of its own
	p.begin(t)
	spec := file(t, "tool.yaml", []byte("foundation: tool\nfrom: {distribution: trixie, suites: [trixie], architecture: amd64, mirror: \""+archive.URL+"\"}\npackages: [tool]\n"))
	const tool, index = "/pool/main/tool_1-1_amd64.deb", "/dists/trixie/main/binary-amd64/"
	other := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)-1] ^= 1
		return b
	}
	for _, tc := range []struct {
		name string
		path func() string // of the file that is harmed
		harm func(whole []byte) []byte
	}{
		{"package with another byte", func() string { return tool }, other},
		{"truncated package", func() string { return tool }, func(b []byte) []byte { return b[:len(b)/2] }},
		{"another package's content", func() string { return tool }, func([]byte) []byte { return archive.Get("/pool/main/bash_1-1_amd64.deb") }},
		{"package with more behind it", func() string { return tool }, func(b []byte) []byte { return append(bytes.Clone(b), "more"...) }},
		{"index with another byte", func() string { return archive.Names(index + "by-hash/")[0] }, other},
		{"truncated index", func() string { return archive.Names(index + "by-hash/")[0] }, func(b []byte) []byte { return b[:len(b)-9] }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, name := range archive.Names(index + "by-hash/") {
				archive.Remove(name)
			}
			archive.Publish("trixie", time.Now().Add(-time.Minute), "", toolPackages(t, tc.name)...)
			at := tc.path()
			whole := archive.Get(at)
			bad := tc.harm(whole)
			archive.Put(at, bad)
			words := []string{archive.URL + at, fmt.Sprintf("but sha256 %x and %d bytes were promised", sha256.Sum256(whole), len(whole)), "from.mirror", "try again later or name another"}
			if len(bad) > len(whole) { // it is not read to its end
				words = append(words, fmt.Sprintf("has more than %d bytes", len(whole)))
			} else {
				words = append(words, fmt.Sprintf("has sha256 %x and %d bytes", sha256.Sum256(bad), len(bad)))
			}
			p.admin.refused(t, []string{"bake", spec}, words...)
			cache := filepath.Join(config.Config{DataDir: p.data()}.CacheDir(), "bake")
			if !bytes.Equal(bad, archive.Get("/pool/main/bash_1-1_amd64.deb")) { // which is kept under its own name
				notKept(t, cache, bad[:min(len(bad), len(whole))])
			}
			archive.Put(at, whole)
			p.admin.do(t, "bake", spec)
		})
	}
}

// toolPackages is what a mirror needs for a foundation with one package more,
// which differs from test to test.
func toolPackages(t *testing.T, body string) []bakefix.Package {
	t.Helper()
	base, err := bake.BuiltinSpec(bake.BaseName)
	if err != nil {
		t.Fatal(err)
	}
	tool := bakefix.Plain("tool", bakefix.File{Name: "./usr/share/tool/about", Mode: 0o644, Body: strings.Repeat(body, 50)})
	tool.Compression = "" // so that half of it is already unlike that of another test
	return append(bakefix.Base(base.Packages), tool)
}

// notKept looks for content, or the beginning of it, in every file of a cache.
func notKept(t *testing.T, cache string, content []byte) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(cache, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		if filepath.Base(filepath.Dir(path)) == "tmp" {
			t.Errorf("left in the making: %s", path)
		}
		got, err := os.ReadFile(path)
		if bytes.HasPrefix(got, content) {
			t.Errorf("%s holds what was refused", path)
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Fatalf("looked into %d files of the cache: %v", seen, err)
	}
}
