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
// hears of bytes as they arrive; fetched says whether the network was needed.
func (c *Client) Blob(ctx context.Context, b Blob, addresses []string, progress func(n int)) (path string, fetched bool, err error) {
	if _, err := b.hasher(); err != nil {
		return "", false, err
	}
	path = c.Path(b)
	if c.sound(ctx, path, b) {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // the cache is cleaned by last use; losing this only cleans sooner
		return path, false, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", false, err
	}
	var last error
	for _, a := range addresses {
		last = c.retry(ctx, a, func() error { return c.download(ctx, a, path, b, progress) })
		if last == nil {
			return path, true, nil
		}
		if !Missing(last) {
			return "", false, unreachable(a, last)
		}
	}
	if last == nil {
		return "", false, fault.New(fault.Unavailable, "", "%s:%s is not in the cache and has no address", b.Algorithm, b.Hex)
	}
	return "", false, unreachable(addresses[len(addresses)-1], last)
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

func (c *Client) download(ctx context.Context, address, path string, b Blob, progress func(int)) (err error) {
	r, _, err := c.get(ctx, address, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := c.Temp("blob")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	h, err := b.hasher()
	if err != nil {
		return err
	}
	limit := b.limit()
	n, err := io.Copy(io.MultiWriter(f, h), &counted{io.LimitReader(r, limit+1), progress})
	if err != nil {
		return err
	}
	if n > limit {
		return fault.New(fault.TooLarge, "", "%s is larger than the %d bytes allowed", address, limit)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != b.Hex || b.Size != 0 && n != b.Size {
		return fault.New(fault.Invalid, "from.mirror", "%s has %s %s and %d bytes, but %s and %d bytes were promised",
			address, b.Algorithm, got, n, b.Hex, b.Size).
			WithTry("the mirror is damaged or being updated: try again later or name another under from.mirror")
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// Not synced: whoever reads it checks the hash, so a file that a power cut
	// emptied is only fetched again.
	return os.Rename(f.Name(), path)
}

// Temp makes a file beside the cache, so that renaming into it is atomic.
func (c *Client) Temp(kind string) (*os.File, error) {
	dir := filepath.Join(c.cfg.Dir, "tmp")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.CreateTemp(dir, kind+"-*")
}

// Sweep removes what bakes that were killed left behind.
func (c *Client) Sweep(olderThan time.Duration, now time.Time) error {
	dir := filepath.Join(c.cfg.Dir, "tmp")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if info, ierr := e.Info(); ierr == nil && now.Sub(info.ModTime()) > olderThan {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
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
