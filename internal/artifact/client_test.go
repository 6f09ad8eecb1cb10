package artifact_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/door/oci"
	"naru/internal/door/oci/ocitest"
	"naru/internal/fault"
	"naru/internal/secret"
)

var (
	users = ocitest.Users{"naru": {Password: "pw", Can: map[string][]string{"": ocitest.All}}}
	creds = artifact.Credentials{User: "naru", Password: secret.New("pw")}
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// imageFor makes an image with a configuration worth reading.
func imageFor(t testing.TB, arch string) v1.Image {
	t.Helper()
	img, err := random.Image(1000, 2)
	must(t, err)
	file, err := img.ConfigFile()
	must(t, err)
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", arch
	file.Config = v1.Config{
		Entrypoint: []string{"/run"}, Cmd: []string{"serve"}, Env: []string{"A=1", "B=x=y", "C"}, User: "1000", WorkingDir: "/srv",
		ExposedPorts: map[string]struct{}{"3000/tcp": {}, "3001/udp": {}}, Labels: map[string]string{"l": "v"}, StopSignal: "SIGINT",
	}
	img, err = mutate.ConfigFile(img, file)
	must(t, err)
	return img
}

func digest(t testing.TB, img interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	d, err := img.Digest()
	must(t, err)
	return d.String()
}

func TestPushAndInspect(t *testing.T) {
	_, host := ocitest.Serve(t, oci.Config{}, users)
	c := artifact.NewClient(host, creds, artifact.ClientOptions{})
	img := imageFor(t, "amd64")
	ref, err := c.Push(t.Context(), img, "default/dev/shop")
	must(t, err)
	if ref.Repository != "default/dev/shop" || ref.Digest != digest(t, img) {
		t.Errorf("ref %s", ref)
	}
	again, err := c.Push(t.Context(), img, "default/dev/shop")
	must(t, err)
	if again != ref {
		t.Errorf("a second push gave %s", again)
	}
	got, size, err := c.Inspect(t.Context(), ref)
	must(t, err)
	if size < 2000 || got.User != "1000" || got.StopSignal != "SIGINT" || got.Env["B"] != "x=y" || got.Env["C"] != "" ||
		got.WorkingDir != "/srv" || !slices.Equal(got.ExposedPorts, []int{3000}) || !slices.Equal(got.Entrypoint, []string{"/run"}) {
		t.Errorf("config %+v, %d bytes", got, size)
	}
	ref.Digest = "sha256:" + strings.Repeat("0", 64)
	if _, _, err := c.Inspect(t.Context(), ref); !fault.Is(err, fault.NotFound) {
		t.Errorf("inspect of nothing: %v", err)
	}
	if _, err := c.Push(t.Context(), img, "Bad Name"); !fault.Is(err, fault.Invalid) {
		t.Errorf("push to a bad name: %v", err)
	}
}

func TestImport(t *testing.T) {
	_, host := ocitest.Serve(t, oci.Config{}, users)
	_, theirs := ocitest.Serve(t, oci.Config{}, ocitest.Users{"eve": {Password: "her password", Can: map[string][]string{"": ocitest.All}}})
	amd, arm := imageFor(t, "amd64"), imageFor(t, "arm64")
	idx := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	put := func(tag string, write func(name.Reference) error) string {
		ref, err := name.ParseReference(theirs + "/pub/lib/x:" + tag)
		must(t, err)
		must(t, write(ref))
		return ref.String()
	}
	auth := remote.WithAuth(&authn.Basic{Username: "eve", Password: "her password"})
	index := put("index", func(r name.Reference) error { return remote.WriteIndex(r, idx, auth) })
	armOnly := put("arm", func(r name.Reference) error { return remote.Write(r, arm, auth) })

	c := artifact.NewClient(host, creds, artifact.ClientOptions{Arch: "amd64"})
	eve := artifact.Credentials{User: "eve", Password: secret.New("her password")}
	ref, config, err := c.Import(t.Context(), index, eve, "default/dev/shop")
	must(t, err)
	if ref.Digest != digest(t, amd) || config.User != "1000" {
		t.Errorf("imported %s, config %+v", ref, config)
	}
	if _, _, err := c.Inspect(t.Context(), ref); err != nil {
		t.Errorf("the import is not here: %v", err)
	}
	byDigest, _, err := c.Import(t.Context(), theirs+"/pub/lib/x@"+digest(t, idx), eve, "default/dev/shop")
	must(t, err)
	if byDigest != ref {
		t.Errorf("by digest: %s", byDigest)
	}

	small := artifact.NewClient(host, creds, artifact.ClientOptions{Arch: "amd64", MaxBytes: 10})
	riscv := artifact.NewClient(host, creds, artifact.ClientOptions{Arch: "riscv64"})
	for what, tc := range map[string]struct {
		c     *artifact.Client
		src   string
		creds artifact.Credentials
		kind  fault.Kind
		says  string
	}{
		"a bad name":             {c, "not a name!", eve, fault.Invalid, "not the name of an image"},
		"another machine's":      {c, armOnly, eve, fault.Invalid, "is for linux/arm64"},
		"no image in the index":  {riscv, index, eve, fault.Invalid, "no image for this machine"},
		"no such tag":            {c, theirs + "/pub/lib/x:nope", eve, fault.NotFound, "there is no image"},
		"no credentials":         {c, index, artifact.Credentials{}, fault.Denied, "does not let us fetch"},
		"wrong credentials":      {c, index, artifact.Credentials{User: "eve", Password: secret.New("wr0ng")}, fault.Denied, "does not let us"},
		"nobody there":           {c, "127.0.0.1:1/a/b:c", eve, fault.Unavailable, "cannot be reached"},
		"too big":                {small, index, eve, fault.TooLarge, "at most"},
		"our own place is wrong": {c, index, eve, fault.Denied, "does not let us push"},
	} {
		dst := "default/dev/shop"
		if what == "our own place is wrong" {
			dst = "shop"
		}
		_, _, err := tc.c.Import(t.Context(), tc.src, tc.creds, dst)
		if !fault.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: error %v, want %s: %s", what, err, tc.kind, tc.says)
		}
		if err != nil && (strings.Contains(err.Error(), "wr0ng") || strings.Contains(err.Error(), "her password")) {
			t.Errorf("%s: the password shows: %v", what, err)
		}
	}
}

func TestProcessesOf(t *testing.T) {
	for what, tc := range map[string]struct {
		ports []int
		want  int
	}{
		"none":    {nil, 8080},
		"one":     {[]int{3000}, 3000},
		"several": {[]int{80, 443}, 8080},
	} {
		got := artifact.ProcessesOf(artifact.Config{ExposedPorts: tc.ports})
		if len(got) != 1 || got[0].Type != app.Web || got[0].Port != tc.want || got[0].Command != nil {
			t.Errorf("%s: %+v, want port %d", what, got, tc.want)
		}
	}
}
