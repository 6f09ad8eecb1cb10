//go:build unix

package process

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/run"
)

// maxUnpacked bounds what an image's /app and /home may hold: an archive can
// unpack to anything.
const maxUnpacked = 8 << 30

// unpacked is what stands beside an unpacked image.
type unpacked struct {
	Ref    artifact.Ref `json:"ref"`
	Config v1.Config    `json:"config"`
	Bytes  int64        `json:"bytes"`
}

// Pull fetches an image and unpacks /app and /home of it.
func (d *Driver) Pull(ctx context.Context, img run.Image) error {
	if !strings.HasPrefix(img.Ref.Digest, "sha256:") {
		return fault.New(fault.Invalid, "image", "%s has no digest", img.Ref)
	}
	unlock, err := d.lock(ctx, img.Ref.Digest)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := d.readUnpacked(d.image(img.Ref)); err == nil {
		return nil
	}
	remoteImage, err := fetch(ctx, img)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(d.images(), ".unpack-")
	if err != nil {
		return fmt.Errorf("unpack %s: %w", img.Ref, err)
	}
	if err := d.unpack(remoteImage, img.Ref, tmp); err != nil {
		return errors.Join(fmt.Errorf("unpack %s: %w", img.Ref, err), os.RemoveAll(tmp))
	}
	// A half unpacked one of an earlier life has no description and makes way.
	if err := errors.Join(os.RemoveAll(d.image(img.Ref)), os.Rename(tmp, d.image(img.Ref))); err != nil {
		return errors.Join(fmt.Errorf("unpack %s: %w", img.Ref, err), os.RemoveAll(tmp))
	}
	return nil
}

func fetch(ctx context.Context, img run.Image) (v1.Image, error) {
	ref, err := name.NewDigest(img.Ref.At(img.Host))
	if err != nil {
		return nil, fault.New(fault.Invalid, "image", "%s is not an image: %v", img.Ref, err)
	}
	opts := []remote.Option{remote.WithContext(ctx)}
	if img.Credentials != nil {
		c, err := img.Credentials(ctx)
		if err != nil {
			return nil, fmt.Errorf("credentials of %s: %w", img.Host, err)
		}
		opts = append(opts, remote.WithAuth(&authn.Basic{Username: c.User, Password: c.Password.Reveal()}))
	}
	out, err := remote.Image(ref, opts...)
	var refused *transport.Error
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
		return nil, fault.New(fault.NotFound, "image", "there is no image %s in the registry", img.Ref).WithCause(err)
	}
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", img.Ref, err)
	}
	return out, nil
}

// unpack writes an image's /app and /home below dir, and its description last.
func (d *Driver) unpack(img v1.Image, ref artifact.Ref, dir string) error {
	cfg, err := img.ConfigFile()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // nothing in an archive leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	flat := mutate.Extract(img)
	defer flat.Close()
	size, err := extract(root, tar.NewReader(flat))
	if err != nil {
		return err
	}
	text, err := json.Marshal(unpacked{Ref: ref, Config: cfg.Config, Bytes: size})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "image.json"), text, 0o600)
}

// extract writes the files below app and home of a flat archive.
func extract(root *os.Root, in *tar.Reader) (size int64, err error) {
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		file := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if top, _, _ := strings.Cut(file, "/"); top != "app" && top != "home" {
			continue
		}
		if size += h.Size; size > maxUnpacked {
			return size, fault.New(fault.TooLarge, "image", "/app and /home of the image hold more than %d GiB", maxUnpacked>>30)
		}
		if err := extractOne(root, file, h, in); err != nil {
			return size, fmt.Errorf("%s: %w", file, err)
		}
	}
}

func extractOne(root *os.Root, file string, h *tar.Header, in io.Reader) error {
	if h.Typeflag == tar.TypeDir {
		return root.MkdirAll(file, 0o755)
	}
	if err := root.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		f, err := root.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, h.FileInfo().Mode().Perm()|0o400)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, in)
		return errors.Join(err, f.Close())
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, file)
	case tar.TypeLink:
		return root.Link(strings.TrimPrefix(path.Clean("/"+h.Linkname), "/"), file)
	}
	return nil // devices and pipes have no business in /app
}

func (d *Driver) readUnpacked(dir string) (u unpacked, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "image.json"))
	if err == nil {
		err = json.Unmarshal(text, &u)
	}
	return u, err
}

func (d *Driver) readConfig(ref artifact.Ref) (v1.Config, error) {
	u, err := d.readUnpacked(d.image(ref))
	if err != nil {
		return v1.Config{}, fmt.Errorf("read description of %s: %w", ref, err)
	}
	return u.Config, nil
}

// Images returns the images present.
func (d *Driver) Images(context.Context) ([]run.LocalImage, error) {
	entries, err := os.ReadDir(d.images())
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var out []run.LocalImage
	for _, e := range entries {
		u, err := d.readUnpacked(filepath.Join(d.images(), e.Name()))
		if err != nil {
			continue // being unpacked
		}
		img := run.LocalImage{Ref: u.Ref, Bytes: u.Bytes}
		if info, err := e.Info(); err == nil {
			img.Since = info.ModTime()
		}
		out = append(out, img)
	}
	slices.SortFunc(out, func(a, b run.LocalImage) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
	return out, nil
}

// RemoveImage frees an image.
func (d *Driver) RemoveImage(ctx context.Context, ref artifact.Ref) error {
	unlock, err := d.lock(ctx, ref.Digest)
	if err != nil {
		return err
	}
	defer unlock()
	ids, err := d.ids()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if r, err := d.readRecord(id); err == nil && r.Image == ref {
			return fault.New(fault.Conflict, "image", "instance %s uses %s", id, ref)
		}
	}
	if err := os.RemoveAll(d.image(ref)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}
