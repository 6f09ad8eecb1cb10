package artifact

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"naru/internal/fault"
	"naru/internal/secret"
)

// Credentials open a registry. The zero value is for public images.
type Credentials struct {
	User     string
	Password secret.Secret // or a token
}

func (c Credentials) authenticator() authn.Authenticator {
	if c.Password.IsZero() {
		return authn.Anonymous
	}
	return &authn.Basic{Username: c.User, Password: c.Password.Reveal()}
}

// ClientOptions say how registries are reached. Zero fields mean the default.
type ClientOptions struct {
	Transport http.RoundTripper // http.DefaultTransport: the environment's proxy, the system's certificates
	Arch      string            // of images taken from an index; this machine's
	MaxBytes  int64             // compressed size of an image that is imported; 10 GiB
	Timeout   time.Duration     // of one call of Client; 15 minutes
}

// Defaults of ClientOptions.
const (
	DefaultMaxImageBytes = 10 << 30
	DefaultImageTimeout  = 15 * time.Minute
)

// Client puts images into naru's registry and looks at those in it.
type Client struct {
	host string
	auth authn.Authenticator
	opts ClientOptions
}

// NewClient returns a client of the registry at host ("127.0.0.1:5000"), spoken
// to as the user of the credentials. Loopback is spoken to by plain http.
func NewClient(host string, creds Credentials, opts ClientOptions) *Client {
	opts.Arch = cmp.Or(opts.Arch, runtime.GOARCH)
	opts.MaxBytes = cmp.Or(opts.MaxBytes, DefaultMaxImageBytes)
	opts.Timeout = cmp.Or(opts.Timeout, DefaultImageTimeout)
	if opts.Transport == nil {
		opts.Transport = http.DefaultTransport
	}
	return &Client{host, creds.authenticator(), opts}
}

func (c *Client) options(ctx context.Context, auth authn.Authenticator) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuth(auth), remote.WithTransport(c.opts.Transport),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: c.opts.Arch}), remote.WithUserAgent("naru"),
	}
}

// Push puts an image into a repository, under its digest and no tag. Layers that
// are there are not sent. When it returns, the image is on the registry's disk.
func (c *Client) Push(ctx context.Context, img v1.Image, repository string) (Ref, error) {
	ctx, stop := context.WithTimeout(ctx, c.opts.Timeout)
	defer stop()
	digest, err := img.Digest()
	if err != nil {
		return Ref{}, fmt.Errorf("push to %s: %w", repository, err)
	}
	ref, err := ParseRef(repository + "@" + digest.String())
	if err != nil {
		return Ref{}, err
	}
	dst, err := name.NewDigest(ref.At(c.host), name.StrictValidation)
	if err != nil {
		return Ref{}, fmt.Errorf("push to %s: %w", repository, err)
	}
	if err := remote.Write(dst, img, c.options(ctx, c.auth)...); err != nil {
		return Ref{}, explain("push", ref.String(), dst.RegistryStr(), err)
	}
	return ref, nil
}

// Import copies an image from any registry into a repository of ours, as it is:
// the digest stays. Of an index it takes the image for linux on this machine's
// architecture.
func (c *Client) Import(ctx context.Context, src string, creds Credentials, repository string) (Ref, Config, error) {
	ctx, stop := context.WithTimeout(ctx, c.opts.Timeout)
	defer stop()
	from, err := name.ParseReference(src)
	if err != nil {
		return Ref{}, Config{}, fault.New(fault.Invalid, "image", "%q is not the name of an image", src).
			WithTry("give it as HOST/NAME:TAG or HOST/NAME@sha256:DIGEST, for example docker.io/library/nginx:1")
	}
	img, err := remote.Image(from, c.options(ctx, creds.authenticator())...)
	if err != nil {
		return Ref{}, Config{}, explain("fetch", src, from.Context().RegistryStr(), err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return Ref{}, Config{}, explain("fetch", src, from.Context().RegistryStr(), err)
	}
	if err := c.check(src, img, file); err != nil {
		return Ref{}, Config{}, err
	}
	ref, err := c.Push(ctx, img, repository)
	if err != nil {
		return Ref{}, Config{}, err
	}
	return ref, configOf(file), nil
}

// check refuses what could not run here.
func (c *Client) check(src string, img v1.Image, file *v1.ConfigFile) error {
	if file.OS != "linux" || file.Architecture != c.opts.Arch {
		return fault.New(fault.Invalid, "image", "%s is for %s/%s, this machine runs linux/%s", src,
			cmp.Or(file.OS, "unknown"), cmp.Or(file.Architecture, "unknown"), c.opts.Arch).
			WithTry("build it with --platform linux/%s", c.opts.Arch)
	}
	size, err := layersSize(img)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", src, err)
	}
	if size > c.opts.MaxBytes {
		return fault.New(fault.TooLarge, "image", "%s has %d MiB, at most %d MiB are allowed", src, size>>20, c.opts.MaxBytes>>20).
			WithTry("use a smaller image, or raise registry.max_image_bytes")
	}
	return nil
}

func layersSize(img v1.Image) (size int64, err error) {
	m, err := img.Manifest()
	if err != nil {
		return 0, err
	}
	for _, l := range m.Layers {
		size += l.Size
	}
	return size, nil
}

// Image gives an image of ours; its layers are fetched when they are read.
func (c *Client) Image(ctx context.Context, ref Ref) (v1.Image, error) {
	src, err := name.NewDigest(ref.At(c.host), name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", ref, err)
	}
	img, err := remote.Image(src, c.options(ctx, c.auth)...)
	if err != nil {
		return nil, explain("fetch", ref.String(), c.host, err)
	}
	return img, nil
}

// Inspect reads what an image of ours says about how it is started, and the
// compressed size of its layers in bytes.
func (c *Client) Inspect(ctx context.Context, ref Ref) (Config, int64, error) {
	ctx, stop := context.WithTimeout(ctx, c.opts.Timeout)
	defer stop()
	img, err := c.Image(ctx, ref)
	if err != nil {
		return Config{}, 0, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return Config{}, 0, explain("inspect", ref.String(), c.host, err)
	}
	size, err := layersSize(img)
	if err != nil {
		return Config{}, 0, explain("inspect", ref.String(), c.host, err)
	}
	return configOf(file), size, nil
}
