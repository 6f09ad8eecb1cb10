package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// holdAgain is how often a file that another holds is asked for: flock has no
// way to wait that a context could end.
const holdAgain = 25 * time.Millisecond

// Held is a file in the making, in the cache's tmp folder. Its lock is the
// kernel's and ends with the process, so a file that nobody holds is what a
// killed process left.
type Held struct{ *os.File }

// Hold opens tmp/NAME, empty, and keeps everybody else from it: other processes
// and other goroutines alike. Where it is held already, Hold waits until it is
// free; waiting, which may be nil, is called once if that takes a while. The
// caller ends with Publish or Discard.
func (c *Client) Hold(ctx context.Context, name string, waiting func()) (*Held, error) {
	path := filepath.Join(c.cfg.Dir, "tmp", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	tick := time.NewTicker(holdAgain)
	defer tick.Stop()
	for tries := 1; ; tries++ {
		h, err := hold(path, os.O_CREATE|os.O_RDWR)
		if err == nil {
			if err := h.Truncate(0); err != nil {
				return nil, errors.Join(err, h.Discard())
			}
			return h, nil
		}
		if !errors.Is(err, errHeld) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if tries == 2 && waiting != nil { // the first time it may have been a mere Sweep
			waiting()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// errHeld says that another holds the file.
var errHeld = errors.New("held by another")

// hold opens and locks a file, or fails with errHeld.
func hold(path string, flags int) (*Held, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// Between opening and locking, the one before may have published or removed
	// the file: then the lock is on what no longer is at the path.
	mine, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(mine, there) {
		return nil, errors.Join(errHeld, f.Close())
	}
	return &Held{f}, nil
}

// Publish moves the finished file to path, whose folder is made when missing,
// and lets go of it; when it fails the file is gone.
func (h *Held) Publish(path string) error {
	err := h.Chmod(0o644)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		// Not synced: whoever reads it checks it, so a file that a power cut
		// emptied is only made again.
		err = os.Rename(h.Name(), path)
	}
	if err != nil {
		return errors.Join(err, h.Discard())
	}
	return h.Close()
}

// Discard removes the file and lets go of it.
func (h *Held) Discard() error { return errors.Join(os.Remove(h.Name()), h.Close()) }

// Sweep removes what processes that were killed left in the making.
func (c *Client) Sweep() error {
	dir := filepath.Join(c.cfg.Dir, "tmp")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		h, herr := hold(filepath.Join(dir, e.Name()), os.O_RDWR)
		switch {
		case herr == nil:
			err = errors.Join(err, h.Discard())
		case !errors.Is(herr, errHeld) && !errors.Is(herr, os.ErrNotExist):
			err = errors.Join(err, herr)
		}
	}
	return err
}
