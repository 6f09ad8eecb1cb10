package client

import (
	"bytes"
	"context"
	"net/http"
	"time"
)

// Foundation is an image that builds stand on.
type Foundation struct {
	Name      string    `json:"name" doc:"with version: node:22"`
	Ref       string    `json:"ref" doc:"repository@digest in naru's registry"`
	Digest    string    `json:"digest"`
	ABI       string    `json:"abi,omitempty" doc:"what must be equal between build and run"`
	Bytes     int64     `json:"bytes" doc:"compressed size of all layers"`
	Lock      string    `json:"lock" doc:"digest of the lock file that it was baked from"`
	SBOM      string    `json:"sbom,omitempty" doc:"digest of what lists its contents"`
	CreatedAt time.Time `json:"created_at"`
}

// BakeResult is the result of a bake that was done.
type BakeResult struct {
	Name   string   `json:"name"`
	Ref    string   `json:"ref" doc:"repository@digest"`
	Same   bool     `json:"same,omitempty" doc:"the same image as before came out"`
	Reused bool     `json:"reused,omitempty" doc:"nothing had to be done"`
	Took   Duration `json:"took"`
}

// Foundations lists the foundations.
func (c *Client) Foundations(ctx context.Context) ([]Foundation, error) {
	l, err := list[Foundation](ctx, c, "/v1/foundations", nil)
	return l.Items, err
}

// Foundation returns a foundation by name.
func (c *Client) Foundation(ctx context.Context, name string) (f Foundation, err error) {
	err = c.get(ctx, join("/v1/foundations", name), nil, &f)
	return f, err
}

// FoundationLock returns the lock file of a foundation.
func (c *Client) FoundationLock(ctx context.Context, name string) ([]byte, error) {
	return c.bytes(ctx, join("/v1/foundations", name, "lock"))
}

// FoundationSBOM returns what is in a foundation, as CycloneDX JSON.
func (c *Client) FoundationSBOM(ctx context.Context, name string) ([]byte, error) {
	return c.bytes(ctx, join("/v1/foundations", name, "sbom"))
}

// Bake makes a foundation of a specification in YAML. Its result is a
// BakeResult.
func (c *Client) Bake(ctx context.Context, spec []byte) (o Operation, err error) {
	err = c.post(ctx, "/v1/foundations", BakeRequest{string(spec)}, &o)
	return o, err
}

// BakeRequest is a foundation to be baked.
type BakeRequest struct {
	Spec string `json:"spec" minLength:"1" maxLength:"1048576" doc:"the foundation's YAML"`
}

// bytes fetches a document as it is.
func (c *Client) bytes(ctx context.Context, path string) ([]byte, error) {
	res, err := c.send(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // read to its end or of no use
	var b bytes.Buffer
	err = copyWhole(&b, res)
	return b.Bytes(), err
}
