package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"naru/internal/disk"
	"naru/internal/fault"
)

// The ballast is a file beside the database that takes room for nothing. On a
// full disk it gives a part back before each write that needs it, so that what
// is under way can be ended and what makes room can be asked for; when there is
// room again it is filled up.
const (
	ballastBytes = 8 << 20
	ballastPiece = 1 << 20   // given back at a time, so that whoever fills the disk does not get all of it
	tight        = 512 << 10 // free on the disk, below which a piece is given back
)

type ballast struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex // guards what follows
	have  int64      // bytes in it
	tried time.Time  // last time it was to be filled up
	short bool       // a part of it was given back
}

// newBallast finds what there is and fills it up where there is room.
func newBallast(path string, log *slog.Logger) *ballast {
	b := &ballast{path: path, log: log}
	if info, err := os.Stat(path); err == nil {
		b.have = info.Size()
	}
	b.makeRoom()
	b.refill(time.Now())
	return b
}

// makeRoom gives a piece back when the disk is full. It is called before a
// write, not after one that failed: a transaction cannot be repeated for its
// caller.
func (b *ballast) makeRoom() {
	room, err := disk.Of(b.path)
	if errors.Is(err, os.ErrNotExist) {
		return // nothing to give
	}
	if err != nil || room.Free >= tight {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.have == 0 {
		return
	}
	left := max(0, b.have-ballastPiece)
	if err := os.Truncate(b.path, left); err != nil {
		b.log.Error("give back room for the store", "error", err)
		return
	}
	if !b.short {
		b.log.Warn("the disk is full: the store lives on its reserve", "reserve", b.path)
	}
	b.have, b.short = left, true
}

// spare refuses what may wait while the disk is full, so that it does not use up
// the room made for what must be written.
func (b *ballast) spare() *fault.Error {
	dir := filepath.Dir(b.path)
	if room, err := disk.Of(dir); err == nil && room.Free < tight+ballastPiece {
		return disk.Error(dir)
	}
	return nil
}

// refill takes room again when there is twice as much as it needs. It looks once
// in a while: the call stands in the way of every write.
func (b *ballast) refill(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.have >= ballastBytes || now.Sub(b.tried) < time.Second {
		return
	}
	b.tried = now
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return // full still, or worse, which the database will say
	}
	defer f.Close()
	room, err := disk.Of(b.path)
	if err != nil || room.Free < 2*(ballastBytes-b.have) {
		return
	}
	err = allocate(f, ballastBytes)
	if err != nil {
		b.log.Warn("keep room for the store", "error", err)
		_ = f.Truncate(b.have) // as it was: it is given back, not lost
		return
	}
	if b.short {
		b.log.Info("the store has its reserve of the disk again", "reserve", b.path)
	}
	b.have, b.short = ballastBytes, false
}

func (e sqliteEngine) makeRoom() { e.ballast.makeRoom() }

func (e sqliteEngine) spare(context.Context) error {
	if f := e.ballast.spare(); f != nil {
		return fmt.Errorf("write what may wait: %w", f)
	}
	return nil
}

func (e sqliteEngine) refill() { e.ballast.refill(time.Now()) }

// fill writes a file full of what no file system packs into less.
func fill(f *os.File, bytes int64) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.CopyN(f, rand.Reader, bytes); err != nil {
		return err
	}
	return f.Sync()
}
