package source

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

// ArchiveOptions say how an archive is read.
type ArchiveOptions struct {
	Unpack bool // also what is a program as it is: jar, war, ear
}

// programs are zip files that are run as they are.
var programs = []string{".jar", ".war", ".ear"}

// FromArchive freezes what is in a zip, tar or tar.gz, told apart by content. A
// jar, war or ear becomes a tree of that one file unless asked otherwise; name is
// the file's name at the sender. Entries that would leave the tree, are no files
// or come twice are refused by name, and so is an archive that unpacks to more
// than the limits say, whatever it declares.
func (s *Store) FromArchive(ctx context.Context, space app.SpaceID, r io.Reader, name string, opts ArchiveOptions) (Snapshot, error) {
	in, err := s.Begin(space)
	if err != nil {
		return Snapshot{}, err
	}
	defer in.Close()
	if err := in.AddArchive(ctx, r, name, opts); err != nil {
		return Snapshot{}, err
	}
	return in.Freeze(ctx, Origin{Kind: Archive, Ref: path.Base(name)})
}

// AddArchive takes the entries of an archive in, as FromArchive does.
func (in *Intake) AddArchive(ctx context.Context, r io.Reader, name string, opts ArchiveOptions) error {
	buffered := bufio.NewReaderSize(r, 64<<10)
	head, err := buffered.Peek(512)
	if err != nil && len(head) == 0 {
		return fault.New(fault.Invalid, name, "the archive is empty")
	}
	switch {
	case isZip(head) && isProgram(name) && !opts.Unpack:
		_, err = in.Add(ctx, path.Base(name), Plain, buffered)
	case isZip(head):
		err = in.addZip(ctx, buffered, name)
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		err = in.addGzip(ctx, buffered, name)
	case isTar(head):
		err = in.addTar(ctx, in.newGuard(buffered, nil), name)
	default:
		err = fault.New(fault.Invalid, name, "this is no archive that can be read%s", knownAs(head)).
			WithTry("send a zip, tar or tar.gz")
	}
	return err
}

func isZip(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06"))
}

func isTar(head []byte) bool {
	return len(head) >= 262 && bytes.Equal(head[257:262], []byte("ustar"))
}

func isProgram(name string) bool {
	for _, ext := range programs {
		if strings.EqualFold(path.Ext(name), ext) {
			return true
		}
	}
	return false
}

// knownAs names formats that people try and that are not unpacked.
func knownAs(head []byte) string {
	for magic, format := range map[string]string{
		"\xfd7zXZ\x00": "xz", "BZh": "bzip2", "\x28\xb5\x2f\xfd": "zstd", "7z\xbc\xaf\x27\x1c": "7z", "Rar!": "rar",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return fmt.Sprintf(" (it looks like %s)", format)
		}
	}
	return ""
}

// ratioFrom is how much may be unpacked before the ratio counts: small trees
// may well be all zeros.
const ratioFrom = 64 << 20

// perEntry bounds what an archive may hold beside the files themselves.
const perEntry = 4 << 10

// guard counts what comes out of an archive against what went in.
type guard struct {
	r      io.Reader
	out    int64
	in     func() int64 // packed bytes so far; nil where nothing is packed
	limits Limits
}

func (in *Intake) newGuard(r io.Reader, packed func() int64) *guard {
	return &guard{r: r, in: packed, limits: in.s.limits}
}

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	g.out += int64(n)
	if g.out > g.limits.MaxBytes+int64(g.limits.MaxFiles)*perEntry {
		return 0, tooManyBytes(g.limits)
	}
	if g.in != nil && g.out > ratioFrom && g.out/max(1, g.in()) > g.limits.MaxRatio {
		return 0, bomb(g.limits)
	}
	return n, err
}

func bomb(l Limits) error {
	return fault.New(fault.TooLarge, "source", "the archive unpacks to more than %d times its size", l.MaxRatio).
		WithTry("send the files as a directory instead")
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// badArchive words an error of a decoder; faults and our own errors pass. where
// says what was read: "" at the beginning, else "in x" or "after x".
func badArchive(ctx context.Context, name, where string, err error) error {
	err = brokenUpload(ctx, err)
	if f := fault.Of(err); f.Kind == fault.Invalid && f.Field == "upload" {
		if where != "" {
			where = ", " + where
		}
		return fault.New(fault.Invalid, name, "the archive is damaged or ends early%s", where).WithCause(f.Err).
			WithTry("make the archive anew, or push the directory")
	}
	return err
}
