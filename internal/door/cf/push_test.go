package cf_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
)

// form is an upload as clients send it: the files of an archive, and those that
// are known.
func (w *world) form(archive map[string]string, known any) (kind string, body []byte) {
	w.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	if known != nil {
		text, err := json.Marshal(known)
		must(w.t, err)
		must(w.t, m.WriteField("resources", string(text)))
	}
	if archive != nil {
		part, err := m.CreateFormFile("bits", "package.zip")
		must(w.t, err)
		z := zip.NewWriter(part)
		for name, text := range archive {
			f, err := z.Create(name)
			must(w.t, err)
			_, err = io.WriteString(f, text)
			must(w.t, err)
		}
		must(w.t, z.Close())
	}
	must(w.t, m.Close())
	return m.FormDataContentType(), b.Bytes()
}

// upload sends a form for a package.
func (w *world) upload(pack string, archive map[string]string, known any) (int, map[string]any) {
	w.t.Helper()
	kind, body := w.form(archive, known)
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/v3/packages/"+pack+"/upload", bytes.NewReader(body))
	must(w.t, err)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "bearer "+w.token)
	status, _, answer := w.send(req)
	return status, answer
}

// bits is a package of an app that waits for its files.
func (w *world) bits(a app.App) string {
	w.t.Helper()
	p := w.ask(201, "POST", "/v3/packages", fmt.Sprintf(`{"type":"bits","relationships":{"app":{"data":{"guid":%q}}}}`, a.ID))
	if p["state"] != "AWAITING_UPLOAD" {
		w.t.Fatalf("a new package is %v", p)
	}
	return fmt.Sprint(p["guid"])
}

// raw is what a path answers with that is no JSON.
func (w *world) raw(path string) (int, []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	must(w.t, err)
	req.Header.Set("Authorization", "bearer "+w.token)
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(w.t, err)
	return res.StatusCode, body
}

func resourceOf(path, text string) map[string]any {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the client's name for files
	return map[string]any{"path": path, "mode": "644", "checksum": map[string]any{"value": hex.EncodeToString(sum[:])}, "size_in_bytes": len(text)}
}

func TestFromFilesToADroplet(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	pack := w.bits(a)
	if status, answer := w.upload(pack, map[string]string{"index.html": "hi", "a/": "", "a/b.txt": "hello"}, []any{}); status != 200 || answer["state"] != "READY" {
		t.Fatalf("upload: %d %v", status, answer)
	}
	if status, answer := w.upload(pack, map[string]string{"x": "y"}, nil); status != 400 || title(answer) != "CF-PackageBitsAlreadyUploaded" {
		t.Errorf("a second upload: %d %v", status, answer)
	}
	status, body := w.raw("/v3/packages/" + pack + "/download")
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if status != 200 || err != nil || len(z.File) != 2 {
		t.Errorf("download: %d, %v", status, err)
	}

	b := w.ask(201, "POST", "/v3/builds", fmt.Sprintf(`{"package":{"guid":%q}}`, pack))
	b = w.ask(200, "GET", "/v3/builds/"+fmt.Sprint(b["guid"]), "")
	droplet, _ := b["droplet"].(map[string]any)
	if b["state"] != "STAGED" || b["error"] != nil || droplet == nil {
		t.Fatalf("the build is %v", b)
	}
	id := fmt.Sprint(droplet["guid"])
	made := w.ask(200, "GET", "/v3/packages/"+pack+"/droplets?states=STAGED", "")
	if all, _ := made["resources"].([]any); len(all) != 1 {
		t.Errorf("made of the package: %v", made)
	}
	w.ask(200, "PATCH", "/v3/apps/"+string(a.ID)+"/relationships/current_droplet", fmt.Sprintf(`{"data":{"guid":%q}}`, id))
	if now := w.ask(200, "GET", "/v3/apps/"+string(a.ID)+"/droplets/current", ""); now["guid"] != id {
		t.Errorf("the current droplet is %v", now["guid"])
	}
	status, body = w.raw("/v3/droplets/" + id + "/download")
	g, err := gzip.NewReader(bytes.NewReader(body))
	must(t, err)
	if h, err := tar.NewReader(g).Next(); status != 200 || err != nil || h.Name != "app/index.html" {
		t.Errorf("the droplet holds %v, %v", h, err)
	}
	if _, _, answer := w.do("DELETE", "/v3/droplets/"+id, ""); title(answer) != "CF-UnprocessableEntity" {
		t.Errorf("a droplet that is needed was deleted: %v", answer)
	}
	for _, list := range []string{"/v3/builds?app_guids=" + string(a.ID) + "&states=STAGED", "/v3/apps/" + string(a.ID) + "/builds", "/v3/builds?package_guids=" + pack} {
		page, _ := w.ask(200, "GET", list, "")["pagination"].(map[string]any)
		if fmt.Sprint(page["total_results"]) != "1" {
			t.Errorf("%s: %v", list, page)
		}
	}
}

func TestKnownFilesAreNotAskedFor(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	if status, answer := w.upload(w.bits(a), map[string]string{"index.html": "hi", "lib.js": "code"}, nil); status != 200 {
		t.Fatalf("upload: %d %v", status, answer)
	}
	ask := func(files ...any) []any {
		text, err := json.Marshal(map[string]any{"resources": files})
		must(t, err)
		all, _ := w.ask(201, "POST", "/v3/resource_matches", string(text))["resources"].([]any)
		return all
	}
	wrong := resourceOf("x", "code")
	wrong["size_in_bytes"] = 5
	known := ask(resourceOf("index.html", "hi"), resourceOf("other.js", "code"), resourceOf("new", "never seen"), wrong,
		map[string]any{"path": "dir", "mode": "755", "size_in_bytes": 0}, map[string]any{"path": "link", "mode": "120777", "checksum": map[string]any{"value": ""}, "size_in_bytes": 2})
	if len(known) != 2 {
		t.Fatalf("known: %v", known)
	}
	status, answer := w.upload(w.bits(a), nil, known)
	if status != 200 || answer["state"] != "READY" {
		t.Fatalf("an upload of known files alone: %d %v", status, answer)
	}
	if status, answer := w.upload(w.bits(a), nil, []any{resourceOf("x", "nobody has it")}); status != 422 {
		t.Errorf("an upload of what is not known: %d %v", status, answer)
	}
	// What others have is neither told nor taken.
	org, err := w.store.CreateOrg(t.Context(), "other")
	must(t, err)
	space, err := w.store.CreateSpace(t.Context(), org.ID, "dev")
	must(t, err)
	w.user("eve", auth.Grant{Role: auth.SpaceDeveloper, Org: org.ID, Space: space.ID})
	w.login("eve")
	if known := ask(resourceOf("index.html", "hi")); len(known) != 0 {
		t.Errorf("another organisation's files are told of: %v", known)
	}
	mine := w.ask(201, "POST", "/v3/apps", fmt.Sprintf(`{"name":"mine","relationships":{"space":{"data":{"guid":%q}}}}`, space.ID))
	if status, _ := w.upload(w.bits(app.App{ID: app.ID(fmt.Sprint(mine["guid"]))}), nil, []any{resourceOf("index.html", "hi")}); status != 422 {
		t.Errorf("another organisation's file was taken: %d", status)
	}
}

func TestBadUploads(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	for name, tc := range map[string]struct {
		archive map[string]string
		known   any
		state   string
	}{
		"nothing":                {nil, nil, "AWAITING_UPLOAD"},
		"a path that leaves":     {map[string]string{"../x": "y"}, nil, "FAILED"},
		"a file too large":       {map[string]string{"x": strings.Repeat("y", 1<<20+1)}, nil, "FAILED"},
		"no list of files":       {nil, "text", "AWAITING_UPLOAD"},
		"a path twice":           {map[string]string{"index.html": "hello"}, []any{resourceOf("index.html", "hello")}, "FAILED"},
		"a known file that left": {nil, []any{resourceOf("../x", "hello")}, "FAILED"},
	} {
		pack := w.bits(a)
		status, answer := w.upload(pack, tc.archive, tc.known)
		if status != 422 && status != 413 {
			t.Errorf("%s: %d %v", name, status, answer)
		}
		if p := w.ask(200, "GET", "/v3/packages/"+pack, ""); p["state"] != tc.state {
			t.Errorf("%s: the package is %v, want %s", name, p["state"], tc.state)
		}
	}
	docker := w.ask(201, "POST", "/v3/packages", fmt.Sprintf(
		`{"type":"docker","data":{"image":"ghcr.io/x/y:1","username":"u","password":"hush"},"relationships":{"app":{"data":{"guid":%q}}}}`, a.ID))
	if text := fmt.Sprint(docker); docker["state"] != "READY" || strings.Contains(text, "hush") {
		t.Errorf("a package of an image: %v", docker)
	}
	if status, answer := w.upload(fmt.Sprint(docker["guid"]), map[string]string{"x": "y"}, nil); status != 422 {
		t.Errorf("files for an image: %d %v", status, answer)
	}
}

func TestAnUploadBrokenOff(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	pack := w.bits(w.shop("shop"))
	kind, body := w.form(map[string]string{"index.html": strings.Repeat("hi", 1000)}, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	must(t, err)
	_, err = fmt.Fprintf(conn, "POST /v3/packages/%s/upload HTTP/1.1\r\nHost: x\r\nAuthorization: bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		pack, w.token, kind, len(body), body[:len(body)-40])
	must(t, err)
	must(t, conn.(*net.TCPConn).CloseWrite())
	_, err = io.Copy(io.Discard, conn) // until it is answered
	must(t, err)
	must(t, conn.Close())
	if p := w.ask(200, "GET", "/v3/packages/"+pack, ""); p["state"] != "AWAITING_UPLOAD" {
		t.Errorf("after an upload that broke off the package is %v", p["state"])
	}
	if status, answer := w.upload(pack, map[string]string{"index.html": "hi"}, nil); status != 200 {
		t.Errorf("again: %d %v", status, answer)
	}
}

func TestBuildsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	for name, tc := range map[string]struct{ body, want string }{
		"not uploaded":      {fmt.Sprintf(`{"package":{"guid":%q}}`, w.bits(a)), "Bad request: Cannot stage package whose state is not ready."},
		"no package":        {`{"package":{"guid":"none"}}`, "Unable to use package. Ensure that the package exists and you have access to it."},
		"no such buildpack": {fmt.Sprintf(`{"package":{"guid":%q},"lifecycle":{"type":"buildpack","data":{"buildpacks":["cobol"]}}}`, a.Image), "naru has no buildpack 'cobol': it has dockerfile, node,"},
		"cnb":               {fmt.Sprintf(`{"package":{"guid":%q},"lifecycle":{"type":"cnb","data":{}}}`, a.Image), "add a Dockerfile"},
		"docker of files":   {fmt.Sprintf(`{"package":{"guid":%q},"lifecycle":{"type":"docker","data":{}}}`, a.Image), "cannot be built with the lifecycle docker"},
		"an unknown kind":   {fmt.Sprintf(`{"package":{"guid":%q},"lifecycle":{"type":"magic"}}`, a.Image), "Lifecycle type must be one of"},
	} {
		if status, _, answer := w.do("POST", "/v3/builds", tc.body); status < 400 || status >= 500 || !strings.Contains(fmt.Sprint(answer), tc.want) {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	w.stager.fail = fault.New(fault.Failed, "", "the step build of node failed: no such script").WithTry("look at the log above")
	b := w.ask(201, "POST", "/v3/builds", fmt.Sprintf(`{"package":{"guid":%q},"lifecycle":{"type":"buildpack","data":{"buildpacks":["nodejs_buildpack"],"stack":"cflinuxfs4"}}}`, a.Image))
	b = w.ask(200, "GET", "/v3/builds/"+fmt.Sprint(b["guid"]), "")
	if b["state"] != "FAILED" || !strings.Contains(fmt.Sprint(b["error"]), "StagingError - the step build of node failed") {
		t.Errorf("a build that failed: %v", b)
	}
}

func TestPackagesOfOthers(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	pack := w.bits(a)
	built := w.ask(201, "POST", "/v3/builds", fmt.Sprintf(`{"package":{"guid":%q}}`, a.Image))
	org, err := w.store.CreateOrg(t.Context(), "other")
	must(t, err)
	space, err := w.store.CreateSpace(t.Context(), org.ID, "dev")
	must(t, err)
	w.user("eve", auth.Grant{Role: auth.SpaceDeveloper, Org: org.ID, Space: space.ID})
	token := w.token
	w.login("eve")
	for _, path := range []string{"/v3/packages/" + pack, "/v3/packages/" + pack + "/download", "/v3/packages/" + pack + "/droplets", "/v3/droplets/" + a.Image,
		"/v3/droplets/" + a.Image + "/download", "/v3/builds/" + fmt.Sprint(built["guid"]), "/v3/apps/" + string(a.ID) + "/packages", "/v3/apps/" + string(a.ID) + "/builds"} {
		if status, _, answer := w.do("GET", path, ""); status != 404 || title(answer) != "CF-ResourceNotFound" {
			t.Errorf("GET %s: %d %v", path, status, answer)
		}
	}
	if status, answer := w.upload(pack, map[string]string{"x": "y"}, nil); status != 404 {
		t.Errorf("upload for another's app: %d %v", status, answer)
	}
	for path, body := range map[string]string{
		"/v3/packages": fmt.Sprintf(`{"type":"bits","relationships":{"app":{"data":{"guid":%q}}}}`, a.ID),
		"/v3/builds":   fmt.Sprintf(`{"package":{"guid":%q}}`, pack),
	} {
		if status, _, answer := w.do("POST", path, body); status != 422 || !strings.Contains(fmt.Sprint(answer), "you have access to it") {
			t.Errorf("POST %s: %d %v", path, status, answer)
		}
	}
	for _, list := range []string{"/v3/packages", "/v3/droplets", "/v3/builds"} {
		page, _ := w.ask(200, "GET", list, "")["pagination"].(map[string]any)
		if fmt.Sprint(page["total_results"]) != "0" {
			t.Errorf("GET %s shows %v of others", list, page["total_results"])
		}
	}
	w.token = token
}

// The client sends no file of an app that runs an image, and would leave people with
// the words for a request without parts.
func TestFilesForAnAppThatRunsAnImage(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	for lifecycle, want := range map[string]string{"docker": "App 'docker' runs an image", "buildpack": "Upload must include either resources or bits"} {
		a := fmt.Sprint(w.ask(201, "POST", "/v3/apps", fmt.Sprintf(
			`{"name":%q,"lifecycle":{"type":%q,"data":{}},"relationships":{"space":{"data":{"guid":%q}}}}`, lifecycle, lifecycle, w.space.ID))["guid"])
		pack := fmt.Sprint(w.ask(201, "POST", "/v3/packages", fmt.Sprintf(`{"type":"bits","relationships":{"app":{"data":{"guid":%q}}}}`, a))["guid"])
		if status, answer := w.upload(pack, nil, []any{}); status != 422 || !strings.Contains(fmt.Sprint(details(answer)), want) {
			t.Errorf("%s: %d %v", lifecycle, status, answer)
		}
	}
}
