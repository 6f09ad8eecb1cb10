package cf_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/id"
)

// The buildpacks that transcripts send, by their names.
var packFiles = map[string]map[string]string{
	"words":   {"manifest.yml": "language: words\nstack: cflinuxfs4\n", "bin/detect": "#!/bin/bash", "bin/supply": "#!/bin/bash", "bin/finalize": "#!/bin/bash"},
	"windows": {"manifest.yml": "language: words\nstack: windows\n", "bin/supply": "#!/bin/bash"},
	"plain":   {"bin/compile": "#!/bin/bash"},
	"none":    {"readme": "x"},
}

// packZip is a zip of files by path; a path that ends with @ is a symlink.
func packZip(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		h := &zip.FileHeader{Name: strings.TrimSuffix(name, "@"), Method: zip.Deflate}
		h.SetMode(0o644)
		if strings.HasSuffix(name, "@") {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		f, err := z.CreateHeader(h)
		must(t, err)
		_, err = io.WriteString(f, text)
		must(t, err)
	}
	must(t, z.Close())
	return b.Bytes()
}

// sendPack uploads the bytes of a buildpack.
func (w *world) sendPack(guid, field, filename string, content []byte) (int, map[string]any) {
	w.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile(field, filename)
	must(w.t, err)
	_, err = part.Write(content)
	must(w.t, err)
	must(w.t, form.Close())
	return w.sendForm(guid, form.FormDataContentType(), b.Bytes())
}

func (w *world) sendForm(guid, kind string, body []byte) (int, map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/v3/buildpacks/"+guid+"/upload", bytes.NewReader(body))
	must(w.t, err)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "bearer "+w.token)
	status, _, answer := w.send(req)
	return status, answer
}

// newPack is a buildpack that waits for its files.
func (w *world) newPack(name string) string {
	w.t.Helper()
	b := w.ask(201, "POST", "/v3/buildpacks", fmt.Sprintf(`{"name":%q,"position":1}`, name))
	if b["state"] != "AWAITING_UPLOAD" || b["enabled"] != true || b["locked"] != false || b["filename"] != nil || b["stack"] != nil || b["lifecycle"] != "buildpack" {
		w.t.Fatalf("a new buildpack is %v", b)
	}
	return fmt.Sprint(b["guid"])
}

// uploadJob is how the job of an upload ended.
func (w *world) uploadJob(guid string) (state, title2 string, detail string) {
	w.t.Helper()
	job := w.ask(200, "GET", "/v3/jobs/buildpack.upload~"+guid, "")
	if all, _ := job["errors"].([]any); len(all) > 0 {
		first, _ := all[0].(map[string]any)
		detail = fmt.Sprint(first["detail"])
	}
	return fmt.Sprint(job["state"]), title(job), detail
}

// TestReplayOfBuildpacks sends what real clients sent about buildpacks, with files.
func TestReplayOfBuildpacks(t *testing.T) {
	for _, file := range transcripts(t, "buildpacks") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			w := newWorld(t)
			w.login("admin")
			p := &player{world: w, names: map[string]string{}}
			p.play(t, file, 50, p.packStep)
		})
	}
}

// packStep is step for requests some of which send the files of a buildpack.
func (p *player) packStep(request string, want []string) string {
	rest, files := strings.CutPrefix(request, "upload ")
	if !files {
		return p.step(request, want)
	}
	path, name, _ := strings.Cut(p.filled(rest), " ")
	content := []byte("PK\x03\x04 and nothing more")
	if known := packFiles[name]; known != nil {
		content = packZip(p.t, known)
	}
	status, answer := p.sendPack(strings.Split(path, "/")[3], "bits", strings.TrimSuffix(name, ".zip")+".zip", content)
	if fmt.Sprint(status) != want[0] || len(want) > 1 && title(answer) != want[1] {
		return fmt.Sprintf("got %d %v, want %v", status, answer, want)
	}
	return ""
}

// TestHostileBuildpacks uploads what must not be taken.
func TestHostileBuildpacks(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	ok := func(more map[string]string) map[string]string {
		all := map[string]string{"bin/supply": "#!/bin/bash"}
		for name, text := range more {
			all[name] = text
		}
		return all
	}
	many := map[string]string{}
	for n := range 1001 {
		many[fmt.Sprintf("f%d", n)] = ""
	}
	for name, tc := range map[string]struct {
		content []byte
		title   string
		detail  string
	}{
		"out of the folder":  {packZip(t, ok(map[string]string{"../x": "y"})), "CF-BuildpackZipError", "../x"},
		"absolute":           {packZip(t, ok(map[string]string{"/etc/x": "y"})), "CF-BuildpackZipError", "/etc/x"},
		"a link outwards":    {packZip(t, ok(map[string]string{"etc@": "/etc/passwd"})), "CF-BuildpackZipError", "etc"},
		"a link up":          {packZip(t, ok(map[string]string{"a/up@": "../../x"})), "CF-BuildpackZipError", "a/up"},
		"a bomb":             {packZip(t, ok(map[string]string{"zeros": strings.Repeat("\x00", 2<<20)})), "CF-BuildpackZipError", "MiB"},
		"too many files":     {packZip(t, ok(many)), "CF-BuildpackZipError", "files"},
		"no archive":         {[]byte("hello"), "CF-BuildpackZipError", "no archive"},
		"nothing":            {nil, "CF-BuildpackZipError", "empty"},
		"torn":               {packZip(t, ok(nil))[:40], "CF-BuildpackZipError", "damaged"},
		"no buildpack":       {packZip(t, map[string]string{"bin/detect": "x"}), "CF-BuildpackInvalid", "neither bin/supply"},
		"manifest not YAML":  {packZip(t, ok(map[string]string{"manifest.yml": "stack: [a"})), "CF-BuildpackInvalid", "no YAML"},
		"stack of Windows":   {packZip(t, ok(map[string]string{"manifest.yml": "stack: windows"})), "CF-BuildpackStackDoesNotExist", "windows"},
		"a manifest too big": {packZip(t, ok(map[string]string{"manifest.yml": "a: " + strings.Repeat("x", 900<<10) + strings.Repeat("y", 1<<18)})), "CF-BuildpackZipError", "MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			guid := w.newPack("p-" + id.New())
			if status, answer := w.sendPack(guid, "bits", "p.zip", tc.content); status != 202 {
				t.Fatalf("got %d %v", status, answer)
			}
			state, title2, detail := w.uploadJob(guid)
			if state != "FAILED" || title2 != tc.title || !strings.Contains(detail, tc.detail) {
				t.Errorf("got %s %s: %s, want %s: %s", state, title2, detail, tc.title, tc.detail)
			}
			if b := w.ask(200, "GET", "/v3/buildpacks/"+guid, ""); b["state"] != "AWAITING_UPLOAD" {
				t.Errorf("it is %v", b)
			}
		})
	}

	t.Run("what is ready stays", func(t *testing.T) {
		guid := w.newPack("kept")
		for n, content := range [][]byte{packZip(t, packFiles["plain"]), []byte("junk"), packZip(t, packFiles["plain"])} {
			if status, answer := w.sendPack(guid, "bits", `C:\x\kept.zip`, content); status != 202 {
				t.Fatalf("got %d %v", status, answer)
			}
			want := []string{"COMPLETE", "FAILED", "COMPLETE"}[n]
			if state, _, detail := w.uploadJob(guid); state != want {
				t.Errorf("%d: %s %s", n, state, detail)
			}
			if b := w.ask(200, "GET", "/v3/buildpacks/"+guid, ""); b["state"] != "READY" || b["filename"] != "kept.zip" {
				t.Errorf("%d: it is %v", n, b)
			}
		}
		if status, answer := w.sendPack(guid, "other", "x.zip", nil); status != 422 || !strings.Contains(fmt.Sprint(answer), "must include bits") {
			t.Errorf("without bits: %d %v", status, answer)
		}
		if status, answer := w.sendForm(guid, "application/json", []byte("{}")); status != 422 {
			t.Errorf("no form: %d %v", status, answer)
		}
		// The form ends in the middle of the archive: nobody learns that from the job.
		torn := "--x\r\nContent-Disposition: form-data; name=\"bits\"; filename=\"a.zip\"\r\n\r\nPK\x03\x04 the beginn"
		if status, answer := w.sendForm(guid, "multipart/form-data; boundary=x", []byte(torn)); status != 400 || !strings.Contains(fmt.Sprint(answer), "broken off") {
			t.Errorf("broken off: %d %v", status, answer)
		}
		if state, _, detail := w.uploadJob(guid); state != "COMPLETE" {
			t.Errorf("after one that broke off: %s %s", state, detail)
		}
	})

	t.Run("a folder around it is taken away", func(t *testing.T) {
		guid := w.newPack("wrapped")
		w.sendPack(guid, "bits", "w.zip", packZip(t, map[string]string{"words-1.0/bin/supply": "x", "words-1.0/manifest.yml": "stack: cflinuxfs4"}))
		if state, _, detail := w.uploadJob(guid); state != "COMPLETE" {
			t.Fatal(state, detail)
		}
		if b := w.ask(200, "GET", "/v3/buildpacks/"+guid, ""); b["stack"] != "cflinuxfs4" {
			t.Errorf("it is %v", b)
		}
		w.sendPack(guid, "bits", "w.zip", packZip(t, map[string]string{"bin/supply": "x", "manifest.yml": "stack: cflinuxfs3"}))
		if _, title2, detail := w.uploadJob(guid); title2 != "CF-BuildpackStacksDontMatch" {
			t.Error(title2, detail)
		}
	})
}

// TestChangesOfBuildpacks asks for what a buildpack cannot become.
func TestChangesOfBuildpacks(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	guid := w.newPack("words")
	for body, want := range map[string]string{
		`{"name":"a b"}`:            "letters, digits",
		`{"name":""}`:               "letters, digits",
		`{"position":0}`:            "from 1 on",
		`{"position":-3}`:           "from 1 on",
		`{"stack":"windows"}`:       "does not exist",
		`{"stack":7}`:               "must be a string",
		`{"lifecycle":"cnb"}`:       "Cloud Native",
		`{"lifecycle":"x"}`:         "Lifecycle must be",
		`{"name":"words","stack":}`: "parse error",
	} {
		status, _, answer := w.do("PATCH", "/v3/buildpacks/"+guid, body)
		if status != 422 && status != 400 || !strings.Contains(fmt.Sprint(answer), want) {
			t.Errorf("%s: %d %v, want %s", body, status, answer, want)
		}
	}
	b := w.ask(200, "PATCH", "/v3/buildpacks/"+guid, `{"stack":"cflinuxfs4","metadata":{"labels":{"a":"b"}}}`)
	if b["stack"] != "cflinuxfs4" || !strings.Contains(fmt.Sprint(b["metadata"]), "a:b") {
		t.Errorf("it is %v", b)
	}
	w.ask(422, "POST", "/v3/buildpacks", `{}`)
	w.ask(404, "PATCH", "/v3/buildpacks/nope", `{}`)
	w.ask(404, "DELETE", "/v3/buildpacks/nope", ``)
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.login("dev")
	w.ask(403, "DELETE", "/v3/buildpacks/"+guid, ``)
	w.ask(404, "GET", "/v3/jobs/buildpack.upload~"+guid, ``)
	w.ask(200, "GET", "/v3/buildpacks/"+guid, ``)
}

// TestNamedBuildpacks builds with uploaded buildpacks in place of naru's builders.
func TestNamedBuildpacks(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	settings := func(packs string) (string, string) {
		t.Helper()
		status, _, answer := w.do("POST", "/v3/builds", fmt.Sprintf(`{"package":{"guid":%q},"lifecycle":{"type":"buildpack","data":{"buildpacks":%s,"stack":"cflinuxfs4"}}}`, a.Image, packs))
		if status != 201 {
			return "", fmt.Sprint(answer)
		}
		all, err := w.store.Operations(t.Context(), operationsOf(a.ID))
		must(t, err)
		return string(all[0].Request), ""
	}
	if got, why := settings(`["nodejs_buildpack"]`); !strings.Contains(got, `"builder":"node"`) {
		t.Errorf("before: %s %s", got, why)
	}
	for _, name := range []string{"nodejs_buildpack", "words"} {
		guid := w.newPack(name)
		w.sendPack(guid, "bits", "p.zip", packZip(t, packFiles["plain"]))
	}
	if got, why := settings(`["nodejs_buildpack"]`); !strings.Contains(got, `"buildpacks":["nodejs_buildpack"]`) || strings.Contains(got, `"builder"`) || !strings.Contains(got, `"stack":"cflinuxfs4"`) {
		t.Errorf("uploaded: %s %s", got, why)
	}
	if got, why := settings(`["words","https://git.example.com/a/b.git","nodejs_buildpack"]`); !strings.Contains(got, `"buildpacks":["words","https://git.example.com/a/b.git","nodejs_buildpack"]`) {
		t.Errorf("several: %s %s", got, why)
	}
	if _, why := settings(`["words","go"]`); !strings.Contains(why, "'go' was not uploaded") {
		t.Errorf("with a builder: %s", why)
	}
	if _, why := settings(`["cobol"]`); !strings.Contains(why, "no buildpack 'cobol'") {
		t.Errorf("unknown: %s", why)
	}
	status, _, answer := w.manifest("/v3/spaces/"+string(w.space.ID)+"/actions/apply_manifest", "applications: [{name: x, buildpacks: [words]}]")
	if status != 202 {
		t.Errorf("in a manifest: %d %v", status, answer)
	}
	created, err := w.store.AppNamed(t.Context(), w.space.ID, "x")
	if err != nil && !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	if fmt.Sprint(created.Build.Buildpacks) != "[words]" {
		t.Errorf("kept: %+v", created.Build)
	}
}
