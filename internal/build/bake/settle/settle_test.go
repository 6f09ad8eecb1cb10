package settle_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/build/bake/bakefix"
	"naru/internal/build/bake/layer"
	"naru/internal/build/bake/settle"
)

var day = time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)

// tree is an image with the given files, remembered as a bake would.
func tree(t *testing.T, files ...bakefix.File) *layer.Tree {
	t.Helper()
	raw := bakefix.Tar(t, files)
	tr := layer.NewTree()
	src := layer.Source{Name: "p", Open: func(context.Context) (layer.Stream, error) {
		return layer.Stream{ReadCloser: io.NopCloser(bytes.NewReader(raw)), Date: day}, nil
	}}
	_, err := layer.Write(t.Context(), io.Discard, tr, []layer.Source{src},
		func(time.Time) ([]layer.File, error) { return nil, nil }, layer.Options{Keep: settle.Keep})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func run(t *testing.T, tr *layer.Tree) map[string]layer.File {
	t.Helper()
	files, err := settle.Run(settle.Input{Tree: tr, Date: day})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]layer.File{}
	for _, f := range files {
		all[f.Path] = f
	}
	return all
}

// hostCertificates are real ones, as the host's ca-certificates package has them.
func hostCertificates(t *testing.T) []bakefix.File {
	t.Helper()
	found, err := filepath.Glob("/usr/share/ca-certificates/mozilla/*.crt")
	if err != nil || len(found) == 0 {
		t.Skip("the package ca-certificates is not installed, so there are no real certificates to try")
	}
	var files []bakefix.File
	for _, name := range found {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, bakefix.File{Name: "." + name, Mode: 0o644, Body: string(raw)})
	}
	return files
}

func TestHashLinksAreOpenSSLs(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed, so there is nothing to compare with")
	}
	certs := hostCertificates(t)
	got := run(t, tree(t, certs...))
	for _, c := range certs {
		out, err := exec.CommandContext(t.Context(), openssl, "x509", "-noout", "-hash", "-in", c.Name[1:]).Output()
		if err != nil {
			t.Fatal(err)
		}
		hash := strings.TrimSpace(string(out))
		name := strings.TrimSuffix(filepath.Base(c.Name), ".crt")
		found := false
		for n := range 10 {
			found = found || got["etc/ssl/certs/"+hash+"."+string(rune('0'+n))].Link == name+".pem"
		}
		if !found {
			t.Errorf("no link %s.N to %s.pem", hash, name)
		}
		if got["etc/ssl/certs/"+name+".pem"].Link != c.Name[1:] {
			t.Errorf("no link %s.pem", name)
		}
	}
	if n := bytes.Count(got["etc/ssl/certs/ca-certificates.crt"].Body, []byte("BEGIN CERTIFICATE")); n != len(certs) {
		t.Errorf("the bundle has %d certificates, want %d", n, len(certs))
	}
}

func TestKeystoreOnlyWithJava(t *testing.T) {
	certs := hostCertificates(t)
	if f, ok := run(t, tree(t, certs...))["etc/ssl/certs/java/cacerts"]; ok {
		t.Errorf("a keystore of %d bytes without ca-certificates-java", len(f.Body))
	}
	java := bakefix.File{Name: "./usr/share/ca-certificates-java/x", Mode: 0o644}
	body := run(t, tree(t, append(certs, java)...))["etc/ssl/certs/java/cacerts"].Body
	if !bytes.HasPrefix(body, []byte{0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2}) {
		t.Fatalf("the keystore begins with % x", body[:min(8, len(body))])
	}
	keytool, err := exec.LookPath("keytool")
	if err != nil {
		return // the foundations' own test opens it with their Java
	}
	path := filepath.Join(t.TempDir(), "cacerts")
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), keytool, "-list", "-keystore", path, "-storepass", "changeit").CombinedOutput(); err != nil {
		t.Errorf("keytool: %v\n%s", err, out)
	}
}

func TestAlternatives(t *testing.T) {
	got := run(t, tree(t,
		bakefix.File{Name: "./usr/bin/mawk", Mode: 0o755}, bakefix.File{Name: "./usr/bin/gcc", Mode: 0o755},
		bakefix.File{Name: "./usr/bin/cc", Mode: 0o755},
		bakefix.File{Name: "./usr/lib/jvm/java-17-openjdk-amd64/bin/java", Mode: 0o755},
		bakefix.File{Name: "./usr/lib/jvm/java-21-openjdk-amd64/bin/java", Mode: 0o755},
		bakefix.File{Name: "./usr/lib/jvm/java-21-openjdk-amd64/bin/keytool", Mode: 0o755},
	))
	for at, want := range map[string]string{
		"usr/bin/awk": "/etc/alternatives/awk", "etc/alternatives/awk": "/usr/bin/mawk",
		"usr/bin/cc":                "", // the package brought one itself
		"etc/alternatives/java":     "/usr/lib/jvm/java-21-openjdk-amd64/bin/java",
		"etc/alternatives/keytool":  "/usr/lib/jvm/java-21-openjdk-amd64/bin/keytool",
		"usr/lib/jvm/default-java":  "java-21-openjdk-amd64",
		"etc/localtime":             "",
		"etc/alternatives/mvn":      "",
		"etc/alternatives/fakeroot": "",
	} {
		if got[at].Link != want {
			t.Errorf("%s -> %q, want %q", at, got[at].Link, want)
		}
	}
}

func TestDamagedCertificateIsNamed(t *testing.T) {
	tr := tree(t, bakefix.File{Name: "./usr/share/ca-certificates/mozilla/Bad.crt", Mode: 0o644, Body: "no pem"})
	if _, err := settle.Run(settle.Input{Tree: tr, Date: day}); err == nil || !strings.Contains(err.Error(), "Bad.crt") {
		t.Errorf("err = %v, want the file named", err)
	}
}

func TestNothingFromNothing(t *testing.T) {
	for path := range run(t, layer.NewTree()) {
		if !strings.HasPrefix(path, "var/lib/dpkg/") {
			t.Errorf("an empty image got %s", path)
		}
	}
}
