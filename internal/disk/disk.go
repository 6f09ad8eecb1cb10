// Package disk says how full a disk is, and keeps a part of it from those who
// may wait.
package disk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"naru/internal/fault"
	"naru/internal/size"
)

// Room is how much of a disk there is and how much of it is free, in bytes.
type Room struct {
	Free  int64 // for this process: root may use what file systems keep for it
	Total int64
}

// Full reports whether an error says that a disk had no room.
func Full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// Error is a full disk as people read it: which, how full, and the way out. By
// the time they read it there may be room again.
func Error(path string) *fault.Error {
	where := ""
	if path != "" {
		where = " at " + path
	}
	full := "the disk is full"
	if room, err := Of(path); err == nil {
		where += ": " + size.Text(room.Free) + " of " + size.Text(room.Total) + " free"
		if room.Free > room.Total/20 {
			full, where = "the disk ran full", where+" now"
		}
	}
	return fault.New(fault.Unavailable, "", "%s%s", full, where).WithTry("%s", wayOut)
}

// Explain gives an error that came of a full disk the words people need,
// whatever it says; other errors pass. path is on that disk; "" takes the one
// that the error names.
func Explain(err error, path string) error {
	if !Full(err) {
		return err
	}
	var named *fs.PathError
	if path == "" && errors.As(err, &named) {
		path = named.Path
		for path != filepath.Dir(path) {
			if _, err := os.Stat(path); err == nil {
				break
			}
			path = filepath.Dir(path)
		}
	}
	return refusal(Error(path)).WithCause(err)
}

// refusal is an error that the asker cannot wait away.
func refusal(f *fault.Error) *fault.Error {
	f.Kind = fault.Conflict
	return f
}

const wayOut = "naru gc, naru delete APP of what is not needed, or make room on that disk; then ask again, naru need not be restarted"

// Tight reports that so little of the disk is free that output must leave it to
// what the platform cannot do without: the least of 4 MiB and a sixteenth. A disk
// that cannot be looked at is not tight.
func Tight(path string) bool {
	room, err := Of(path)
	return err == nil && room.Free < min(4<<20, room.Total/16)
}

// Reserve is the part of a disk that only the platform itself may use.
type Reserve struct {
	Path    string // a folder on the disk
	Percent int    // of the disk; 0 keeps nothing
}

// Check refuses work that takes room when less than the reserve is free. what
// names the work: "builds". A disk that cannot be looked at refuses nothing.
func (r Reserve) Check(what string) error {
	room, err := Of(r.Path)
	if err != nil || r.Percent == 0 || room.Free >= r.bytes(room) {
		return nil
	}
	return fault.New(fault.Conflict, "", "the disk is nearly full at %s: %s of %s free, and the last %s (%d%%) are for naru itself; %s must wait",
		r.Path, size.Text(room.Free), size.Text(room.Total), size.Text(r.bytes(room)), r.Percent, what).
		WithTry("%s; the part kept is the setting reserve.disk_percent", wayOut)
}

func (r Reserve) bytes(room Room) int64 { return room.Total / 100 * int64(r.Percent) }

// Guard returns a context that ends when work eats into the second half of the
// reserve, with a cause that says so. stop ends the looking.
func (r Reserve) Guard(ctx context.Context, what string) (guarded context.Context, stop func()) {
	ctx, end := context.WithCancelCause(ctx)
	half := Reserve{r.Path, (r.Percent + 1) / 2}
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			room, err := Of(half.Path)
			if err == nil && room.Free < half.bytes(room) {
				full := refusal(Error(r.Path))
				full.Message += ", so " + what + " was stopped"
				end(full)
				return
			}
		}
	}()
	return ctx, func() { end(nil); <-looked }
}
