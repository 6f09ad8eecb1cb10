package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

// cloud speaks to a platform as the cf client does.
type cloud struct {
	p     *platform
	token string
}

// send sends a request to one of the door's names.
func (c *cloud) send(t *testing.T, name, method, path, kind, body string) (int, http.Header, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+c.p.api+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = name + ".naru.localhost"
	req.Header.Set("Content-Type", kind)
	if c.token == "" {
		req.SetBasicAuth("cf", "")
	} else {
		req.Header.Set("Authorization", "bearer "+c.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if len(text) > 0 && json.Unmarshal(text, &answer) != nil {
		t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	return res.StatusCode, res.Header, answer
}

// ask is a request of JSON that must be taken.
func (c *cloud) ask(t *testing.T, method, path, body string) map[string]any {
	t.Helper()
	status, header, answer := c.send(t, "api", method, path, "application/json", body)
	if status >= 300 {
		t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	if job := header.Get("Location"); job != "" {
		c.until(t, job[strings.Index(job, "/v3/"):], "state", "COMPLETE")
	}
	return answer
}

// until asks again and again until a key of the answer has a value.
func (c *cloud) until(t *testing.T, path, key, want string) (answer map[string]any) {
	t.Helper()
	eventually(t, 3*time.Minute, path+" is "+want, func() error {
		answer = c.ask(t, http.MethodGet, path, "")
		at, _ := answer["status"].(map[string]any)
		if got := fmt.Sprint(answer[key], at[key]); !strings.Contains(got, want) {
			return fmt.Errorf("it is %v", answer)
		}
		return nil
	})
	return answer
}

// droplet uploads a page and has it built.
func (c *cloud) droplet(t *testing.T, app, page string) string {
	t.Helper()
	var bits, form bytes.Buffer
	z := zip.NewWriter(&bits)
	f, err := z.Create("index.html")
	if err == nil {
		_, err = f.Write([]byte(page))
	}
	if err == nil {
		err = z.Close()
	}
	m := multipart.NewWriter(&form)
	var part io.Writer
	if err == nil {
		part, err = m.CreateFormFile("bits", "package.zip")
	}
	if err == nil {
		_, err = part.Write(bits.Bytes())
	}
	if err == nil {
		err = m.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	pack := fmt.Sprint(c.ask(t, "POST", "/v3/packages", `{"type":"bits","relationships":{"app":{"data":{"guid":"`+app+`"}}}}`)["guid"])
	if status, _, answer := c.send(t, "api", "POST", "/v3/packages/"+pack+"/upload", m.FormDataContentType(), form.String()); status != http.StatusOK {
		t.Fatalf("upload: %d %v", status, answer)
	}
	c.until(t, "/v3/packages/"+pack, "state", "READY")
	build := fmt.Sprint(c.ask(t, "POST", "/v3/builds", `{"package":{"guid":"`+pack+`"}}`)["guid"])
	droplet, _ := c.until(t, "/v3/builds/"+build, "state", "STAGED")["droplet"].(map[string]any)
	return fmt.Sprint(droplet["guid"])
}

// TestCloudFoundry plays what the cf client sends for a push, a canary, a rollback
// and a delete.
func TestCloudFoundry(t *testing.T) {
	slow(t)
	t.Parallel()
	p := start(t)
	c := signedIn(t, p)
	first := func(path string) map[string]any {
		all, _ := c.ask(t, "GET", path, "")["resources"].([]any)
		if len(all) == 0 {
			t.Fatalf("%s: nothing", path)
		}
		one, _ := all[0].(map[string]any)
		return one
	}
	space := fmt.Sprint(first("/v3/spaces?names=dev")["guid"])
	const manifest = "applications:\n- name: page\n  memory: 64M\n  buildpacks: [staticfile_buildpack]\n  stack: cflinuxfs4\n  default-route: true\n  env: {A: 1}\n"
	status, header, answer := c.send(t, "api", "POST", "/v3/spaces/"+space+"/actions/apply_manifest", "application/x-yaml", manifest)
	if status != http.StatusAccepted {
		t.Fatalf("the manifest: %d %v", status, answer)
	}
	job := header.Get("Location")
	c.until(t, job[strings.Index(job, "/v3/"):], "state", "COMPLETE")
	app := fmt.Sprint(first("/v3/apps?names=page&space_guids=" + space)["guid"])
	shows := func(want string) {
		t.Helper()
		eventually(t, time.Minute, "the page is "+want, func() error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.apps+"/", nil)
			if err != nil {
				return err
			}
			req.Host = "page.localhost"
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if got, _ := io.ReadAll(res.Body); string(got) != want {
				return fmt.Errorf("it is %d %q", res.StatusCode, got)
			}
			return nil
		})
	}
	c.ask(t, "PATCH", "/v3/apps/"+app+"/relationships/current_droplet", `{"data":{"guid":"`+c.droplet(t, app, "one")+`"}}`)
	c.ask(t, "POST", "/v3/apps/"+app+"/actions/restart", "")
	shows("one")

	deploy := func(more string) string {
		t.Helper()
		return "/v3/deployments/" + fmt.Sprint(c.ask(t, "POST", "/v3/deployments", `{"relationships":{"app":{"data":{"guid":"`+app+`"}}},`+more+`}`)["guid"])
	}
	canary := deploy(`"strategy":"canary","droplet":{"guid":"` + c.droplet(t, app, "two") + `"},"options":{"canary":{"steps":[{"instance_weight":50}]},"memory_in_mb":null}`)
	c.until(t, canary, "reason", "PAUSED")
	c.ask(t, "POST", canary+"/actions/continue", "")
	c.until(t, canary, "reason", "DEPLOYED")
	shows("two")

	revision := fmt.Sprint(first("/v3/apps/" + app + "/revisions?versions=1")["guid"])
	c.until(t, deploy(`"strategy":"rolling","revision":{"guid":"`+revision+`"}`), "reason", "DEPLOYED")
	shows("one")
	c.ask(t, "DELETE", "/v3/apps/"+app, "")
	if all, _ := c.ask(t, "GET", "/v3/apps?names=page", "")["resources"].([]any); len(all) != 0 {
		t.Errorf("there is still %v", all)
	}
}
