package cli_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"naru/internal/pipeline/packs"
	"naru/internal/source"
)

// packFolder is a buildpack as it lies on a disk where people work on it.
func packFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "words")
	must(t, errors.Join(os.MkdirAll(filepath.Join(dir, "bin"), 0o755), os.MkdirAll(filepath.Join(dir, ".git", "objects"), 0o755), os.MkdirAll(filepath.Join(dir, "lib"), 0o755)))
	for name, text := range map[string]string{"bin/compile": "#!/bin/sh\n", ".git/objects/a": "x", ".gitignore": "lib\n", "lib/words": "words"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	must(t, os.Chmod(filepath.Join(dir, "lib", "words"), 0o755))
	must(t, os.Symlink("lib/words", filepath.Join(dir, "words")))
	return dir
}

// A folder goes as it is, but for what git keeps of it; nothing that git ignores is
// left out but what no build needs, as .gitignore itself.
func TestFoldersOfBuildpacks(t *testing.T) {
	p := newPlatform(t)
	home := filepath.Join(t.TempDir(), "home")
	if out, code := inside(p, strings.NewReader(password), home, "login", p.url(), "--user", "admin", "--password-stdin"); code != 0 {
		t.Fatal(out)
	}
	dir := packFolder(t)
	if out, code := inside(p, nil, home, "buildpack", "create", "words", dir); code != 0 {
		t.Fatal(out)
	}
	b, err := packs.New(p.store, p.files, nil).Named(t.Context(), "words", "")
	must(t, err)
	tree, err := p.files.Load(t.Context(), source.Buildpacks, b.Digest)
	must(t, err)
	var got []string
	for _, f := range tree {
		got = append(got, f.Path+map[bool]string{true: "*"}[f.Mode == source.Executable]+f.Link)
	}
	if all := strings.Join(got, " "); all != "bin/compile* lib/words* wordslib/words" {
		t.Errorf("it holds %s", all)
	}

	must(t, os.Remove(filepath.Join(dir, "words")))
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "words")))
	if out, code := inside(p, nil, home, "buildpack", "set", "words", "--path", dir); code == 0 || !strings.Contains(out, "words") || !strings.Contains(out, "the files it had stay") {
		t.Errorf("a link out of the folder: %d\n%s", code, out)
	}
}

// An upload that breaks off is begun again.
func TestUploadsOfBuildpacksAreTriedAgain(t *testing.T) {
	p := newPlatform(t)
	var broke atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/files") && !broke.Swap(true) {
			_, _ = io.CopyN(io.Discard, r.Body, 16)
			panic(http.ErrAbortHandler)
		}
		out, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, p.url()+r.URL.RequestURI(), r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out.Header, out.ContentLength = r.Header, r.ContentLength
		res, err := http.DefaultClient.Do(out)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer res.Body.Close()
		for name, values := range res.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	t.Cleanup(front.Close)
	home := filepath.Join(t.TempDir(), "home")
	if out, code := inside(p, strings.NewReader(password), home, "login", front.URL, "--user", "admin", "--password-stdin"); code != 0 {
		t.Fatal(out)
	}
	out, code := inside(p, nil, home, "buildpack", "create", "words", packFolder(t))
	if code != 0 || !strings.Contains(out, "words at position 1: ready") || !broke.Load() {
		t.Errorf("%d, broke %t\n%s", code, broke.Load(), out)
	}
}
