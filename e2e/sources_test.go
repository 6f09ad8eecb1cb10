package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
)

// An app comes from a repository or as an image, with nothing of it on the disk
// of whoever pushes it.
func TestSources(t *testing.T) {
	t.Parallel()
	repository, bundle := gitServer(t)
	p := start(t, "NARU_CA_BUNDLE="+bundle)
	t.Run("git", func(t *testing.T) { testGit(t, p, repository) })
	t.Run("buildpack", func(t *testing.T) { testBuildpack(t, p, repository) })
	t.Run("uploaded buildpack", func(t *testing.T) { testUploaded(t, p) })
	t.Run("image", func(t *testing.T) { testImage(t, p) })
}

func testGit(t *testing.T, p *platform, repository string) {
	h := p.admin
	host := strings.Split(repository, "/")[2]
	h.refused(t, []string{"push", "site", "--git", repository + "#first"}, host, "naru credentials set "+host)
	if out, code := h.run(t, "wrong", "credentials", "set", host, "--kind", "git", "--user", "ann", "--password-stdin"); code == 0 || !strings.Contains(out, "does not take these credentials") {
		t.Errorf("a wrong password was kept:\n%s", out)
	}
	if out, code := h.run(t, gitPassword, "credentials", "set", host, "--kind", "git", "--user", "ann", "--password-stdin"); code != 0 {
		t.Fatalf("credentials set: %s", out)
	}
	h.do(t, "push", "site", "--git", repository+"#first")
	p.says(t, "site", "/", "first words")
	h.do(t, "push", "site", "--git", repository+"#main")
	p.says(t, "site", "/", "second words")
	h.refused(t, []string{"push", "site", "--git", repository + "#nowhere"}, "nowhere")
	p.says(t, "site", "/", "second words")
	if out := h.do(t, "credentials", "list"); strings.Contains(out, gitPassword) || !strings.Contains(out, host) {
		t.Errorf("credentials list says:\n%s", out)
	}
	h.do(t, "delete", "site", "--yes")
}

// testBuildpack builds an app with a classic buildpack from a repository.
func testBuildpack(t *testing.T, p *platform, repository string) {
	h := p.admin
	dir := t.TempDir()
	for name, text := range map[string]string{"words.txt": "packed words", ".profile": "export GREETING=hello"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.do(t, "push", "packed", "--path", dir, "-b", repository+"#buildpack")
	p.says(t, "packed", "/", "hello packed words")
	if out := h.do(t, "exec", "packed", "--", "sh", "-c", "pwd; id -u; cat $DEPS_DIR/0/there"); !strings.Contains(out, "/home/vcap/app\n1000\nsupplied") {
		t.Errorf("inside it is\n%s", out)
	}
	h.refused(t, []string{"push", "packed", "--path", dir, "-b", repository + "#first"}, "is no buildpack")
	p.says(t, "packed", "/", "hello packed words")
	h.do(t, "delete", "packed", "--yes")
}

// testImage copies the image of an app out of our registry into another one and
// back, and pushes it from both.
func testImage(t *testing.T, p *platform) {
	h := p.admin
	h.do(t, "push", "built", "--path", "../examples/static")
	token := regexp.MustCompile(`(?m)^naru_\S+$`).FindString(h.do(t, "tokens", "create", "images"))
	if token == "" {
		t.Fatal("no token")
	}
	ours := crane.WithAuth(&authn.Basic{Username: "admin", Password: token})
	digest := regexp.MustCompile(`default/dev/built@(sha256:[0-9a-f]{64})`).FindStringSubmatch(h.do(t, "app", "built"))
	if digest == nil {
		t.Fatal("the app does not say which image it runs")
	}
	img, err := crane.Pull(p.registry+"/"+digest[0], ours)
	if err != nil {
		t.Fatal(err)
	}
	other := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(other.Close)
	elsewhere := strings.TrimPrefix(other.URL, "http://") + "/copies/site:1"
	if err := crane.Push(img, elsewhere); err != nil {
		t.Fatal(err)
	}
	mine := p.registry + "/default/dev/copied:1"
	if err := crane.Push(img, mine, ours); err != nil {
		t.Fatal(err)
	}
	for app, ref := range map[string]string{"from-elsewhere": elsewhere, "from-here": mine} {
		out := h.do(t, "push", app, "--image", ref)
		if strings.Contains(out, "✓ build") {
			t.Errorf("an image was built:\n%s", out)
		}
		p.says(t, app, "/", "Hello from static files")
		if out := h.do(t, "app", app); !strings.Contains(out, digest[1]) {
			t.Errorf("%s is not %s:\n%s", app, digest[1], out)
		}
	}
	h.refused(t, []string{"push", "nothing", "--image", strings.TrimSuffix(elsewhere, "1") + "9"}, "copies/site:9", "list-tags docker://"+strings.TrimSuffix(elsewhere, ":1")+";")
	if tags, err := crane.ListTags(p.registry+"/default/dev/copied", ours); err != nil || !slices.Contains(tags, "1") {
		t.Errorf("tags are %v, %v", tags, err)
	}
	if _, err := crane.Pull(mine); err == nil {
		t.Error("a stranger may pull")
	}
	eve := p.user(t, "eve", "elsewhere")
	eve.refused(t, []string{"push", "stolen", "--image", mine}, "does not let us fetch")
}

const gitPassword = "hunter three"

// gitServer serves a private repository over HTTPS, with a tag and a branch, and
// returns its URL and a file with the certificates to trust.
func gitServer(t *testing.T) (url, bundle string) {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("needs git: make install-deps")
	}
	root := t.TempDir()
	work := copied(t, "../examples/static")
	in := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(git, append([]string{"-c", "user.name=ann", "-c", "user.email=ann@example.com", "-C", work}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	in("init", "-q", "-b", "main")
	change(t, filepath.Join(work, "index.html"), "", "", "first words")
	in("add", ".")
	in("commit", "-q", "-m", "first")
	in("tag", "first")
	change(t, filepath.Join(work, "index.html"), "", "", "second words")
	in("commit", "-q", "-a", "-m", "second")
	in("checkout", "-q", "--orphan", "buildpack")
	in("rm", "-q", "-r", "-f", ".")
	for name, text := range map[string]string{
		"supply":   "echo supplied >$3/$4/there",
		"finalize": "mkdir -p $1/public",
		"release":  `printf 'default_process_types:\n  web: echo $GREETING $(cat words.txt) >public/index.html && python3 -m http.server $PORT -d public\n'`,
	} {
		path := filepath.Join(work, "bin", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
	}
	in("add", ".")
	in("commit", "-q", "-m", "a buildpack")
	in("checkout", "-q", "main")
	in("clone", "-q", "--bare", ".", filepath.Join(root, "site.git"))

	backend := &cgi.Handler{
		Stderr: io.Discard,
		Path:   filepath.Join(in("--exec-path"), "git-http-backend"),
		Env:    []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != gitPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/site.git", trusting(t, srv.Certificate())
}

// trusting is a bundle of this machine's authorities and one certificate more.
func trusting(t *testing.T, cert *x509.Certificate) string {
	t.Helper()
	text, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	return file(t, "ca.pem", text)
}
