package source

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"naru/internal/fault"
)

// Checkout writes the tree of a snapshot into dir, which must exist and be
// empty. Files are copied (by reference where the filesystem can), never hard
// linked: whoever works in the checkout must not be able to change what is
// frozen. Nothing is written outside dir, whatever the tree says.
func (s *Store) Checkout(ctx context.Context, snap Snapshot, dir string) error {
	m, err := s.Load(ctx, snap.Space, snap.Digest)
	if err != nil {
		return err
	}
	spaceDir, err := s.spaceDir(snap.Space)
	if err != nil {
		return err
	}
	if err := mustBeEmpty(dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("check out %s: %w", snap.Digest, err)
	}
	defer root.Close()
	for parent := range parents(m) {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return fmt.Errorf("check out %s: %w", parent, onDisk(err))
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, f := range m {
		if f.IsLink() {
			continue
		}
		g.Go(func() error {
			if err := copyOut(gctx, root, blobPath(spaceDir, f.SHA256), f); err != nil {
				return fmt.Errorf("check out %s: %w", f.Path, onDisk(err))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// Links last, so that no file is written through one.
	for _, f := range m {
		if f.IsLink() {
			if err := root.Symlink(filepath.FromSlash(f.Link), f.Path); err != nil {
				return fmt.Errorf("check out %s: %w", f.Path, onDisk(err))
			}
		}
	}
	return nil
}

func mustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("check out: %w", err)
	}
	if len(entries) > 0 {
		return fault.New(fault.Conflict, "", "%s is not empty", dir)
	}
	return nil
}

// parents lists the folders of a tree that hold files.
func parents(m Manifest) map[string]bool {
	dirs := map[string]bool{}
	for _, f := range m {
		if d := path.Dir(f.Path); d != "." {
			dirs[d] = true
		}
	}
	return dirs
}

func copyOut(ctx context.Context, root *os.Root, from string, f File) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := root.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, in)
	if err == nil && n != f.Size {
		err = fmt.Errorf("the stored content has %d bytes, not %d", n, f.Size)
	}
	if err := errors.Join(err, out.Chmod(f.Mode), out.Close()); err != nil {
		return err
	}
	t := contentTime(f.SHA256)
	return root.Chtimes(f.Path, t, t)
}

// contentTime is the modification time of a checked-out file: one second for
// all, with nanoseconds from the content. The same tree checks out the same
// every time, yet builders that compare size and time (BuildKit does) see a file
// whose content changed but not its size.
func contentTime(hash string) time.Time {
	var b [4]byte
	_, _ = hex.Decode(b[:], []byte(hash[:8])) // checked hex; a zero time would do no harm
	return time.Date(2000, 1, 1, 0, 0, 0, int(binary.BigEndian.Uint32(b[:])%1_000_000_000), time.UTC)
}
