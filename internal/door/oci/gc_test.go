package oci_test

import (
	"errors"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"naru/internal/artifact"
	"naru/internal/door/oci"
	"naru/internal/door/oci/ocitest"
	"naru/internal/fault"
	"naru/internal/secret"
)

func refs(list ...artifact.Ref) iter.Seq2[artifact.Ref, error] {
	return func(yield func(artifact.Ref, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func pushIndex(t testing.TB, host, repository string, idx v1.ImageIndex) artifact.Ref {
	t.Helper()
	ref := artifact.Ref{Repository: repository, Digest: digestOf(t, idx)}
	dst, err := name.ParseReference(ref.At(host))
	must(t, err)
	must(t, remote.WriteIndex(dst, idx, remote.WithAuth(&authn.Basic{Username: "admin", Password: "root pass"})))
	return ref
}

// push stores an image without a tag, as naru does.
func push(t testing.TB, host, repository string, img v1.Image) artifact.Ref {
	t.Helper()
	c := artifact.NewClient(host, artifact.Credentials{User: "admin", Password: secret.New("root pass")}, artifact.ClientOptions{})
	ref, err := c.Push(t.Context(), img, repository)
	must(t, err)
	return ref
}

// whole pulls an image, every layer of it.
func whole(host string, ref artifact.Ref) error {
	img, err := crane.Pull(ref.At(host), as("admin"))
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

// old makes everything garbage that is not needed, however young.
var old = artifact.GCOptions{Young: -time.Minute, UploadAge: -time.Minute}

func TestGCKeepsWhatIsNeeded(t *testing.T) {
	r, host := ocitest.Serve(t, oci.Config{}, users)
	base := image(t)
	onBase := func() v1.Image {
		l, err := random.Layer(3000, "application/vnd.docker.image.rootfs.diff.tar.gzip")
		must(t, err)
		img, err := mutate.AppendLayers(base, l)
		must(t, err)
		return img
	}
	kept, gone := push(t, host, "default/dev/shop", onBase()), push(t, host, "default/dev/shop", onBase())
	elsewhere := push(t, host, "default/dev/other", onBase()) // shares the base's layers
	alone := push(t, host, "default/dev/alone", image(t))
	idx, err := random.Index(500, 2, 2)
	must(t, err)
	index := pushIndex(t, host, "foundations/node", idx)
	tagged := artifact.Ref{Repository: "default/own/mine", Digest: ""}
	own := image(t)
	tagged.Digest = digestOf(t, own)
	must(t, crane.Push(own, host+"/default/own/mine:v1", as("anna")))

	young, err := artifact.GC(t.Context(), r, refs(), artifact.GCOptions{})
	must(t, err)
	if young.Manifests != 0 || young.Blobs != 0 {
		t.Errorf("within the hour: %+v", young)
	}
	before := diskUse(t, r)
	lost := artifact.Ref{Repository: "default/dev/shop", Digest: "sha256:" + strings.Repeat("0", 64)}
	got, err := artifact.GC(t.Context(), r, refs(kept, elsewhere, index, lost), old)
	must(t, err)
	if got.Manifests != 2 || got.Blobs != 3+5 { // layer, config and manifest of gone; all of alone
		t.Errorf("collected %+v", got)
	}
	if !slices.Equal(got.Lost, []artifact.Ref{lost}) {
		t.Errorf("lost %v", got.Lost)
	}
	if freed := before - diskUse(t, r); freed != got.Bytes || freed <= 0 {
		t.Errorf("%d bytes freed on disk, %d reported", freed, got.Bytes)
	}
	for _, ref := range []artifact.Ref{kept, elsewhere, tagged} {
		if err := whole(host, ref); err != nil {
			t.Errorf("%s is needed and damaged: %v", ref, err)
		}
	}
	m, err := idx.IndexManifest()
	must(t, err)
	for _, part := range m.Manifests {
		if err := whole(host, artifact.Ref{Repository: "foundations/node", Digest: part.Digest.String()}); err != nil {
			t.Errorf("a part of a kept index is damaged: %v", err)
		}
	}
	for _, ref := range []artifact.Ref{gone, alone} {
		if err := whole(host, ref); err == nil {
			t.Errorf("%s is still there", ref)
		}
	}
	names, err := crane.Catalog(host, as("admin"))
	must(t, err)
	if slices.Contains(names, "default/dev/alone") || !slices.Contains(names, "default/dev/shop") {
		t.Errorf("catalog %v", names)
	}
	again, err := artifact.GC(t.Context(), r, refs(kept, elsewhere, index), old)
	must(t, err)
	if again.Manifests+again.Blobs != 0 || again.Bytes != 0 {
		t.Errorf("a second collection found %+v", again)
	}

	drop := old
	drop.DropTags = true
	_, err = artifact.GC(t.Context(), r, refs(kept, elsewhere, index), drop)
	must(t, err)
	if err := whole(host, tagged); err == nil {
		t.Error("the tagged image is there although tags were dropped")
	}
	// The registry takes all of it again.
	push(t, host, "default/dev/alone", base)
	must(t, crane.Push(own, host+"/default/own/mine:v1", as("anna")))
	must(t, whole(host, tagged))
}

func diskUse(t testing.TB, r *oci.Registry) (n int64) {
	t.Helper()
	inv, err := r.Inventory(t.Context())
	must(t, err)
	for _, b := range inv.Blobs {
		n += b.Bytes
	}
	return n
}

func TestGCRemovesUploadsGivenUp(t *testing.T) {
	r, host := ocitest.Serve(t, oci.Config{}, users)
	c, scope := client{t, host, "anna"}, "repository:default/own/o:pull,push"
	at := c.do("POST", "/v2/default/own/o/blobs/uploads/", scope, nil).header.Get("Location")
	c.do("PATCH", at, scope, strings.NewReader("half"), "Content-Type", "application/octet-stream")
	got, err := artifact.GC(t.Context(), r, refs(), artifact.GCOptions{Young: -time.Minute})
	must(t, err)
	if got.Uploads != 0 {
		t.Errorf("an upload of today was removed: %+v", got)
	}
	got, err = artifact.GC(t.Context(), r, refs(), old)
	must(t, err)
	if got.Uploads != 1 || got.Bytes < 4 {
		t.Errorf("collected %+v", got)
	}
}

func TestPushDuringGC(t *testing.T) {
	r, host := ocitest.Serve(t, oci.Config{}, users)
	there := push(t, host, "default/dev/shop", image(t))
	c := client{t, host, "anna"}
	scope := "repository:default/dev/shop:pull,push"
	// The iterator runs while changes are held.
	held := func(yield func(artifact.Ref, error) bool) {
		if a := c.do("POST", "/v2/default/dev/shop/blobs/uploads/", scope, nil); a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("an upload during GC: %d %v", a.status, a.header)
		}
		if err := whole(host, there); err != nil {
			t.Errorf("a pull during GC: %v", err)
		}
		if _, err := artifact.GC(t.Context(), r, refs(), old); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second GC: %v", err)
		}
		yield(there, nil)
	}
	_, err := artifact.GC(t.Context(), r, held, old)
	must(t, err)

	// A push and a collection at once: the client's retries carry it through, and
	// nothing pushed is damaged.
	for range 3 {
		done := make(chan error, 1)
		go func() {
			_, err := artifact.GC(t.Context(), r, refs(there), artifact.GCOptions{})
			done <- err
		}()
		ref := pushPatiently(t, host, image(t))
		must(t, <-done)
		must(t, whole(host, ref))
	}
}

// pushPatiently pushes until the registry is not busy, as clients that know
// Retry-After do.
func pushPatiently(t testing.TB, host string, img v1.Image) artifact.Ref {
	t.Helper()
	c := artifact.NewClient(host, artifact.Credentials{User: "admin", Password: secret.New("root pass")}, artifact.ClientOptions{})
	for {
		ref, err := c.Push(t.Context(), img, "default/dev/shop")
		if err == nil {
			return ref
		}
		if !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
}

func TestGCWaitsForChangesUnderWayAndGivesUp(t *testing.T) {
	r, host := ocitest.Serve(t, oci.Config{}, users)
	body, feed := io.Pipe()
	c := client{t, host, "anna"}
	token := c.token("repository:default/own/o:pull,push")
	at := c.send("POST", "/v2/default/own/o/blobs/uploads/", token, nil).header.Get("Location")
	sent := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
			"http://"+host+at+"&digest=sha256:"+strings.Repeat("0", 64), body)
		if err == nil {
			req.Header.Set("Authorization", token)
			req.Header.Set("Content-Type", "application/octet-stream")
			var resp *http.Response
			if resp, err = http.DefaultClient.Do(req); err == nil {
				err = resp.Body.Close()
			}
		}
		sent <- err
	}()
	_, err := feed.Write(make([]byte, 32<<20)) // more than sockets hold, so it is being read: the request is inside
	must(t, err)
	opts := old
	opts.Wait = 50 * time.Millisecond
	_, err = artifact.GC(t.Context(), r, refs(), opts)
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("GC beside an endless upload: %v", err)
	}
	must(t, feed.Close())
	must(t, <-sent)
	_, err = artifact.GC(t.Context(), r, refs(), old)
	must(t, err)
}

func TestGCRemovesNothingWhenItDoesNotKnow(t *testing.T) {
	dir := t.TempDir()
	r, host := ocitest.Serve(t, oci.Config{Dir: dir}, users)
	ref := push(t, host, "default/dev/shop", image(t))
	failing := func(yield func(artifact.Ref, error) bool) { yield(artifact.Ref{}, errors.New("store is gone")) }
	if _, err := artifact.GC(t.Context(), r, failing, old); err == nil {
		t.Error("GC went on without knowing what is needed")
	}
	must(t, whole(host, ref))

	hash := strings.TrimPrefix(ref.Digest, "sha256:")
	manifest := filepath.Join(dir, "docker/registry/v2/blobs/sha256", hash[:2], hash, "data")
	must(t, os.WriteFile(manifest, []byte("{damaged"), 0o600))
	if _, err := artifact.GC(t.Context(), r, refs(ref), old); err == nil {
		t.Error("GC went on over a manifest it could not read")
	}
	inv, err := r.Inventory(t.Context())
	if err == nil {
		t.Errorf("inventory of a damaged shelf: %v", inv)
	}
}

func TestABlobThatWasAskedForStays(t *testing.T) {
	dir := t.TempDir()
	r, host := ocitest.Serve(t, oci.Config{Dir: dir}, users)
	img := image(t)
	ref := push(t, host, "default/dev/shop", img)
	long := time.Now().Add(-48 * time.Hour)
	must(t, filepath.Walk(dir, func(p string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(p, long, long)
	}))
	layers, err := img.Layers()
	must(t, err)
	asked := digestOf(t, layers[0])
	c := client{t, host, "admin"}
	if a := c.do("HEAD", "/v2/default/dev/shop/blobs/"+asked, "repository:default/dev/shop:pull", nil); a.status != 200 {
		t.Fatalf("HEAD: %d", a.status)
	}
	_, err = artifact.GC(t.Context(), r, refs(), artifact.GCOptions{})
	must(t, err)
	inv, err := r.Inventory(t.Context())
	must(t, err)
	if len(inv.Blobs) != 1 || inv.Blobs[0].Digest != asked {
		t.Errorf("left are %v, want the one that was asked for", inv.Blobs)
	}
	if err := whole(host, ref); err == nil {
		t.Error("the image is still there")
	}
}
