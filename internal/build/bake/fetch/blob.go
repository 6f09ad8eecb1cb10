package fetch

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"naru/internal/fault"
)

// Blob is content known by its hash.
type Blob struct {
	Algorithm string // "sha256" or "sha512"
	Hex       string
	Size      int64 // exact; 0 where it is not known
	Max       int64 // refuse more than this; 0 means Size, which must then be given
}

func (b Blob) hasher() (hash.Hash, error) {
	var h hash.Hash
	switch b.Algorithm {
	case "sha256":
		h = sha256.New()
	case "sha512":
		h = sha512.New()
	default:
		return nil, fmt.Errorf("unknown hash %q", b.Algorithm)
	}
	if raw, err := hex.DecodeString(b.Hex); err != nil || len(raw) != h.Size() {
		return nil, fault.New(fault.Invalid, "", "%q is not a %s hash", b.Hex, b.Algorithm)
	}
	return h, nil
}

func (b Blob) limit() int64 {
	if b.Max == 0 || b.Size != 0 && b.Size < b.Max {
		return b.Size
	}
	return b.Max
}

// Path is where the blob is kept once it has been fetched.
func (c *Client) Path(b Blob) string {
	return filepath.Join(c.cfg.Dir, "blobs", b.Algorithm, b.Hex)
}

// Blob returns the path of a blob, from the cache if it is there and unharmed,
// else from the first of the addresses that has it. progress, which may be nil,
// hears of bytes as they arrive; from is that address, "" for the cache.
func (c *Client) Blob(ctx context.Context, b Blob, addresses []string, progress func(n int)) (path, from string, err error) {
	if _, err := b.hasher(); err != nil {
		return "", "", err
	}
	path = c.Path(b)
	if c.sound(ctx, path, b) {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // the cache is cleaned by last use; losing this only cleans sooner
		return path, "", nil
	}
	h, err := c.Hold(ctx, b.Algorithm+"-"+b.Hex, nil)
	if err != nil {
		return "", "", err
	}
	if _, err := os.Stat(path); err == nil && c.sound(ctx, path, b) {
		return path, "", h.Discard() // another has fetched it meanwhile
	}
	if from, err = c.first(ctx, h, b, addresses, progress); err != nil {
		return "", "", errors.Join(err, h.Discard())
	}
	return path, from, h.Publish(path)
}

// first fetches from the first of the addresses that has the blob.
func (c *Client) first(ctx context.Context, h *Held, b Blob, addresses []string, progress func(int)) (from string, err error) {
	if len(addresses) == 0 {
		return "", fault.New(fault.Unavailable, "", "%s:%s is not in the cache and has no address", b.Algorithm, b.Hex)
	}
	for _, from = range addresses {
		err = c.retry(ctx, from, func() error { return c.download(ctx, from, h, b, progress) })
		if err == nil {
			return from, nil
		}
		if !Missing(err) {
			break
		}
	}
	return "", unreachable(from, err)
}

// sound says whether the cached file is what its name says; a damaged one is
// removed, to be fetched again.
func (c *Client) sound(ctx context.Context, path string, b Blob) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	h, err := b.hasher()
	if err != nil {
		return false
	}
	n, err := io.Copy(h, f)
	if err == nil && (b.Size == 0 || n == b.Size) && hex.EncodeToString(h.Sum(nil)) == b.Hex {
		return true
	}
	c.log.WarnContext(ctx, "cached file is damaged, fetching it again", "path", path)
	_ = os.Remove(path)
	return false
}

// download writes what an address answers into an emptied file, and checks it.
func (c *Client) download(ctx context.Context, address string, to *Held, b Blob, progress func(int)) error {
	r, _, err := c.get(ctx, address, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := to.Truncate(0); err != nil {
		return err
	}
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h, err := b.hasher()
	if err != nil {
		return err
	}
	limit := b.limit()
	n, err := io.Copy(io.MultiWriter(to, h), &counted{io.LimitReader(r, limit+1), progress})
	if err != nil {
		return err
	}
	if n > limit && b.Size == 0 {
		return fault.New(fault.TooLarge, "", "%s is larger than the %d bytes allowed", address, limit)
	}
	if n > limit {
		return b.wrong(address, fmt.Sprintf("more than %d bytes", limit))
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != b.Hex || b.Size != 0 && n != b.Size {
		return b.wrong(address, fmt.Sprintf("%s %s and %d bytes", b.Algorithm, got, n))
	}
	return nil
}

// wrong says what an address has and should have.
func (b Blob) wrong(address, has string) error {
	promised := b.Algorithm + " " + b.Hex
	if b.Size != 0 {
		promised += fmt.Sprintf(" and %d bytes", b.Size)
	}
	return fault.New(fault.Invalid, "from.mirror", "%s has %s, but %s were promised", address, has, promised).
		WithTry("the mirror is damaged or being updated: try again later or name another under from.mirror")
}

type counted struct {
	r    io.Reader
	tell func(int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.tell != nil && n > 0 {
		c.tell(n)
	}
	return n, err
}
