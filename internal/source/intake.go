package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"naru/internal/app"
	"naru/internal/fault"
)

// Intake takes a tree in file by file, where whoever reads it cannot know the
// hashes beforehand: archives, commits, uploads of other protocols. It is for
// one goroutine.
type Intake struct {
	s     *Store
	space app.SpaceID
	batch *batch
	files Manifest
	seen  map[string]bool
	total int64
}

// Begin starts an intake. Close it when done, frozen or not.
func (s *Store) Begin(space app.SpaceID) (*Intake, error) {
	dir, err := s.spaceDir(space)
	if err != nil {
		return nil, err
	}
	return &Intake{s: s, space: space, batch: s.newBatch(dir), seen: map[string]bool{}}, nil
}

// Close drops what was not frozen.
func (in *Intake) Close() { in.batch.discard() }

// Add reads one file. It stops at the first limit, whatever sizes were declared.
func (in *Intake) Add(ctx context.Context, path string, mode fs.FileMode, r io.Reader) (File, error) {
	if err := in.expect(path); err != nil {
		return File{}, err
	}
	l := in.s.limits
	left := l.MaxBytes - in.total
	c, err := in.batch.write(ctx, r, min(l.MaxFile, left))
	switch {
	case errors.Is(err, errOver) && l.MaxFile <= left:
		return File{}, fault.New(fault.TooLarge, path, "the file has more than %s", inMiB(l.MaxFile)).
			WithTry("leave it out of what you push")
	case errors.Is(err, errOver):
		return File{}, tooManyBytes(l)
	case err != nil:
		return File{}, fmt.Errorf("take in %s: %w", path, err)
	}
	in.total += c.size
	f := File{Path: path, Mode: NormalMode(mode), Size: c.size, SHA256: c.sha256, SHA1: c.sha1}
	in.files = append(in.files, f)
	if in.batch.full() {
		err = in.batch.flush()
	}
	return f, err
}

// Link takes a symlink in.
func (in *Intake) Link(path, target string) error {
	if err := in.expect(path); err != nil {
		return err
	}
	f := File{Path: path, Link: target}
	if err := checkLink(f, in.s.limits); err != nil {
		return err
	}
	in.files = append(in.files, f)
	return nil
}

// Reuse adds a file whose content the space has, as Missing or BySHA1 found.
func (in *Intake) Reuse(f File) error {
	if err := in.expect(f.Path); err != nil {
		return err
	}
	f.Mode = NormalMode(f.Mode)
	if in.total += f.Size; in.total > in.s.limits.MaxBytes {
		return tooManyBytes(in.s.limits)
	}
	in.files = append(in.files, f)
	return nil
}

// Freeze ends the intake with a snapshot of what was added.
func (in *Intake) Freeze(ctx context.Context, origin Origin) (Snapshot, error) {
	if err := in.batch.flush(); err != nil {
		return Snapshot{}, fmt.Errorf("freeze: %w", err)
	}
	return in.s.Freeze(ctx, in.space, in.files, origin)
}

func (in *Intake) expect(path string) error {
	if err := CheckPath(path, in.s.limits); err != nil {
		return err
	}
	if in.seen[path] {
		return fault.New(fault.Invalid, path, "the path is there twice")
	}
	if len(in.files) >= in.s.limits.MaxFiles {
		return tooManyFiles(in.s.limits)
	}
	in.seen[path] = true
	return nil
}
