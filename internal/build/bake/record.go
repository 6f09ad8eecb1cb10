package bake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// record is a finished bake as the cache remembers it. It is written last, so
// whatever it names had been complete.
type record struct {
	Digest  string        `json:"digest"`
	Created time.Time     `json:"created"`
	ABI     string        `json:"abi"`
	Layers  []storedLayer `json:"layers"`
	SBOM    []byte        `json:"sbom"`
	Lacks   []string      `json:"lacks,omitempty"` // warnings about the image, told again
}

// key identifies everything that an image depends on.
func (r *run) key(l Lock) string {
	raw, err := json.Marshal(struct {
		Version     string
		Compression string
		Spec        Spec
		Contents    string
	}{version, string(r.cfg.Compression), r.spec, l.contents()})
	if err != nil {
		panic(err) // strings, numbers and times only
	}
	return hash(raw)
}

func (b *Baker) recordPath(key string) string {
	return filepath.Join(b.cfg.CacheDir, "records", key+".json")
}

// remember keeps a result for the next equal bake.
func (r *run) remember(ctx context.Context, key string, res Result) error {
	rec := record{Digest: res.Digest, ABI: res.ABI, SBOM: res.SBOM, Lacks: r.lacks}
	cfg, err := res.Image.ConfigFile()
	if err != nil {
		return err
	}
	rec.Created = cfg.Created.Time
	layers, err := res.Image.Layers()
	if err != nil {
		return err
	}
	for i, l := range layers {
		c, ok := l.(cacheLayer)
		if !ok {
			return fmt.Errorf("layer %d is not of the cache", i)
		}
		rec.Layers = append(rec.Layers, c.l)
	}
	raw, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return r.keep(ctx, r.recordPath(key), raw)
}

// keep puts a small file into the cache.
func (r *run) keep(ctx context.Context, path string, raw []byte) error {
	h, err := r.fetch.Hold(ctx, "kept-"+filepath.Base(path), nil)
	if err != nil {
		return err
	}
	if _, err := h.Write(raw); err != nil {
		return errors.Join(err, h.Discard())
	}
	return h.Publish(path)
}

// recall returns a remembered result if every layer is still there and is what
// its digest says.
func (r *run) recall(ctx context.Context, key string, lock Lock) (res Result, ok bool) {
	path := r.recordPath(key)
	raw, err := os.ReadFile(path)
	if err != nil {
		return Result{}, false
	}
	var rec record
	if err := json.Unmarshal(raw, &rec); err != nil || len(rec.Layers) == 0 {
		r.forget(ctx, path, "it is unreadable")
		return Result{}, false
	}
	err = r.step("remembered", func() error {
		if err := r.checkLayers(ctx, rec.Layers); err != nil {
			return err
		}
		img, err := r.image(rec.Layers, rec.Created, rec.ABI)
		if err != nil {
			return err
		}
		digest, err := img.Digest()
		if err == nil && digest.String() != rec.Digest {
			err = fmt.Errorf("the image became %s", digest)
		}
		res = Result{Image: img, Digest: rec.Digest, Lock: lock, SBOM: rec.SBOM, ABI: rec.ABI, Remembered: true}
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			r.forget(ctx, path, err.Error())
		}
		return Result{}, false
	}
	for _, what := range rec.Lacks {
		r.warn(ctx, "%s", what)
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // the cache is cleaned by last use
	return res, true
}

// forget removes a record that cannot be used.
func (r *run) forget(ctx context.Context, path, why string) {
	r.warn(ctx, "an equal bake is remembered and cannot be used, so it is baked anew: %s", why)
	_ = os.Remove(path) // one that stays is only refused again
}

func (r *run) checkLayers(ctx context.Context, layers []storedLayer) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range layers {
		g.Go(func() error {
			_, _, err := r.fetch.Blob(ctx, blobOf(l.Digest.String(), l.Size), nil, nil)
			return err
		})
	}
	return g.Wait()
}

// Layers names the layers of a result, lowest first: "base", "packages", "npm",
// "files".
func Layers(img v1.Image) ([]string, error) {
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, h := range cfg.History {
		names = append(names, filepath.Base(h.CreatedBy[len("naru bake "):]))
	}
	return names, nil
}
