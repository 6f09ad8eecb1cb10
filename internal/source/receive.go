package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"naru/internal/app"
	"naru/internal/fault"
)

// Received says what an upload brought.
type Received struct {
	Files int   `json:"files"` // contents that were new
	Bytes int64 `json:"bytes"` // their size
}

// Receive reads a tar stream of contents, each entry named by its sha256 in hex.
// What arrived whole stays when the stream breaks, so a second try is shorter;
// receiving the same again changes nothing. When it returns without error,
// everything is on disk.
func (s *Store) Receive(ctx context.Context, space app.SpaceID, r io.Reader) (got Received, err error) {
	dir, err := s.spaceDir(space)
	if err != nil {
		return got, err
	}
	b := s.newBatch(dir)
	defer func() {
		// Also after an error: what is whole is kept.
		err = errors.Join(err, b.flush())
		b.discard()
	}()
	total, entries := int64(0), 0
	for tr := tar.NewReader(reader{ctx, r}); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, brokenUpload(ctx, err)
		}
		if err := s.checkEntry(h, entries, total); err != nil {
			return got, err
		}
		entries++
		total += h.Size
		n, err := s.receiveOne(ctx, b, dir, h, tr)
		if err != nil {
			return got, err
		}
		if n >= 0 {
			got.Files++
			got.Bytes += n
		}
		if b.full() {
			if err := b.flush(); err != nil {
				return got, err
			}
		}
	}
}

// checkEntry judges an entry by its header alone.
func (s *Store) checkEntry(h *tar.Header, entries int, total int64) error {
	switch {
	case h.Typeflag != tar.TypeReg:
		return fault.New(fault.Invalid, "upload", "the entry %q is not a file", h.Name)
	case !hex256.MatchString(h.Name):
		return fault.New(fault.Invalid, "upload", "the entry %q is not named by a sha256 in lower-case hex", h.Name)
	case entries >= s.limits.MaxFiles:
		return tooManyFiles(s.limits)
	case h.Size > s.limits.MaxFile:
		return tooBigFile(h.Name, h.Size, s.limits)
	case h.Size > s.limits.MaxBytes-total:
		return tooManyBytes(s.limits)
	}
	return nil
}

// receiveOne takes one entry in and returns its size, or -1 where the content
// was there before.
func (s *Store) receiveOne(ctx context.Context, b *batch, dir string, h *tar.Header, r io.Reader) (int64, error) {
	if _, err := s.use(dir, h.Name); err == nil {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return 0, brokenUpload(ctx, err)
		}
		return -1, nil
	}
	c, err := b.write(ctx, r, h.Size)
	if err != nil {
		return 0, brokenUpload(ctx, err)
	}
	if c.sha256 != h.Name {
		b.dropLast()
		return 0, fault.New(fault.Invalid, "upload", "the content named %s has the hash %s", h.Name, c.sha256).
			WithTry("push again; a file changed while it was read")
	}
	return c.size, nil
}

// brokenUpload blames the sender for what is not our disk's or the caller's doing.
func brokenUpload(ctx context.Context, err error) error {
	var ours *fs.PathError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("receive: %w", ctx.Err())
	case fault.Of(err).Kind != fault.Internal:
		return err
	case errors.As(err, &ours):
		return fmt.Errorf("receive: %w", err)
	}
	return fault.New(fault.Invalid, "upload", "the upload ended early or is not a tar stream").WithCause(err).
		WithTry("push again; only what is missing is sent")
}
