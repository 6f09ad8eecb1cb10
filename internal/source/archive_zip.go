package source

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"naru/internal/fault"
)

// addZip reads a zip, which needs its end before its beginning and so lies on
// disk meanwhile.
func (in *Intake) addZip(ctx context.Context, r io.Reader, name string) error {
	f, size, err := in.spool(ctx, r)
	if err != nil {
		return badArchive(ctx, name, "", err)
	}
	defer f.Close()
	src := &budgeted{r: f, left: directoryBudget(in.s.limits), on: true}
	z, err := zip.NewReader(src, size)
	if err != nil {
		return badArchive(ctx, name, "", err)
	}
	src.on = false
	if err := in.checkDeclared(z); err != nil {
		return err
	}
	for _, e := range z.File {
		if err := in.addZipEntry(ctx, e, size); err != nil {
			return badArchive(ctx, name, fmt.Sprintf("in %q", e.Name), err)
		}
	}
	return nil
}

// spool keeps a stream in a file without a name, gone whatever happens.
func (in *Intake) spool(ctx context.Context, r io.Reader) (_ *os.File, size int64, err error) {
	tmp := filepath.Join(in.batch.dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, 0, onDisk(err)
	}
	f, err := os.CreateTemp(tmp, "archive-*")
	if err != nil {
		return nil, 0, onDisk(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, 0, err
	}
	l := in.s.limits
	size, err = io.Copy(f, io.LimitReader(reader{ctx, r}, l.MaxBytes+1))
	if err == nil && size > l.MaxBytes {
		err = tooManyBytes(l)
	}
	return f, size, onDisk(err)
}

// directoryBudget bounds the bytes of a zip's directory, for it is read into
// memory before anything of it can be judged.
func directoryBudget(l Limits) int64 { return 16<<20 + int64(l.MaxFiles)*128 }

// budgeted fails once more was read than is allowed, while it is on.
type budgeted struct {
	r    io.ReaderAt
	left int64
	on   bool
}

func (b *budgeted) ReadAt(p []byte, off int64) (int, error) {
	n, err := b.r.ReadAt(p, off)
	if b.left -= int64(n); b.on && b.left < 0 {
		return 0, fault.New(fault.TooLarge, "source", "the archive's directory is too long")
	}
	return n, err
}

// checkDeclared refuses early what says itself that it is too much.
func (in *Intake) checkDeclared(z *zip.Reader) error {
	l := in.s.limits
	var total uint64
	files := 0
	for _, e := range z.File {
		if e.Mode().IsDir() {
			continue
		}
		if files++; files > l.MaxFiles {
			return tooManyFiles(l)
		}
		if e.UncompressedSize64 > uint64(l.MaxFile) {
			return fault.New(fault.TooLarge, e.Name, "the entry unpacks to more than %s", inMiB(l.MaxFile)).
				WithTry("leave it out of what you push")
		}
		if total += e.UncompressedSize64; total > uint64(l.MaxBytes) {
			return tooManyBytes(l)
		}
	}
	return nil
}

func (in *Intake) addZipEntry(ctx context.Context, e *zip.File, packed int64) error {
	p, mode := entryPath(e.Name), e.Mode()
	if p == "" && mode.IsDir() {
		return nil
	}
	if err := CheckPath(p, in.s.limits); err != nil {
		return err
	}
	if NeverSent(p) || mode.IsDir() {
		return nil
	}
	if e.Flags&1 != 0 {
		return fault.New(fault.Invalid, p, "the entry is encrypted").WithTry("make the archive without a password")
	}
	if !mode.IsRegular() && mode.Type() != fs.ModeSymlink {
		return notAFile(p, kindOf(mode))
	}
	r, err := e.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return fault.New(fault.Unsupported, p, "the entry is packed in a way (%d) that cannot be read", e.Method).
			WithTry("make the zip with deflate, as zip does by default")
	}
	if err != nil {
		return fmt.Errorf("unpack %s: %w", p, err)
	}
	defer r.Close()
	if mode.Type() == fs.ModeSymlink {
		target, err := io.ReadAll(io.LimitReader(r, int64(in.s.limits.MaxPath)+1))
		if err != nil {
			return err
		}
		return in.Link(p, string(target))
	}
	// All entries together against the whole archive: entries may overlap.
	g := in.newGuard(r, func() int64 { return packed })
	g.out = in.total
	_, err = in.Add(ctx, p, mode, g)
	return err
}
