// Package layer turns tar streams of packages into one OCI layer: entries placed
// where a Debian system with a merged /usr has them, stripped of what an image
// may not carry, in an order and with times that depend on the input alone.
package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"naru/internal/fault"
)

// Source is one package's files.
type Source struct {
	Name string
	// Open is called from a goroutine of its own, some sources ahead of the one
	// being written; it may wait for a download.
	Open func(ctx context.Context) (Stream, error)
	// Place says where an entry goes, without a leading slash, or that it stays
	// out; nil places everything as it is named.
	Place func(name string) (string, bool)
	// Adjust, which may be nil, changes owner and mode of a placed entry.
	Adjust func(f *File)
	// Replaces names other sources whose files this one takes over.
	Replaces map[string]bool
}

// Stream is an opened source: plain tar, and the date that no entry may be
// younger than.
type Stream struct {
	io.ReadCloser
	Date time.Time
}

// File is something added beside the sources.
type File struct {
	Path string // without a leading slash
	Type byte   // tar.TypeReg, TypeDir or TypeSymlink; 0 is TypeReg
	Mode int64
	UID  int
	GID  int
	Body []byte
	Link string
}

// Options bound and tune a layer.
type Options struct {
	Compression Compression
	MaxUnpacked int64 // bytes of file content in this layer
	Ahead       int   // sources unpacked ahead of the one being written; 0 means 6
	// First is placed before the sources, dated 1970: the links that packages
	// are unpacked through.
	First []File
	// Keep says which regular files to remember the content of.
	Keep func(path string) bool
	// Stripped, which may be nil, hears of files that lose a setuid or setgid bit.
	Stripped func(source, path string)
	// Progress, which may be nil, hears of each source that is done.
	Progress func(name string)
}

// Result describes a written layer.
type Result struct {
	DiffID   string // sha256:... of the plain tar
	Digest   string // sha256:... of what was written
	Size     int64  // bytes written
	Unpacked int64  // bytes of file content
	Files    int
	Newest   time.Time // the newest source
}

// maxKept bounds a single remembered file; they are certificates, user tables
// and copyright notices.
const maxKept = 4 << 20

// Write unpacks the sources, in their order, into one layer on w. generate is
// called when they are through and returns what to add. The tree learns
// everything that was placed, so that a next layer can stand on it.
func Write(ctx context.Context, w io.Writer, tree *Tree, sources []Source, generate func(newest time.Time) ([]File, error), opt Options) (Result, error) {
	out, err := newWriter(w, opt.Compression)
	if err != nil {
		return Result{}, err
	}
	l := &writing{out: out, tree: tree, opt: opt, newest: time.Unix(0, 0).UTC()}
	if err := l.all(ctx, sources, generate); err != nil {
		return Result{}, errors.Join(err, out.abort())
	}
	res, err := out.finish()
	res.Unpacked, res.Files, res.Newest = l.unpacked, l.files, l.newest
	return res, err
}

func (l *writing) all(ctx context.Context, sources []Source, generate func(time.Time) ([]File, error)) error {
	if err := l.add(l.opt.First, time.Unix(0, 0)); err != nil {
		return err
	}
	if err := l.sources(ctx, sources); err != nil {
		return err
	}
	files, err := generate(l.newest)
	if err != nil {
		return err
	}
	return l.add(files, l.newest)
}

type writing struct {
	out      *writer
	tree     *Tree
	opt      Options
	unpacked int64
	files    int
	newest   time.Time
}

func (l *writing) sources(ctx context.Context, sources []Source) error {
	ctx, cancel := context.WithCancel(ctx)
	ahead := readAhead(ctx, sources, l.opt.Ahead)
	defer ahead.wait()
	defer cancel()
	for i, s := range sources {
		l.tree.claim(s.Name, s.Replaces)
		if err := l.unpack(s, ahead.streams[i]); err != nil {
			return fmt.Errorf("unpack %s: %w", s.Name, err)
		}
		ahead.done()
		if l.opt.Progress != nil {
			l.opt.Progress(s.Name)
		}
	}
	return nil
}

func (l *writing) unpack(s Source, r *stream) error {
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			// What follows the end marker must be read too: the decompressor's
			// verdict about the stream comes last.
			_, err = io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return err
		}
		if err := l.entry(s, r.date, h, tr); err != nil {
			return err
		}
	}
}

// entry places one entry of a source.
func (l *writing) entry(s Source, date time.Time, h *tar.Header, body io.Reader) error {
	name, err := clean(h.Name)
	if err != nil {
		return err
	}
	place := s.Place
	if place == nil {
		place = func(name string) (string, bool) { return name, true }
	}
	name, wanted := place(name)
	if name == "" || !wanted {
		return nil
	}
	f := File{Path: name, Type: h.Typeflag, Mode: h.Mode, UID: h.Uid, GID: h.Gid, Link: h.Linkname}
	if h.Typeflag == tar.TypeLink {
		target, err := clean(h.Linkname)
		if err != nil {
			return err
		}
		f.Link, _ = place(target)
	}
	if s.Adjust != nil {
		s.Adjust(&f)
	}
	placed, write, err := l.tree.place(f, s.Name)
	if err != nil || !write {
		return err
	}
	when := h.ModTime
	if when.After(date) {
		when = date
	}
	if date.After(l.newest) {
		l.newest = date
	}
	if err := l.parents(placed.Path, date); err != nil {
		return err
	}
	if placed.Type != tar.TypeReg {
		return l.header(placed, 0, when)
	}
	if h.Mode&0o6000 != 0 && l.opt.Stripped != nil {
		l.opt.Stripped(s.Name, placed.Path)
	}
	l.unpacked += h.Size
	if l.opt.MaxUnpacked > 0 && l.unpacked > l.opt.MaxUnpacked {
		return fault.New(fault.TooLarge, "packages", "the image unpacks to more than %d MiB", l.opt.MaxUnpacked>>20).
			WithTry("leave packages out, or raise the limit for unpacked images")
	}
	if err := l.header(placed, h.Size, when); err != nil {
		return err
	}
	return l.body(placed.Path, h.Size, body)
}

func (l *writing) body(path string, size int64, body io.Reader) error {
	if l.opt.Keep == nil || size > maxKept || !l.opt.Keep(path) {
		_, err := io.Copy(l.out.tar, body)
		return err
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	l.tree.keep(path, content)
	_, err = l.out.tar.Write(content)
	return err
}

// parents writes the folders that no source brought along.
func (l *writing) parents(path string, when time.Time) error {
	for _, dir := range l.tree.missingParents(path) {
		if err := l.header(File{Path: dir, Type: tar.TypeDir, Mode: 0o755}, 0, when); err != nil {
			return err
		}
	}
	return nil
}

func (l *writing) header(f File, size int64, when time.Time) error {
	l.files++
	h := &tar.Header{
		Name: f.Path, Typeflag: f.Type, Mode: f.Mode, Uid: f.UID, Gid: f.GID, Size: size,
		ModTime: when.UTC().Truncate(time.Second), Linkname: f.Link,
	}
	if f.Type == tar.TypeDir {
		h.Name += "/"
	}
	return l.out.tar.WriteHeader(h)
}

// add writes generated files, leaving out what a lower layer already has just so.
func (l *writing) add(files []File, when time.Time) error {
	for _, f := range files {
		if f.Type == 0 {
			f.Type = tar.TypeReg
		}
		name, err := clean(f.Path)
		if err != nil {
			return err
		}
		f.Path = name
		placed, write := l.tree.put(f)
		if !write {
			continue
		}
		if err := l.parents(placed.Path, when); err != nil {
			return err
		}
		if err := l.header(placed, int64(len(placed.Body)), when); err != nil {
			return fmt.Errorf("add %s: %w", placed.Path, err)
		}
		if _, err := l.out.tar.Write(placed.Body); err != nil {
			return fmt.Errorf("add %s: %w", placed.Path, err)
		}
		l.unpacked += int64(len(placed.Body))
	}
	return nil
}

// clean returns a name relative to the root, "" for the root itself, and
// refuses names that try to leave it.
func clean(name string) (string, error) {
	if strings.ContainsRune(name, 0) || len(name) > 4096 {
		return "", fault.New(fault.Invalid, "", "entry with an impossible name %.80q", name)
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return "", fault.New(fault.Invalid, "", "entry %q leaves the image with \"..\"", name)
		default:
			if strings.HasPrefix(part, ".wh.") {
				return "", fault.New(fault.Invalid, "", "entry %q is named like a deletion mark of an image layer", name)
			}
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/"), nil
}
