package artifact

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// Files reads the files of an image of ours as a tar stream, but for the layers
// that it has from base, a zero Ref for none. A base that is gone leaves nothing
// out. An error in the middle comes from Read.
func (c *Client) Files(ctx context.Context, ref, base Ref) (io.ReadCloser, error) {
	img, err := c.Image(ctx, ref)
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, explain("fetch", ref.String(), c.host, err)
	}
	if !base.IsZero() {
		if layers, err = c.above(ctx, layers, base); err != nil {
			return nil, err
		}
	}
	own, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return mutate.Extract(own), nil
}

// above are those of an image's layers that are not the beginning of base.
func (c *Client) above(ctx context.Context, layers []v1.Layer, base Ref) ([]v1.Layer, error) {
	img, err := c.Image(ctx, base)
	if err != nil {
		return layers, ctx.Err() // it was collected
	}
	below, err := img.Layers()
	if err != nil {
		return layers, ctx.Err()
	}
	for _, b := range below {
		if len(layers) == 0 {
			break
		}
		want, err1 := b.Digest()
		have, err2 := layers[0].Digest()
		if err1 != nil || err2 != nil || want != have {
			break
		}
		layers = layers[1:]
	}
	return layers, nil
}
