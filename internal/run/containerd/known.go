//go:build linux

package containerd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxKnown bounds the images a driver remembers: a few KiB each.
const maxKnown = 256

// knownImage is an unpacked image with what a start asks of it. That never
// changes, for an image is named by its digest; asking containerd takes some
// twenty calls, a tenth of a start.
type knownImage struct {
	client.Image
	config ocispec.Image
	desc   ocispec.Descriptor // of the configuration
	raw    []byte             // the configuration itself
}

// know reads what a start needs of an image.
func know(ctx context.Context, img client.Image) (*knownImage, error) {
	k := &knownImage{Image: img}
	var err error
	if k.desc, err = img.Config(ctx); err == nil {
		k.raw, err = content.ReadBlob(ctx, img.ContentStore(), k.desc)
	}
	if err == nil {
		err = json.Unmarshal(k.raw, &k.config)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration of image: %w", err)
	}
	return k, nil
}

// Config describes the configuration.
func (k *knownImage) Config(context.Context) (ocispec.Descriptor, error) { return k.desc, nil }

// RootFS returns the digests of the unpacked layers.
func (k *knownImage) RootFS(context.Context) ([]digest.Digest, error) {
	return k.config.RootFS.DiffIDs, nil
}

// ContentStore is containerd's, but for the configuration.
func (k *knownImage) ContentStore() content.Store {
	return configStore{k.Image.ContentStore(), k}
}

type configStore struct {
	content.Store
	image *knownImage
}

func (s configStore) ReaderAt(ctx context.Context, desc ocispec.Descriptor) (content.ReaderAt, error) {
	if desc.Digest != s.image.desc.Digest {
		return s.Store.ReaderAt(ctx, desc)
	}
	return blob{bytes.NewReader(s.image.raw)}, nil
}

// blob is content in memory.
type blob struct{ *bytes.Reader }

func (blob) Close() error { return nil }

// knownImages remembers images by name.
type knownImages struct {
	mu sync.Mutex
	by map[string]*knownImage
}

func (k *knownImages) get(name string) *knownImage {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.by[name]
}

func (k *knownImages) put(name string, img *knownImage) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by == nil || len(k.by) >= maxKnown {
		k.by = map[string]*knownImage{}
	}
	k.by[name] = img
}

func (k *knownImages) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.by, name)
}
