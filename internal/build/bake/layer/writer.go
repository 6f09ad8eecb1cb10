package layer

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// Compression is how layers are compressed. Both give the same bytes for the
// same input whatever the number of cores.
type Compression string

// The compressions. Zstd is the default: smaller and faster both ways, and read
// by containerd since 1.5 and skopeo since 1.0; Docker before 23 wants Gzip.
const (
	Zstd Compression = "zstd"
	Gzip Compression = "gzip"
)

// gzipBlock is fixed, since the compressed bytes depend on it.
const gzipBlock = 1 << 20

// writer is the chain tar -> hash -> compressor -> hash -> file.
type writer struct {
	tar    *tar.Writer
	plain  *bufio.Writer
	comp   io.WriteCloser
	diff   hash.Hash
	digest hash.Hash
	size   counter
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func newWriter(dst io.Writer, c Compression) (*writer, error) {
	w := &writer{diff: sha256.New(), digest: sha256.New()}
	out := io.MultiWriter(dst, w.digest, &w.size)
	switch c {
	case Zstd, "":
		z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(max(2, runtime.GOMAXPROCS(0))))
		if err != nil {
			return nil, err
		}
		w.comp = z
	case Gzip:
		z, err := pgzip.NewWriterLevel(out, 3)
		if err != nil {
			return nil, err
		}
		if err := z.SetConcurrency(gzipBlock, runtime.GOMAXPROCS(0)); err != nil {
			return nil, err
		}
		w.comp = z
	default:
		return nil, fmt.Errorf("unknown compression %q", c)
	}
	w.plain = bufio.NewWriterSize(io.MultiWriter(w.diff, w.comp), 256<<10)
	w.tar = tar.NewWriter(w.plain)
	return w, nil
}

func (w *writer) finish() (Result, error) {
	if err := errors.Join(w.tar.Close(), w.plain.Flush(), w.comp.Close()); err != nil {
		return Result{}, err
	}
	return Result{
		DiffID: "sha256:" + hex.EncodeToString(w.diff.Sum(nil)),
		Digest: "sha256:" + hex.EncodeToString(w.digest.Sum(nil)),
		Size:   w.size.n,
	}, nil
}

// abort stops the compressor's goroutines; what it wrote is thrown away.
func (w *writer) abort() error {
	_ = w.comp.Close()
	return nil
}
