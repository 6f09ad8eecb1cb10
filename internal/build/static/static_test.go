package static_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"naru/internal/build/static"
)

func site(t *testing.T, opts static.Options) *static.Handler {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"www/index.html":           "home",
		"www/docs/index.html":      "docs",
		"www/big.js":               strings.Repeat("var a;\n", 1000),
		"www/app.3f2a91bc.js":      "x",
		"www/data.bin":             "0123456789",
		"www/empty/.keep":          "",
		"www/.env":                 "SECRET",
		"www/.git/config":          "SECRET",
		"www/.well-known/x":        "known",
		"outside.txt":              "SECRET",
		"www/with space & more.md": "spaced",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../outside.txt", filepath.Join(dir, "www/link.txt")); err != nil {
		t.Fatal(err)
	}
	h, err := static.New(filepath.Join(dir, "www"), opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, "/", nil)
	r.URL.Path = target
	if path, query, ok := strings.Cut(target, "?"); ok {
		r.URL.Path, r.URL.RawQuery = path, query
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPaths(t *testing.T) {
	for name, tc := range map[string]struct {
		spa    bool
		path   string
		accept string
		status int
		want   string // the body, or for a redirect the place
	}{
		"root":                       {false, "/", "", 200, "home"},
		"a file":                     {false, "/data.bin", "", 200, "0123456789"},
		"odd name":                   {false, "/with space & more.md", "", 200, "spaced"},
		"folder":                     {false, "/docs/", "", 200, "docs"},
		"folder without slash":       {false, "/docs?a=b", "", 301, "/docs/?a=b"},
		"redirect stays on the host": {false, "//docs", "", 301, "/docs/"},
		"folder without index":       {false, "/empty/", "", 404, "not found\n"},
		"file with slash":            {false, "/data.bin/", "", 404, "not found\n"},
		"absent":                     {false, "/x", "", 404, "not found\n"},
		"dot file":                   {false, "/.env", "", 404, "not found\n"},
		"dot folder":                 {false, "/.git/config", "", 404, "not found\n"},
		"well known":                 {false, "/.well-known/x", "", 200, "known"},
		"parent":                     {false, "/../outside.txt", "", 404, "not found\n"},
		"parent inside":              {false, "/docs/../../outside.txt", "", 404, "not found\n"},
		"backslash":                  {false, `/..\outside.txt`, "", 404, "not found\n"},
		"zero byte":                  {false, "/data.bin\x00.html", "", 404, "not found\n"},
		"link out of the folder":     {false, "/link.txt", "", 404, "not found\n"},
		"one page: a path":           {true, "/orders/12", "", 200, "home"},
		"one page: missing script":   {true, "/gone.js", "*/*", 404, "not found\n"},
		"one page: dotted page":      {true, "/user/a.b", "text/html", 200, "home"},
		"one page: a file":           {true, "/data.bin", "", 200, "0123456789"},
	} {
		t.Run(name, func(t *testing.T) {
			res := ask(site(t, static.Options{SPA: tc.spa}), "GET", tc.path, "Accept", tc.accept)
			got := body(t, res)
			if res.StatusCode == 301 {
				got = res.Header.Get("Location")
			}
			if res.StatusCode != tc.status || got != tc.want {
				t.Errorf("got %d %q, want %d %q", res.StatusCode, got, tc.status, tc.want)
			}
			if strings.Contains(got, "SECRET") {
				t.Error("served what must not be served")
			}
		})
	}
}

func TestRange(t *testing.T) {
	res := ask(site(t, static.Options{}), "GET", "/data.bin", "Range", "bytes=2-4")
	if got := body(t, res); res.StatusCode != 206 || got != "234" || res.Header.Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("got %d %q %v", res.StatusCode, got, res.Header)
	}
}

func TestCompression(t *testing.T) {
	h := site(t, static.Options{})
	res := ask(h, "GET", "/big.js", "Accept-Encoding", "br, gzip;q=0.5")
	if res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("not compressed: %v", res.Header)
	}
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(z); err != nil || len(data) != 7000 {
		t.Errorf("unpacked %d bytes, %v", len(data), err)
	}
	for name, headers := range map[string][]string{
		"not asked for": {"Accept-Encoding", "br"},
		"refused":       {"Accept-Encoding", "gzip;q=0"},
		"a range":       {"Accept-Encoding", "gzip", "Range", "bytes=0-3"},
	} {
		if res := ask(h, "GET", "/big.js", headers...); res.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: compressed all the same", name)
		}
	}
}

func TestValidators(t *testing.T) {
	h := site(t, static.Options{})
	for _, encoding := range []string{"", "gzip"} {
		first := ask(h, "GET", "/big.js", "Accept-Encoding", encoding)
		tag := first.Header.Get("ETag")
		again := ask(h, "GET", "/big.js", "Accept-Encoding", encoding, "If-None-Match", tag)
		if tag == "" || again.StatusCode != 304 || body(t, again) != "" {
			t.Errorf("encoding %q: got %d with tag %q", encoding, again.StatusCode, tag)
		}
	}
	if plain, packed := ask(h, "GET", "/big.js"), ask(h, "GET", "/big.js", "Accept-Encoding", "gzip"); plain.Header.Get("ETag") == packed.Header.Get("ETag") {
		t.Error("two representations share a tag")
	}
	if got := ask(h, "GET", "/app.3f2a91bc.js").Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("hashed name: Cache-Control %q", got)
	}
	if got := ask(h, "GET", "/").Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("page: Cache-Control %q", got)
	}
}

func TestMethods(t *testing.T) {
	h := site(t, static.Options{})
	if res := ask(h, "POST", "/"); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: got %d", res.StatusCode)
	}
	if res := ask(h, "HEAD", "/data.bin"); res.StatusCode != 200 || body(t, res) != "" || res.Header.Get("Content-Length") != "10" {
		t.Errorf("HEAD: got %d %v", res.StatusCode, res.Header)
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := static.New(filepath.Join(t.TempDir(), "gone"), static.Options{}); err == nil {
		t.Error("no error for a folder that is not there")
	}
}
