package oci_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"naru/internal/artifact"
	"naru/internal/door/oci"
	"naru/internal/door/oci/ocitest"
)

var users = ocitest.Users{
	"admin": {Password: "root pass", Can: map[string][]string{"": ocitest.All}},
	"anna":  {Password: "s3cret", Can: map[string][]string{"default/dev/": {oci.Pull, oci.Push}, "default/own/": ocitest.All}},
	"bob":   {Password: "hunter2", Can: map[string][]string{"default/bob/": ocitest.All}},
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func as(user string) crane.Option {
	return crane.WithAuth(&authn.Basic{Username: user, Password: users[user].Password})
}

func image(t testing.TB) v1.Image {
	t.Helper()
	img, err := random.Image(2000, 3)
	must(t, err)
	return img
}

func digestOf(t testing.TB, img interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	d, err := img.Digest()
	must(t, err)
	return d.String()
}

func refused(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s was allowed", what)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %q does not say %q", what, err, w)
		}
	}
}

func TestCraneBothWays(t *testing.T) {
	_, host := ocitest.Serve(t, oci.Config{}, users)
	img, repo := image(t), host+"/default/own/shop"
	must(t, crane.Push(img, repo+":v1", as("anna")))
	must(t, crane.Tag(repo+":v1", "v2", as("anna")))
	got, err := crane.Pull(repo+":v2", as("anna"))
	must(t, err)
	if digestOf(t, got) != digestOf(t, img) {
		t.Error("another image came back")
	}
	tags, err := crane.ListTags(repo, as("anna"))
	must(t, err)
	if !slices.Equal(tags, []string{"v1", "v2"}) {
		t.Errorf("tags %v", tags)
	}
	must(t, crane.Delete(repo+"@"+digestOf(t, img), as("anna")))
	_, err = crane.Pull(repo+"@"+digestOf(t, img), as("anna"))
	refused(t, "pull of a deleted image", err, "MANIFEST_UNKNOWN")
}

func TestCatalogShowsWhatOneMayPull(t *testing.T) {
	_, host := ocitest.Serve(t, oci.Config{}, users)
	img := image(t)
	for _, name := range []string{"default/own/a", "default/bob/b", "default/dev/c", "foundations/node"} {
		must(t, crane.Push(img, host+"/"+name+":1", as("admin")))
	}
	for user, want := range map[string][]string{
		"anna":  {"default/dev/c", "default/own/a", "foundations/node"},
		"bob":   {"default/bob/b", "foundations/node"},
		"admin": {"default/bob/b", "default/dev/c", "default/own/a", "foundations/node"},
	} {
		got, err := crane.Catalog(host, as(user))
		must(t, err)
		if !slices.Equal(got, want) {
			t.Errorf("%s sees %v, want %v", user, got, want)
		}
	}
	_, err := crane.Catalog(host, crane.WithAuth(authn.Anonymous))
	refused(t, "the catalog for nobody", err)

	c := client{t, host, "admin"}
	first := c.do("GET", "/v2/_catalog?n=3", "registry:catalog:*", nil)
	if link := first.header.Get("Link"); first.status != 200 || !strings.Contains(link, "last=default%2Fown%2Fa") {
		t.Errorf("first page: %d, Link %q", first.status, link)
	}
	if rest := c.do("GET", "/v2/_catalog?n=3&last=default/own/a", "registry:catalog:*", nil); rest.body != "{\"repositories\":[\"foundations/node\"]}\n" || rest.header.Get("Link") != "" {
		t.Errorf("last page: %s", rest.body)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	_, host := ocitest.Serve(t, oci.Config{}, users)
	img := image(t)
	must(t, crane.Push(img, host+"/default/bob/b:1", as("bob")))
	must(t, crane.Push(img, host+"/default/dev/a:1", as("anna")))
	must(t, crane.Push(img, host+"/foundations/go:1", as("admin")))
	_, err := crane.Pull(host+"/foundations/go:1", as("bob"))
	must(t, err)
	digest := digestOf(t, img)

	_, err = crane.Pull(host+"/default/bob/b:1", as("anna"))
	refused(t, "pull from another space", err, "anna may not pull default/bob/b")
	refused(t, "push to another space", crane.Push(img, host+"/default/bob/b:2", as("anna")), "403")
	refused(t, "push of a foundation", crane.Push(img, host+"/foundations/go:2", as("anna")), "anna may not push foundations/go")
	refused(t, "delete without the right", crane.Delete(host+"/default/dev/a@"+digest, as("anna")), "anna may not delete default/dev/a")
	refused(t, "a name that is none", crane.Push(img, host+"/shop:1", as("admin")), "403")
	refused(t, "a deep foundation", crane.Push(img, host+"/foundations/a/b:1", as("admin")), "403")
	_, err = crane.ListTags(host+"/foundations/a/b", as("admin"))
	refused(t, "a deep foundation", err, "names are ORG/SPACE/APP")
	wrong := crane.WithAuth(&authn.Basic{Username: "anna", Password: "guess"})
	_, err = crane.Pull(host+"/default/dev/a:1", wrong)
	refused(t, "a wrong password", err, "user or password is wrong")
	_, err = crane.Pull(host+"/default/dev/a:1", crane.WithAuth(authn.Anonymous))
	refused(t, "nobody", err, "UNAUTHORIZED")
}

// client speaks to the registry in single requests, with tokens as asked for.
type client struct {
	t    testing.TB
	host string
	user string
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (c client) send(method, path, token string, body io.Reader, headers ...string) answer {
	c.t.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = "http://" + c.host + path
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, target, body)
	must(c.t, err)
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(c.t, err)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (c client) token(scopes ...string) string {
	c.t.Helper()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.user+":"+users[c.user].Password))
	a := c.send("GET", "/v2/token?"+url.Values{"service": {"naru"}, "scope": scopes}.Encode(), basic, nil)
	if a.status != 200 {
		c.t.Fatalf("token: %d %s", a.status, a.body)
	}
	var got struct{ Token string }
	must(c.t, json.Unmarshal([]byte(a.body), &got))
	return "Bearer " + got.Token
}

func (c client) do(method, path, scope string, body io.Reader, headers ...string) answer {
	c.t.Helper()
	return c.send(method, path, c.token(scope), body, headers...)
}

func TestScopesCannotBeRaised(t *testing.T) {
	key := ocitest.Key(t)
	_, host := ocitest.Serve(t, oci.Config{Key: key}, users)
	must(t, crane.Push(image(t), host+"/default/bob/b:1", as("bob")))
	must(t, crane.Push(image(t), host+"/default/dev/a:1", as("anna")))
	anna := client{t, host, "anna"}

	for name, scope := range map[string]string{
		"asked for plainly":       "repository:default/bob/b:pull,push",
		"asked for with a star":   "repository:default/bob/b:*",
		"beside an allowed one":   "repository:default/dev/a:pull repository:default/bob/b:pull",
		"under an invented kind":  "registry:default/bob/b:pull",
		"with a class":            "repository(plugin):default/bob/b:pull",
		"with dots":               "repository:default/dev/../bob/b:pull",
		"with a colon in between": "repository:default/dev/a:pull:repository:default/bob/b:pull",
	} {
		if a := anna.do("GET", "/v2/default/bob/b/manifests/1", scope, nil); a.status != 403 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	a := anna.do("POST", "/v2/default/dev/a/blobs/uploads/", "repository:default/dev/a:pull", nil)
	if c := a.header.Get("WWW-Authenticate"); a.status != 401 || !strings.Contains(c, "insufficient_scope") || !strings.Contains(c, "repository:default/dev/a:pull,push") {
		t.Errorf("push with a token for pull: %d, challenge %q", a.status, c)
	}

	sign := func(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
		claims := jwt.MapClaims{
			"iss": "naru-registry", "aud": "naru", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
			"identity": map[string]any{"name": "bob"},
			"access":   []any{map[string]any{"type": "repository", "name": "default/bob/b", "actions": []string{"pull"}}},
		}
		if change != nil {
			change(claims)
		}
		s, err := jwt.NewWithClaims(method, claims).SignedString(key)
		must(t, err)
		return "Bearer " + s
	}
	same := func(jwt.MapClaims) {}
	if a := anna.send("GET", "/v2/default/bob/b/manifests/1", sign(jwt.SigningMethodES256, key, same), nil); a.status != 200 {
		t.Fatalf("the form of the forged tokens is wrong: %d %s", a.status, a.body)
	}
	for name, token := range map[string]string{
		"another key":         sign(jwt.SigningMethodES256, ocitest.Key(t), same),
		"no signature":        sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, same),
		"a shared secret":     sign(jwt.SigningMethodHS256, []byte("x"), same),
		"ended":               sign(jwt.SigningMethodES256, key, func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }),
		"without an end":      sign(jwt.SigningMethodES256, key, func(c jwt.MapClaims) { delete(c, "exp") }),
		"an API token":        sign(jwt.SigningMethodES256, key, func(c jwt.MapClaims) { c["iss"] = "naru" }),
		"for another service": sign(jwt.SigningMethodES256, key, func(c jwt.MapClaims) { c["aud"] = "api" }),
		"nonsense":            "Bearer x.y.z",
		"basic":               "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:hunter2")),
		"nothing":             "",
	} {
		a := anna.send("GET", "/v2/default/bob/b/manifests/1", token, nil)
		if c := a.header.Get("WWW-Authenticate"); a.status != 401 || !strings.HasPrefix(c, `Bearer realm="http://`+host+`/v2/token",service="naru"`) {
			t.Errorf("%s: %d, challenge %q", name, a.status, c)
		}
	}
}

func TestTheTokenEndpoint(t *testing.T) {
	_, host := ocitest.Serve(t, oci.Config{}, users)
	c := client{t, host, "anna"}
	form := func(v url.Values) answer {
		return c.send("POST", "/v2/token", "", strings.NewReader(v.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	}
	if a := form(url.Values{"grant_type": {"password"}, "username": {"anna"}, "password": {"s3cret"}, "scope": {"repository:default/dev/a:pull"}}); a.status != 200 || !strings.Contains(a.body, "access_token") {
		t.Errorf("a form: %d %s", a.status, a.body)
	}
	for name, tc := range map[string]struct {
		a    answer
		want int
	}{
		"a wrong password in a form": {form(url.Values{"grant_type": {"password"}, "username": {"anna"}, "password": {"x"}}), 401},
		"a refresh token":            {form(url.Values{"grant_type": {"refresh_token"}}), 400},
		"nobody":                     {c.send("GET", "/v2/token", "", nil), 401},
		"an unknown user":            {c.send("GET", "/v2/token", "Basic "+base64.StdEncoding.EncodeToString([]byte("eve:x")), nil), 401},
		"another method":             {c.send("DELETE", "/v2/token", "", nil), 405},
	} {
		if tc.a.status != tc.want || strings.Contains(tc.a.body, "access_token") {
			t.Errorf("%s: %d %s, want %d", name, tc.a.status, tc.a.body, tc.want)
		}
	}
	if a := c.do("GET", "/v2/", "", nil); a.status != 200 {
		t.Errorf("a login check: %d %s", a.status, a.body)
	}
}

func TestMountNeedsPullOnTheSource(t *testing.T) {
	_, host := ocitest.Serve(t, oci.Config{}, users)
	img := image(t)
	must(t, crane.Push(img, host+"/default/bob/b:1", as("bob")))
	must(t, crane.Push(img, host+"/default/own/o:1", as("anna")))
	layers, err := img.Layers()
	must(t, err)
	layer := digestOf(t, layers[0])
	anna := client{t, host, "anna"}
	mount := func(from, scope string) answer {
		return anna.do("POST", "/v2/default/dev/a/blobs/uploads/?mount="+layer+"&from="+from, scope, nil)
	}
	const dev = "repository:default/dev/a:pull,push"
	// What may not be read has to be sent, as the specification has it: pushers of
	// what came from another registry give up when they are refused.
	for _, from := range []string{"default/bob/b", "library/nothing", "site", "default/own/x/y"} {
		if a := mount(from, dev+" repository:"+from+":pull"); a.status != 202 {
			t.Errorf("mount from %s: %d %s", from, a.status, a.body)
		}
		if a := anna.do("HEAD", "/v2/default/dev/a/blobs/"+layer, dev, nil); a.status != 404 {
			t.Errorf("the layer is there after a mount from %s: %d", from, a.status)
		}
	}
	if a := anna.do("POST", "/v2/default/bob/b/blobs/uploads/?mount="+layer+"&from=default/bob/b", "repository:default/bob/b:pull,push", nil); a.status != 403 {
		t.Errorf("a mount into what is another's: %d %s", a.status, a.body)
	}
	if a := mount("default/own/o", dev); a.status != 401 {
		t.Errorf("mount without the scope: %d", a.status)
	}
	if a := mount("default/own/o", dev+" repository:default/own/o:pull"); a.status != 201 {
		t.Errorf("mount of what one may pull: %d %s", a.status, a.body)
	}
	// A repository must not be mistaken for another's by a form in the body.
	body := strings.NewReader(url.Values{"mount": {layer}, "from": {"default/bob/b"}}.Encode())
	if a := anna.do("POST", "/v2/default/dev/b/blobs/uploads/", "repository:default/dev/b:pull,push", body, "Content-Type", "application/x-www-form-urlencoded"); a.status == 201 {
		t.Errorf("mount by a form: %d %s", a.status, a.body)
	}
}

func TestLayersHaveALimit(t *testing.T) {
	_, host := ocitest.Serve(t, oci.Config{MaxLayerBytes: 1 << 20}, users)
	big, err := random.Image(2<<20, 1)
	must(t, err)
	refused(t, "a layer over the limit", crane.Push(big, host+"/default/own/big:1", as("anna")), "limit of 1 MiB")

	// In pieces, each below the limit.
	c, scope := client{t, host, "anna"}, "repository:default/own/big:pull,push"
	at := c.do("POST", "/v2/default/own/big/blobs/uploads/", scope, nil).header.Get("Location")
	piece := bytes.Repeat([]byte("x"), 700<<10)
	first := c.do("PATCH", at, scope, bytes.NewReader(piece), "Content-Type", "application/octet-stream")
	if first.status != 202 {
		t.Fatalf("first piece: %d %s", first.status, first.body)
	}
	second := c.do("PATCH", first.header.Get("Location"), scope, bytes.NewReader(piece), "Content-Type", "application/octet-stream")
	if second.status != 413 || !strings.Contains(second.body, "limit of 1 MiB") {
		t.Errorf("second piece: %d %s", second.status, second.body)
	}
}

func TestBlobsAndNeededImagesCannotBeDeleted(t *testing.T) {
	var kept []artifact.Ref
	_, host := ocitest.Serve(t, oci.Config{Kept: func(context.Context) iter.Seq2[artifact.Ref, error] { return refs(kept...) }}, users)
	child := image(t)
	idx, err := random.Index(100, 1, 2)
	must(t, err)
	repo := host + "/default/own/o"
	must(t, crane.Push(child, repo+":1", as("anna")))
	pushIndex(t, host, "default/own/o", idx)
	m, err := idx.IndexManifest()
	must(t, err)
	part := m.Manifests[0].Digest.String()
	kept = []artifact.Ref{{Repository: "default/own/o", Digest: digestOf(t, idx)}}

	refused(t, "deleting a needed index", crane.Delete(repo+"@"+digestOf(t, idx), as("anna")), "a release needs")
	refused(t, "deleting a part of it", crane.Delete(repo+"@"+part, as("anna")), "a release needs")
	must(t, crane.Delete(repo+"@"+digestOf(t, child), as("anna")))
	kept = nil
	must(t, crane.Delete(repo+"@"+part, as("anna")))
	a := client{t, host, "anna"}.do("DELETE", "/v2/default/own/o/blobs/"+part, "repository:default/own/o:delete", nil)
	if a.status != 405 {
		t.Errorf("deleting a blob: %d %s", a.status, a.body)
	}
}

func TestAnUploadGoesOnAfterARestart(t *testing.T) {
	dir, key := t.TempDir(), ocitest.Key(t)
	scope, content := "repository:default/own/o:pull,push", []byte("hello")
	_, host := ocitest.Serve(t, oci.Config{Dir: dir, Key: key}, users)
	c := client{t, host, "anna"}
	at := c.do("POST", "/v2/default/own/o/blobs/uploads/", scope, nil).header.Get("Location")
	at = c.do("PATCH", at, scope, bytes.NewReader(content[:2]), "Content-Type", "application/octet-stream").header.Get("Location")

	_, host = ocitest.Serve(t, oci.Config{Dir: dir, Key: key}, users)
	c.host = host
	u, err := url.Parse(at)
	must(t, err)
	rest := c.do("PATCH", u.RequestURI(), scope, bytes.NewReader(content[2:]), "Content-Type", "application/octet-stream")
	u, err = url.Parse(rest.header.Get("Location"))
	must(t, err)
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	must(t, err)
	if a := c.do("PUT", u.RequestURI()+"&digest="+digest.String(), scope, nil); a.status != 201 {
		t.Errorf("end of the upload: %d %s", a.status, a.body)
	}
	if a := c.do("GET", "/v2/default/own/o/blobs/"+digest.String(), scope, nil); a.body != "hello" {
		t.Errorf("the blob is %q", a.body)
	}
}

func TestSkopeoBothWays(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed: apt-get install skopeo")
	}
	_, host := ocitest.Serve(t, oci.Config{}, users)
	img := image(t)
	must(t, crane.Push(img, host+"/default/own/a:1", as("anna")))
	home := t.TempDir()
	skopeo := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "skopeo", append([]string{"--insecure-policy"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := skopeo(args...)
		if err != nil {
			t.Fatalf("skopeo %v: %v\n%s", args, err, out)
		}
		return out
	}
	layout := "oci:" + filepath.Join(home, "layout") + ":x"
	run("copy", "--src-tls-verify=false", "--src-creds=anna:s3cret", "docker://"+host+"/default/own/a:1", layout)
	run("copy", "--dest-tls-verify=false", "--dest-creds=anna:s3cret", layout, "docker://"+host+"/default/own/b:2")
	// From one repository to another, which mounts.
	run("copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--src-creds=anna:s3cret", "--dest-creds=anna:s3cret",
		"docker://"+host+"/default/own/b:2", "docker://"+host+"/default/dev/c:3")
	if out := run("list-tags", "--tls-verify=false", "--creds=anna:s3cret", "docker://"+host+"/default/dev/c"); !strings.Contains(out, `"3"`) {
		t.Errorf("tags: %s", out)
	}
	run("inspect", "--tls-verify=false", "--creds=anna:s3cret", "docker://"+host+"/default/own/b:2")
	run("delete", "--tls-verify=false", "--creds=anna:s3cret", "docker://"+host+"/default/own/b:2")
	for name, args := range map[string][]string{
		"a wrong password":    {"--dest-creds=anna:nope", layout, "docker://" + host + "/default/own/x:1"},
		"another one's space": {"--dest-creds=anna:s3cret", layout, "docker://" + host + "/default/bob/x:1"},
		"no credentials":      {layout, "docker://" + host + "/default/own/x:1"},
	} {
		if out, err := skopeo(append([]string{"copy", "--dest-tls-verify=false"}, args...)...); err == nil {
			t.Errorf("skopeo with %s was let in: %s", name, out)
		}
	}
}

func BenchmarkPush(b *testing.B) {
	_, host := ocitest.Serve(b, oci.Config{}, users)
	for i := 0; b.Loop(); i++ {
		img, err := random.Image(1<<20, 3)
		must(b, err)
		must(b, crane.Push(img, fmt.Sprintf("%s/default/own/bench:%d", host, i), as("anna")))
	}
}
