package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// played sends what the cf client, v9, sends for a push of a folder without a
// manifest, in its order; v8 sends the same.
type played struct {
	url, token, space string
}

// resource is a file as the client names it.
type resource struct {
	Path     string            `json:"path"`
	Mode     string            `json:"mode"`
	Checksum map[string]string `json:"checksum"`
	Size     int64             `json:"size_in_bytes"`
}

// answer is what the client reads of answers.
type answer struct {
	GUID      string           `json:"guid"`
	State     string           `json:"state"`
	Error     string           `json:"error"`
	Errors    []map[string]any `json:"errors"`
	Token     string           `json:"access_token"`
	Droplet   *answer          `json:"droplet"`
	Resources []struct {
		resource
		GUID string `json:"guid"`
	} `json:"resources"`
}

// login takes an API token in place of a password, and the space.
func (p *played) login(ctx context.Context, token string) error {
	form := url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {token}}
	in, _, err := p.send(ctx, http.MethodPost, "/login/oauth/token", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	p.token = in.Token
	spaces, err := p.get(ctx, "/v3/spaces?names=dev")
	if err == nil && len(spaces.Resources) != 1 {
		err = fmt.Errorf("there are %d spaces named dev", len(spaces.Resources))
	}
	if err != nil {
		return err
	}
	p.space = spaces.Resources[0].GUID
	return nil
}

func (p *played) push(ctx context.Context, app, folder string) error {
	manifest := "applications:\n- name: " + app + "\n  default-route: true\n"
	_, header, err := p.send(ctx, http.MethodPost, "/v3/spaces/"+p.space+"/actions/apply_manifest", "application/x-yaml", strings.NewReader(manifest))
	if err != nil {
		return err
	}
	if job, err := p.get(ctx, strings.TrimPrefix(header.Get("Location"), p.url)); err != nil || job.State != "COMPLETE" {
		return fmt.Errorf("manifest: %s %v %w", job.State, job.Errors, err)
	}
	named := "/v3/apps?names=" + app + "&space_guids=" + p.space
	apps, err := p.get(ctx, named)
	if err != nil || len(apps.Resources) != 1 {
		return fmt.Errorf("%d apps: %w", len(apps.Resources), err)
	}
	id := apps.Resources[0].GUID
	droplet, err := p.droplet(ctx, named, id, folder)
	if err != nil {
		return err
	}
	for _, step := range []struct{ method, path, body string }{
		{"GET", "/v3/droplets/" + droplet, ""},
		{"PATCH", "/v3/apps/" + id + "/relationships/current_droplet", `{"data":{"guid":"` + droplet + `"}}`},
		{"POST", "/v3/apps/" + id + "/actions/restart", ""},
		{"GET", "/v3/apps/" + id + "/processes", ""},
		{"GET", "/v3/processes/" + id + "/stats", ""}, // until one runs
		{"GET", named, ""}, // from here on for what the client prints
		{"GET", "/v3/apps/" + id + "/processes", ""},
		{"GET", "/v3/processes/" + id, ""},
		{"GET", "/v3/processes/" + id + "/sidecars", ""},
		{"GET", "/v3/processes/" + id + "/stats", ""},
		{"GET", "/v3/apps/" + id + "/routes", ""},
		{"GET", "/v3/apps/" + id + "/droplets/current", ""},
		{"GET", "/v3/deployments?app_guids=" + id + "&order_by=-created_at&page=1&per_page=1&status_values=ACTIVE", ""},
	} {
		if _, _, err := p.send(ctx, step.method, step.path, "application/json", strings.NewReader(step.body)); err != nil {
			return err
		}
	}
	return nil
}

// droplet uploads what is not known of a folder and has it built.
func (p *played) droplet(ctx context.Context, named, id, folder string) (string, error) {
	files, err := resources(folder)
	if err != nil {
		return "", err
	}
	known, err := p.post(ctx, "/v3/resource_matches", map[string]any{"resources": files})
	if err != nil {
		return "", err
	}
	pack, err := p.post(ctx, "/v3/packages", map[string]any{"type": "bits", "relationships": map[string]any{"app": map[string]any{"data": map[string]string{"guid": id}}}})
	if err != nil {
		return "", err
	}
	sent, form, err := upload(folder, files, known)
	if err != nil {
		return "", err
	}
	if pack, _, err = p.send(ctx, http.MethodPost, "/v3/packages/"+pack.GUID+"/upload", form, sent); err != nil {
		return "", err
	}
	for pack.State != "READY" {
		if pack, err = p.get(ctx, "/v3/packages/"+pack.GUID); err != nil || pack.State == "FAILED" {
			return "", fmt.Errorf("package %s: %w", pack.State, err)
		}
	}
	build, err := p.post(ctx, "/v3/builds", map[string]any{"package": map[string]string{"guid": pack.GUID}})
	if err != nil {
		return "", err
	}
	stop := p.readLogs(ctx, named, id)
	defer stop()
	if build, err = p.get(ctx, "/v3/builds/"+build.GUID); err != nil || build.Droplet == nil {
		return "", fmt.Errorf("build %s %s: %w", build.State, build.Error, err)
	}
	return build.Droplet.GUID, nil
}

// readLogs reads the output of a build beside it, as the client does.
func (p *played) readLogs(ctx context.Context, named, id string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		since := time.Now().UnixNano()
		for _, path := range []string{named, "/api/v1/info", fmt.Sprint("/api/v1/read/", id, "?descending=true&limit=1&start_time=-6795364578871345152")} {
			if _, err := p.get(ctx, path); err != nil {
				return // the build says what is wrong
			}
		}
		for {
			if _, err := p.get(ctx, fmt.Sprint("/api/v1/read/", id, "?envelope_types=LOG&start_time=", since)); err != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(250 * time.Millisecond): // the client's
			}
		}
	})
	return func() { cancel(); reading.Wait() }
}

// resources are the files of a folder.
func resources(folder string) (out []resource, err error) {
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		sum := sha1.Sum(text)
		rel, _ := filepath.Rel(folder, path) // it is below
		out = append(out, resource{rel, "644", map[string]string{"value": hex.EncodeToString(sum[:])}, int64(len(text))})
		return err
	})
	return out, err
}

// upload is the form with the files that are known by name and the others in a zip.
func upload(folder string, files []resource, known answer) (io.Reader, string, error) {
	var body, packed bytes.Buffer
	matched := []resource{}
	have := map[string]bool{}
	for _, k := range known.Resources {
		matched, have[k.Path] = append(matched, k.resource), true
	}
	z := zip.NewWriter(&packed)
	for _, f := range files {
		if have[f.Path] {
			continue
		}
		w, err := z.Create(f.Path)
		if err != nil {
			return nil, "", err
		}
		text, err := os.ReadFile(filepath.Join(folder, f.Path))
		if err != nil {
			return nil, "", err
		}
		_, _ = w.Write(text) // into memory
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	form := multipart.NewWriter(&body)
	names, err := json.Marshal(matched)
	if err != nil {
		return nil, "", err
	}
	_ = form.WriteField("resources", string(names)) // into memory, as what follows
	if len(matched) < len(files) {
		part, _ := form.CreateFormFile("bits", "package.zip")
		_, _ = part.Write(packed.Bytes())
	}
	return &body, form.FormDataContentType(), form.Close()
}

func (p *played) get(ctx context.Context, path string) (answer, error) {
	a, _, err := p.send(ctx, http.MethodGet, path, "", http.NoBody)
	return a, err
}

func (p *played) post(ctx context.Context, path string, in any) (answer, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return answer{}, err
	}
	a, _, err := p.send(ctx, http.MethodPost, path, "application/json", bytes.NewReader(body))
	return a, err
}

func (p *played) send(ctx context.Context, method, path, kind string, body io.Reader) (a answer, header http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, body)
	if err != nil {
		return a, nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if p.token != "" {
		req.Header.Set("Authorization", "bearer "+p.token)
	}
	if strings.HasPrefix(path, "/login/") {
		req.SetBasicAuth("cf", "")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 400 {
		err = fmt.Errorf("%s %s: %s %s", method, path, res.Status, text)
	}
	if err == nil && len(text) > 0 && !strings.HasPrefix(path, "/api/v1/") {
		_ = json.Unmarshal(text, &a) // what is no JSON has nothing that is read
	}
	return a, res.Header, err
}
