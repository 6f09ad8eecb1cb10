// Package inflate undoes the compressions that Debian's archives use: xz, zstd
// and gzip, chosen by the name's ending.
package inflate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// Inflater opens compressed streams. The zero value needs nothing from the
// host; XZ names a program to use for xz, which on the machines measured is 1.6
// times as fast as the Go reader (83 against 52 MB/s of output on one core).
type Inflater struct {
	XZ string // path of xz; empty uses the reader in Go
}

// Host returns an Inflater that uses the host's xz where there is one.
func Host() Inflater {
	p, err := exec.LookPath("xz")
	if err != nil {
		return Inflater{}
	}
	return Inflater{XZ: p}
}

// Known says whether name has an ending that Open understands.
func Known(name string) bool {
	switch path.Ext(name) {
	case ".xz", ".zst", ".gz", ".tar", "":
		return true
	}
	return false
}

// Open returns the plain bytes of r, whose compression is told by the ending of
// name. Close must be called; it stops a decompressor that was not read to its
// end.
func (i Inflater) Open(ctx context.Context, name string, r io.Reader) (io.ReadCloser, error) {
	switch path.Ext(name) {
	case ".xz":
		if i.XZ != "" {
			return startXZ(ctx, i.XZ, r)
		}
		x, err := xz.NewReader(r, 64<<20) // a dictionary above 64 MiB is not Debian's
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", name, err)
		}
		return io.NopCloser(x), nil
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", name, err)
		}
		return z.IOReadCloser(), nil
	case ".gz":
		g, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", name, err)
		}
		return g, nil
	case ".tar", "":
		return io.NopCloser(r), nil
	default:
		return nil, fmt.Errorf("open %s: unknown compression %q", name, path.Ext(name))
	}
}

// process is a running xz: reading ends with its verdict, so that a corrupt
// stream is an error and not merely short.
type process struct {
	cmd    *exec.Cmd
	out    io.ReadCloser
	errs   *bytes.Buffer
	stop   context.CancelFunc
	waited bool
	err    error
}

func startXZ(ctx context.Context, bin string, r io.Reader) (*process, error) {
	ctx, stop := context.WithCancel(ctx)
	p := &process{errs: &bytes.Buffer{}, stop: stop}
	p.cmd = exec.CommandContext(ctx, bin, "--decompress", "--stdout", "--threads=0", "--memlimit-mt-decompress=128MiB", "--memlimit-decompress=128MiB")
	p.cmd.Stdin = r
	p.cmd.Stderr = p.errs
	p.cmd.Env = []string{} // XZ_OPT and XZ_DEFAULTS are the operator's, not ours
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		stop()
		return nil, err
	}
	p.out = out
	if err := p.cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	return p, nil
}

func (p *process) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if errors.Is(err, io.EOF) {
		if werr := p.wait(); werr != nil {
			return n, werr
		}
	}
	return n, err
}

func (p *process) Close() error {
	p.stop()
	_ = p.wait() // killed on purpose unless it was read to the end, which Read reported
	return nil
}

func (p *process) wait() error {
	if p.waited {
		return p.err
	}
	p.waited = true
	if err := p.cmd.Wait(); err != nil {
		p.err = fmt.Errorf("xz: %w: %s", err, strings.TrimSpace(p.errs.String()))
	}
	return p.err
}
