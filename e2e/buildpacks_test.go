package e2e

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// signedIn is the platform's administrator with a client of Cloud Foundry.
func signedIn(t *testing.T, p *platform) *cloud {
	t.Helper()
	c := &cloud{p: p}
	password, err := os.ReadFile(filepath.Join(p.data(), "secrets", "admin"))
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {strings.TrimSpace(string(password))}}
	_, _, answer := c.send(t, "login", "POST", "/oauth/token", "application/x-www-form-urlencoded", form.Encode())
	if c.token, _ = answer["access_token"].(string); c.token == "" {
		t.Fatalf("no token: %v", answer)
	}
	return c
}

// buildpack uploads a buildpack of shell scripts, whose job must end in a state.
func (c *cloud) buildpack(t *testing.T, name, state string, programs map[string]string) (guid string) {
	t.Helper()
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, err := m.CreateFormFile("bits", name+".zip")
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(part)
	for program, text := range programs {
		f, err := z.Create("bin/" + program)
		if err == nil {
			_, err = f.Write([]byte("#!/bin/bash\nset -eu\n" + text + "\n"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	guid = fmt.Sprint(c.ask(t, "POST", "/v3/buildpacks", `{"name":"`+name+`","position":1}`)["guid"])
	status, header, answer := c.send(t, "api", "POST", "/v3/buildpacks/"+guid+"/upload", m.FormDataContentType(), form.String())
	if status != http.StatusAccepted {
		t.Fatalf("upload: %d %v", status, answer)
	}
	job := header.Get("Location")
	c.until(t, job[strings.Index(job, "/v3/"):], "state", state)
	return guid
}

// testUploaded builds apps with buildpacks that were uploaded: one that is asked,
// several that are named, and none that is disabled.
func testUploaded(t *testing.T, p *platform) {
	h, c := p.admin, signedIn(t, p)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "words.txt"), []byte("uploaded words"), 0o644); err != nil { //nolint:gosec // it is pushed
		t.Fatal(err)
	}
	h.refused(t, []string{"push", "loaded", "--path", dir}, "nothing here says how to build it")
	c.buildpack(t, "broken", "FAILED", map[string]string{"detect": "exit 0"})
	greets := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(greets, "bin"), 0o755), //nolint:gosec // it is uploaded
		os.WriteFile(filepath.Join(greets, "bin", "supply"), []byte("#!/bin/sh\necho greetings >\"$3/$4/greeting\"\n"), 0o755)); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	h.do(t, "buildpack", "create", "greets", greets)
	pack := c.buildpack(t, "words", "COMPLETE", map[string]string{
		"detect": `[ -f "$1/words.txt" ] && echo words`, "finalize": `mkdir "$1/public"; echo "$VCAP_APPLICATION" >"$1/about.txt"`,
		"release": `printf 'default_process_types:\n  web: cat $DEPS_DIR/*/greeting words.txt >public/index.html; python3 -m http.server $PORT -d public\n'`,
	})
	if out := h.do(t, "push", "loaded", "--path", dir); !strings.Contains(out, "buildpack words: words, ") {
		t.Errorf("it does not say which buildpack knew the app:\n%s", out)
	}
	p.says(t, "loaded", "/", "uploaded words")
	if out := h.do(t, "exec", "loaded", "--", "cat", "about.txt"); !strings.Contains(out, `"application_name":"loaded"`) {
		t.Errorf("it was told\n%s", out)
	}
	h.do(t, "push", "loaded", "--path", dir, "-b", "greets", "-b", "words")
	p.says(t, "loaded", "/", "greetings")
	if out := h.do(t, "builders"); !strings.Contains(out, "greets") {
		t.Errorf("builders are\n%s", out)
	}
	c.ask(t, "PATCH", "/v3/buildpacks/"+pack, `{"enabled":false}`)
	h.refused(t, []string{"push", "loaded", "--path", dir, "-b", "words"}, "the buildpack words is disabled", "--enable")
	c.ask(t, "DELETE", "/v3/buildpacks/"+pack, "")
	if out := h.do(t, "buildpacks"); strings.Contains(out, "words") || !strings.Contains(out, "greets") {
		t.Errorf("buildpacks are\n%s", out)
	}
	p.says(t, "loaded", "/", "greetings")
	h.do(t, "delete", "loaded", "--yes")
}
