package bake

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"naru/internal/build/bake/layer"
)

// The labels of a foundation's image.
const (
	LabelFoundation   = "naru.foundation"
	LabelABI          = "naru.abi"
	LabelDistribution = "naru.distribution"
)

// defaultPath is the PATH of every foundation.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// storedLayer is one layer as it is remembered: enough to make a v1.Layer of
// the file in the cache.
type storedLayer struct {
	Name        string            `json:"name"`
	Digest      v1.Hash           `json:"digest"`
	DiffID      v1.Hash           `json:"diff_id"`
	Size        int64             `json:"size"`
	Compression layer.Compression `json:"compression"`
	path        string
}

var _ v1.Layer = cacheLayer{}

type cacheLayer struct{ l storedLayer }

func (c cacheLayer) Digest() (v1.Hash, error) { return c.l.Digest, nil }
func (c cacheLayer) DiffID() (v1.Hash, error) { return c.l.DiffID, nil }
func (c cacheLayer) Size() (int64, error)     { return c.l.Size, nil }

func (c cacheLayer) Compressed() (io.ReadCloser, error) { return os.Open(c.l.path) }

func (c cacheLayer) MediaType() (types.MediaType, error) {
	if c.l.Compression == layer.Gzip {
		return types.OCILayer, nil
	}
	return types.OCILayerZStd, nil
}

func (c cacheLayer) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(c.l.path)
	if err != nil {
		return nil, err
	}
	if c.l.Compression == layer.Gzip {
		g, err := gzip.NewReader(f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return both{g, f}, nil
	}
	z, err := zstd.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return both{z.IOReadCloser(), f}, nil
}

// image puts layers and configuration together; it depends on nothing else.
func (r *run) image(layers []storedLayer, created time.Time, abi string) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var adds []mutate.Addendum
	for _, l := range layers {
		l.path = r.fetch.Path(blobOf(l.Digest.String(), l.Size))
		media, _ := cacheLayer{l}.MediaType()
		adds = append(adds, mutate.Addendum{
			Layer: cacheLayer{l}, MediaType: media,
			History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "naru bake " + l.Name},
		})
	}
	img, err := mutate.Append(img, adds...)
	if err != nil {
		return nil, fmt.Errorf("append layers: %w", err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.Architecture, cfg.OS = r.spec.From.Architecture, "linux"
	cfg.Created = v1.Time{Time: created}
	cfg.Config = v1.Config{
		User: r.spec.uid(), WorkingDir: r.spec.Workdir, Env: r.environment(),
		Entrypoint: r.spec.Entrypoint, Cmd: r.spec.Cmd,
		Labels: map[string]string{
			LabelFoundation: r.spec.Foundation, LabelABI: abi, LabelDistribution: "debian-" + r.spec.From.Distribution,
			"org.opencontainers.image.title": r.spec.Foundation,
		},
	}
	if r.spec.Description != "" {
		cfg.Config.Labels["org.opencontainers.image.description"] = r.spec.Description
	}
	return mutate.ConfigFile(img, cfg)
}

func (r *run) environment() []string {
	env := maps.Clone(r.spec.Env)
	if env == nil {
		env = map[string]string{}
	}
	if env["PATH"] == "" {
		env["PATH"] = defaultPath
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		all = append(all, k+"="+env[k])
	}
	return all
}

// result makes the image and its bill of materials of what was unpacked.
func (m *making) result() (Result, error) {
	var stored []storedLayer
	created := time.Unix(0, 0).UTC()
	for _, l := range m.layers {
		digest, err := v1.NewHash(l.Result.Digest)
		if err != nil {
			return Result{}, err
		}
		diff, err := v1.NewHash(l.Result.DiffID)
		if err != nil {
			return Result{}, err
		}
		stored = append(stored, storedLayer{Name: l.Name, Digest: digest, DiffID: diff, Size: l.Result.Size, Compression: m.cfg.Compression})
		if l.Result.Newest.After(created) {
			created = l.Result.Newest
		}
	}
	res := Result{Lock: m.lock, ABI: m.spec.abi(m.lock)}
	var err error
	if res.Image, err = m.image(stored, created, res.ABI); err != nil {
		return Result{}, err
	}
	digest, err := res.Image.Digest()
	if err != nil {
		return Result{}, err
	}
	res.Digest = digest.String()
	res.SBOM, err = m.sbom(res.Digest, created)
	return res, err
}

// abiOf says how each part of an ABI is read off a lock; "" when it is not in.
var abiOf = map[string]func(Lock) string{
	"glibc": func(l Lock) string { return upTo(l.deb("libc6"), "-") },
	"node": func(l Lock) string {
		for _, p := range l.Npm {
			if p.IsNode() {
				return upTo(p.Version, ".")
			}
		}
		return upTo(l.deb("nodejs"), ".")
	},
	"python": func(l Lock) string {
		major, rest, _ := strings.Cut(l.deb("python3"), ".")
		if rest == "" {
			return ""
		}
		minor, _, _ := strings.Cut(rest, ".")
		return major + "." + minor
	},
	"java": func(l Lock) string {
		for _, p := range l.Packages {
			if rest, ok := strings.CutPrefix(p.Name, "openjdk-"); ok && strings.Contains(rest, "jre-headless") {
				return upTo(rest, "-")
			}
		}
		return ""
	},
}

func upTo(s, sep string) string {
	before, _, _ := strings.Cut(s, sep)
	return before
}

// deb is the version of a package, "" when it is not in the lock.
func (l Lock) deb(name string) string {
	for _, p := range l.Packages {
		if p.Name == name {
			return p.Version
		}
	}
	return ""
}

// abi is what must be equal between build and run, "node=22,glibc=2.41".
func (s Spec) abi(l Lock) string {
	names := s.ABI
	if len(names) == 0 {
		names = []string{"node", "python", "java", "glibc"}
	}
	var parts []string
	for _, n := range names {
		if v := abiOf[n](l); v != "" {
			parts = append(parts, n+"="+v)
		}
	}
	return strings.Join(parts, ",")
}
