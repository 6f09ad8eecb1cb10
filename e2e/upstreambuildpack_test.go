package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The app that an upstream buildpack builds, as people have it who come from Cloud
// Foundry: its manifest is not changed for naru.
var upstreamApp = map[string]string{
	"manifest.yml": "applications:\n- name: upstream\n  memory: 256M\n  buildpacks: [nodejs_buildpack]\n  stack: cflinuxfs4\n",
	"package.json": `{"name":"upstream","version":"1.0.0","scripts":{"start":"node server.js"},"engines":{"node":"22.x"},"dependencies":{"ms":"2.1.3"}}`,
	"server.js": `const ms = require('ms')
require('http').createServer((_, res) => res.end('node ' + process.version + ' says ' + ms(172800000))).listen(process.env.PORT)
`,
}

// TestUpstreamBuildpack builds an app with the nodejs-buildpack of Cloud Foundry, as
// its makers publish it. This repository has neither it nor a way to get it: the
// test is told where one lies whose programs are compiled. What that buildpack
// downloads from Cloud Foundry's servers comes from the npm registry instead, packed
// as its own offline form has it.
func TestUpstreamBuildpack(t *testing.T) {
	slow(t)
	dir := os.Getenv("NARU_E2E_BUILDPACK")
	if dir == "" {
		t.Skip("needs cloudfoundry/nodejs-buildpack, unpacked, with bin/supply and bin/finalize compiled: NARU_E2E_BUILDPACK=FOLDER, as CONTRIBUTING.md tells")
	}
	t.Parallel()
	began := time.Now()
	pack := upstream{dir: dir, out: filepath.Join(t.TempDir(), "nodejs.zip")}
	pack.write(t)
	t.Logf("packed in %s", time.Since(began).Round(time.Millisecond))

	p := start(t)
	h := p.admin
	if out := h.do(t, "buildpack", "create", "nodejs_buildpack", pack.out); !strings.Contains(out, "nodejs_buildpack at position 1 for cflinuxfs4: ready") {
		t.Errorf("it is\n%s", out)
	}
	app := t.TempDir()
	for name, text := range upstreamApp {
		if err := os.WriteFile(filepath.Join(app, name), []byte(text), 0o644); err != nil { //nolint:gosec // it is pushed
			t.Fatal(err)
		}
	}
	began = time.Now()
	push := h.command("push")
	push.Dir = app
	if out, err := push.CombinedOutput(); err != nil {
		t.Fatalf("push: %v\n%s", err, out)
	}
	t.Logf("naru push took %s", time.Since(began).Round(time.Millisecond))
	p.says(t, "upstream", "/", "node v"+upstreamNode+" says 2d")

	c := signedIn(t, p)
	apps, _ := c.ask(t, "GET", "/v3/apps?names=upstream", "")["resources"].([]any)
	if len(apps) != 1 {
		t.Fatalf("apps are %v", apps)
	}
	one, _ := apps[0].(map[string]any)
	guid, _ := one["guid"].(string)
	used, _ := c.ask(t, "GET", "/v3/apps/"+guid+"/droplets/current", "")["buildpacks"].([]any)
	if len(used) != 1 {
		t.Fatalf("buildpacks of the droplet are %v", used)
	}
	first, _ := used[0].(map[string]any)
	if first["name"] != "nodejs_buildpack" || first["buildpack_name"] != "nodejs" || first["version"] != pack.version {
		t.Errorf("the droplet was made by %v, want version %s", first, pack.version)
	}
	h.do(t, "delete", "upstream", "--yes")
}
