package source

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"naru/internal/fault"
)

// addGzip reads a tar.gz, or says that what is packed is no tar.
func (in *Intake) addGzip(ctx context.Context, r io.Reader, name string) error {
	packed := &counter{r: r}
	z, err := gzip.NewReader(packed)
	if err != nil {
		return badArchive(ctx, name, "", err)
	}
	defer z.Close()
	return in.addTar(ctx, in.newGuard(z, func() int64 { return packed.n }), name)
}

func (in *Intake) addTar(ctx context.Context, g *guard, name string) error {
	byPath := map[string]File{} // what a hard link may name
	read := ""
	for tr := tar.NewReader(reader{ctx, g}); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return badArchive(ctx, name, read, err)
		}
		if err := in.addTarEntry(ctx, h, tr, byPath); err != nil {
			return badArchive(ctx, name, fmt.Sprintf("in %q", h.Name), err)
		}
		read = fmt.Sprintf("after %q", h.Name)
	}
}

func (in *Intake) addTarEntry(ctx context.Context, h *tar.Header, r io.Reader, byPath map[string]File) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	p := entryPath(h.Name)
	if p == "" && h.Typeflag == tar.TypeDir {
		return nil
	}
	if err := CheckPath(p, in.s.limits); err != nil {
		return err
	}
	if NeverSent(p) {
		return nil
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return nil
	case tar.TypeReg:
		if h.Size > in.s.limits.MaxFile {
			return tooBigFile(p, h.Size, in.s.limits)
		}
		f, err := in.Add(ctx, p, fs.FileMode(h.Mode&0o777), r) //nolint:gosec // nine bits
		byPath[p] = f
		return err
	case tar.TypeSymlink:
		byPath[p] = File{Link: h.Linkname}
		return in.Link(p, h.Linkname)
	case tar.TypeLink:
		return in.addHardLink(p, entryPath(h.Linkname), byPath)
	}
	return notAFile(p, tarKind(h.Typeflag))
}

// addHardLink makes a second file of the same content: trees know no hard links.
func (in *Intake) addHardLink(p, target string, byPath map[string]File) error {
	if err := CheckPath(target, in.s.limits); err != nil {
		return fault.New(fault.Invalid, p, "the hard link to %q leaves the archive", target)
	}
	f, ok := byPath[target]
	switch {
	case !ok:
		return fault.New(fault.Invalid, p, "the hard link to %q names nothing that comes before it in the archive", target)
	case f.IsLink():
		byPath[p] = f
		return in.Link(p, f.Link)
	}
	f.Path = p
	byPath[p] = f
	return in.Reuse(f)
}

func notAFile(p, kind string) error {
	return fault.New(fault.Invalid, p, "a %s cannot be in an archive of source", kind).
		WithTry("make the archive without it")
}

func tarKind(flag byte) string {
	switch flag {
	case tar.TypeChar, tar.TypeBlock:
		return "device file"
	case tar.TypeFifo:
		return "named pipe"
	}
	return "entry of kind " + string(rune(flag))
}

// entryPath is the path of an archive's entry: "./" before and "/" after it are
// habits of tools, anything else odd stays to be refused.
func entryPath(name string) string {
	for strings.HasPrefix(name, "./") {
		name = strings.TrimPrefix(name, "./")
	}
	if name == "." {
		return ""
	}
	return strings.TrimSuffix(name, "/")
}
