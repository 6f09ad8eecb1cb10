package e2e

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Apps of two spaces, of one machine, and of two platforms on it keep apart.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	p, q := start(t), start(t)
	dir := probe(t)
	ann, bob := p.user(t, "ann", "space-a"), p.user(t, "bob", "space-b")
	ann.do(t, "push", "probe-a", "--path", dir)
	bob.do(t, "push", "probe-b", "--path", dir)
	q.admin.do(t, "push", "probe-a", "--path", dir)

	t.Run("two platforms", func(t *testing.T) {
		p.says(t, "probe-a", "/", "probe")
		q.says(t, "probe-a", "/", "probe")
		q.gone(t, "probe-b")
	})
	t.Run("network", func(t *testing.T) { testIsolation(t, p, q) })
	t.Run("one goes", func(t *testing.T) {
		q.admin.do(t, "delete", "probe-a", "--yes")
		q.gone(t, "probe-a")
		p.says(t, "probe-a", "/", "probe")
	})
}

// testIsolation has an app try to connect to what is not its own.
func testIsolation(t *testing.T, p, q *platform) {
	own := p.asks(t, "probe-a", "/address")
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, to string }{
		{"an app of another space", p.asks(t, "probe-b", "/address") + ":8080"},
		{"an app of another platform", q.asks(t, "probe-a", "/address") + ":8080"},
		{"the machine at its own address", machineAddress(t) + ":" + port},
		{"the machine at the bridge", bridgeOf(own) + ":" + port},
		{"the machine's loopback", "127.0.0.1:" + port},
		{"the API", p.api},
		{"the registry", p.registry},
		{"metadata of the cloud", "169.254.169.254:80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := p.asks(t, "probe-a", "/dial?to="+url.QueryEscape(tc.to)); strings.Contains(got, "open") {
				t.Errorf("it reaches %s: %s", tc.to, got)
			} else {
				t.Log(got)
			}
		})
	}
	t.Run("itself", func(t *testing.T) { // else nothing above shows anything
		if got := p.asks(t, "probe-a", "/dial?to="+url.QueryEscape(own+":8080")); got != "open" {
			t.Errorf("it does not reach itself at %s: %s", own, got)
		}
	})
}

// bridgeOf is the first address of the /20 that an instance is in.
func bridgeOf(instance string) string {
	ip := net.ParseIP(instance).To4().Mask(net.CIDRMask(20, 32))
	ip[3]++
	return ip.String()
}

// asks returns what an app answers.
func (p *platform) asks(t testing.TB, app, path string) string {
	t.Helper()
	got, err := p.visit(t, app, path)
	if err != nil {
		t.Fatalf("visit %s: %v", app, err)
	}
	if got.status != 200 {
		t.Fatalf("%s%s answers %d %q", app, path, got.status, got.body)
	}
	return strings.TrimSpace(got.body)
}

// probe is a folder with the compiled app of testdata/probe.
func probe(t testing.TB) string { return compiled(t, "probe") }

// compiled is a folder to push: a program under testdata, ready to run.
func compiled(t testing.TB, program string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", program), "./testdata/"+program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile %s: %v\n%s", program, err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte("web: ./bin/"+program+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
