//go:build linux

package containerd

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"

	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/run"
)

const snapshotter = "overlayfs"

// imagePrefix stands for whatever host an image was fetched from: the registry's
// address changes with the configuration, the image does not.
const imagePrefix = "registry.naru/"

func imageName(ref artifact.Ref) string { return imagePrefix + ref.String() }

// Pull fetches an image, so that a later Start need not.
func (d *Driver) Pull(ctx context.Context, img run.Image) error {
	_, err := d.ensure(d.ctx(ctx), img)
	return err
}

// ensure returns an unpacked image, fetched where it is missing.
func (d *Driver) ensure(ctx context.Context, img run.Image) (*knownImage, error) {
	name := imageName(img.Ref)
	if k := d.known.get(name); k != nil {
		return k, nil
	}
	unlock, err := d.pulls.lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if k := d.known.get(name); k != nil { // somebody else fetched it meanwhile
		return k, nil
	}
	i, err := d.client.GetImage(ctx, name)
	if err == nil {
		var unpacked bool
		if unpacked, err = i.IsUnpacked(ctx, snapshotter); err == nil && !unpacked {
			err = errdefs.ErrNotFound
		}
	}
	if err != nil {
		if i, err = d.pull(ctx, img); err != nil {
			return nil, err
		}
	}
	k, err := know(ctx, i)
	if err != nil {
		return nil, err
	}
	d.known.put(name, k)
	return k, nil
}

func (d *Driver) pull(ctx context.Context, img run.Image) (client.Image, error) {
	authorizer := docker.NewDockerAuthorizer(docker.WithAuthCreds(func(string) (string, string, error) {
		if img.Credentials == nil {
			return "", "", nil
		}
		c, err := img.Credentials(ctx)
		return c.User, c.Password.Reveal(), err
	}), docker.WithAuthClient(http.DefaultClient))
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: docker.ConfigureDefaultRegistries(
		docker.WithPlainHTTP(docker.MatchLocalhost), docker.WithAuthorizer(authorizer),
	)})
	ctx, done, err := d.client.WithLease(ctx)
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", img.Ref, err)
	}
	defer func() { _ = done(ctx) }() // a lease that stays ends by itself
	from := img.Ref.At(img.Host)
	got, err := d.client.Pull(ctx, from, client.WithPullUnpack, client.WithPullSnapshotter(snapshotter), client.WithResolver(resolver))
	switch {
	case errdefs.IsNotFound(err):
		return nil, fault.New(fault.NotFound, "image", "image %s is not in the registry", img.Ref).
			WithTry("push the app again").WithCause(err)
	case err != nil:
		return nil, fmt.Errorf("pull %s: %w", from, err)
	}
	store := d.client.ImageService()
	if _, err := store.Create(ctx, images.Image{Name: imageName(img.Ref), Target: got.Target()}); err != nil && !errdefs.IsAlreadyExists(err) {
		return nil, fmt.Errorf("keep image %s: %w", img.Ref, err)
	}
	if err := store.Delete(ctx, from); err != nil && !errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("keep image %s: %w", img.Ref, err)
	}
	return d.client.GetImage(ctx, imageName(img.Ref))
}

// Images returns the images present.
func (d *Driver) Images(ctx context.Context) ([]run.LocalImage, error) {
	ctx = d.ctx(ctx)
	all, err := d.client.ImageService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var out []run.LocalImage
	for _, i := range all {
		ref, err := artifact.ParseRef(strings.TrimPrefix(i.Name, imagePrefix))
		if err != nil {
			continue
		}
		size, err := i.Size(ctx, d.client.ContentStore(), nil)
		if err != nil {
			size = 0 // being pulled
		}
		out = append(out, run.LocalImage{Ref: ref, Bytes: size, Since: i.CreatedAt})
	}
	slices.SortFunc(out, func(a, b run.LocalImage) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
	return out, nil
}

// RemoveImage frees an image that no instance uses.
func (d *Driver) RemoveImage(ctx context.Context, ref artifact.Ref) error {
	ctx = d.ctx(ctx)
	users, err := d.client.Containers(ctx, "image=="+imageName(ref))
	if err != nil {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	if len(users) > 0 {
		return fault.New(fault.Conflict, "image", "image %s is used by %d instances", ref, len(users))
	}
	d.known.forget(imageName(ref))
	if err := d.client.ImageService().Delete(ctx, imageName(ref), images.SynchronousDelete()); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}
