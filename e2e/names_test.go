package e2e

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/v1/empty"

	"naru/internal/client"
)

// From another machine the platform is reached by its own names, through the
// gateway and over TLS that its own authority signs.
func TestNamesOfThePlatform(t *testing.T) {
	t.Parallel()
	var tls string
	free(t, &tls)
	p := start(t, "NARU_LISTEN_APPS_TLS="+tls)
	_, port, _ := net.SplitHostPort(tls)
	api, registry := "https://api.naru.localhost:"+port, "registry.naru.localhost:"+port

	authority := p.admin.do(t, "ca", "--data-dir", p.data())
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(authority), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(p.data(), "secrets", "admin"))
	if err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(string(text))

	far := home{p: p, dir: filepath.Join(p.dir, "home-far")}
	if out, code := far.run(t, password, "login", api, "--password-stdin"); code == 0 || !strings.Contains(out, "--ca-cert") {
		t.Errorf("a login without the authority ended with %d:\n%s", code, out)
	}
	if out, code := far.run(t, password, "login", api, "--password-stdin", "--ca-cert", file); code != 0 {
		t.Fatalf("login: %s", out)
	}
	far.do(t, "push", "site", "--path", "../examples/static")
	if out, code := far.run(t, "", "run", "site", "--", "/bin/false"); code == 0 {
		t.Errorf("a task, through a WebSocket: %s", out)
	}
	far.refused(t, []string{"map-route", "site", "api.naru.localhost"}, "belongs to the platform", "choose another host")

	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(authority))
	options := []crane.Option{
		crane.WithTransport(client.Transport(pool)), crane.WithAuth(&authn.Basic{Username: "admin", Password: password}),
	}
	if err := crane.Push(empty.Image, registry+"/default/dev/far:1", options...); err != nil {
		t.Fatal(err)
	}
	if _, err := crane.Digest(registry+"/default/dev/far:1", options...); err != nil {
		t.Error(err)
	}
}
