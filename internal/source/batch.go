package source

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"naru/internal/fault"
)

// A batch makes many small files durable at the price of few waits for the disk:
// contents are written under other names, synced together, renamed, and the
// folders synced. Before flush returns nothing of it is visible.
type batch struct {
	s       *Store
	dir     string // of the space
	pending []content
	bytes   int64 // of pending
}

// content is what was learnt of a stream while it was written.
type content struct {
	temp, sha256, sha1 string
	size               int64
}

// A batch is flushed when it reaches either, so that a broken connection loses
// little and memory stays bounded.
const (
	batchFiles = 4096
	batchBytes = 256 << 20
)

func (s *Store) newBatch(dir string) *batch { return &batch{s: s, dir: dir} }

// errOver says that a stream is longer than it may be.
var errOver = errors.New("longer than allowed")

// write takes a stream of at most limit bytes in. The content becomes visible
// by flush.
func (b *batch) write(ctx context.Context, r io.Reader, limit int64) (content, error) {
	tmp := filepath.Join(b.dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return content{}, onDisk(err)
	}
	f, err := os.CreateTemp(tmp, "in-*")
	if err != nil {
		return content{}, onDisk(err)
	}
	c := content{temp: f.Name()}
	h256, h1 := sha256.New(), sha1.New()
	c.size, err = io.Copy(io.MultiWriter(f, h256, h1), io.LimitReader(reader{ctx, r}, limit+1))
	if err == nil && c.size > limit {
		err = errOver
	}
	if err = errors.Join(err, f.Chmod(0o444), f.Close()); err != nil {
		_ = os.Remove(c.temp) // a sweep finds what stays
		return content{}, onDisk(err)
	}
	c.sha256, c.sha1 = hex.EncodeToString(h256.Sum(nil)), hex.EncodeToString(h1.Sum(nil))
	b.pending = append(b.pending, c)
	b.bytes += c.size
	return c, nil
}

// dropLast forgets the content written last.
func (b *batch) dropLast() {
	last := b.pending[len(b.pending)-1]
	b.pending, b.bytes = b.pending[:len(b.pending)-1], b.bytes-last.size
	_ = os.Remove(last.temp) // a sweep finds what stays
}

// full reports that it is time to flush.
func (b *batch) full() bool { return len(b.pending) >= batchFiles || b.bytes >= batchBytes }

// flush makes everything written visible and durable.
func (b *batch) flush() error {
	if len(b.pending) == 0 {
		return nil
	}
	temps := make([]string, 0, len(b.pending))
	for _, c := range b.pending {
		temps = append(temps, c.temp)
	}
	if err := syncAll(b.dir, temps); err != nil {
		return onDisk(err)
	}
	folders := map[string]bool{b.dir: true, b.s.dir: true}
	for _, c := range b.pending {
		final := blobPath(b.dir, c.sha256)
		folders[filepath.Dir(final)] = true
		if err := os.MkdirAll(filepath.Dir(final), 0o700); err != nil {
			return onDisk(err)
		}
		if err := os.Rename(c.temp, final); err != nil {
			return onDisk(err)
		}
		b.index(c)
	}
	b.pending, b.bytes = nil, 0
	paths := make([]string, 0, len(folders))
	for f := range folders {
		paths = append(paths, f)
	}
	return onDisk(syncAll(b.dir, paths))
}

// index notes the content's other name. It is only a hint for clients that ask
// by SHA-1, so an error costs an upload and nothing else.
func (b *batch) index(c content) {
	link := sha1Path(b.dir, c.sha1)
	if os.MkdirAll(filepath.Dir(link), 0o700) == nil {
		_ = os.Symlink(c.sha256, link)
	}
}

// discard removes what was written and not flushed.
func (b *batch) discard() {
	for _, c := range b.pending {
		_ = os.Remove(c.temp) // a sweep finds what stays
	}
	b.pending, b.bytes = nil, 0
}

// onDisk gives a full disk its own words; other errors pass.
func onDisk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.New(fault.Unavailable, "", "the server's disk is full").WithCause(err).
			WithTry("ask the operator to free space, then push again")
	}
	return err
}

// reader ends a copy when its context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// syncEach syncs files or folders one by one.
func syncEach(paths []string) error {
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("sync %s: %w", p, err)
		}
	}
	return nil
}
