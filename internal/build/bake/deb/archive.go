package deb

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"naru/internal/build/bake/inflate"
)

// Archive is an opened .deb: an ar file of debian-binary, control.tar.* and
// data.tar.*, in that order.
type Archive struct {
	// Date is when the package says it was made (SOURCE_DATE_EPOCH of its
	// build, from the ar header): nothing in it is younger.
	Date    time.Time
	control member
	data    member
}

type member struct {
	name string
	io.SectionReader
}

const arMagic = "!<arch>\n"

// maxControl bounds a control file; the largest in Debian are some 100 KiB.
const maxControl = 4 << 20

// Open reads the table of a .deb of the given size. It reads no member yet.
func Open(r io.ReaderAt, size int64) (*Archive, error) {
	magic := make([]byte, len(arMagic))
	if _, err := r.ReadAt(magic, 0); err != nil || string(magic) != arMagic {
		return nil, errors.New("not a .deb: no ar header")
	}
	a := &Archive{}
	for at := int64(len(arMagic)); at < size; {
		name, mtime, n, err := arHeader(r, at)
		if err != nil {
			return nil, err
		}
		at += 60
		if n > size-at {
			return nil, fmt.Errorf("not a .deb: member %s is cut off", name)
		}
		m := member{name, *io.NewSectionReader(r, at, n)}
		switch {
		case name == "debian-binary":
			if err := checkFormat(m); err != nil {
				return nil, err
			}
			a.Date = time.Unix(mtime, 0).UTC()
		case strings.HasPrefix(name, "control.tar"):
			a.control = m
		case strings.HasPrefix(name, "data.tar"):
			a.data = m
		}
		at += n + n%2
	}
	if a.Date.IsZero() || a.control.name == "" || a.data.name == "" {
		return nil, errors.New("not a .deb: debian-binary, control.tar or data.tar is missing")
	}
	for _, m := range []member{a.control, a.data} {
		if !inflate.Known(m.name) {
			return nil, fmt.Errorf("%s: unknown compression", m.name)
		}
	}
	return a, nil
}

func arHeader(r io.ReaderAt, at int64) (name string, mtime, size int64, err error) {
	h := make([]byte, 60)
	if _, err := r.ReadAt(h, at); err != nil {
		return "", 0, 0, fmt.Errorf("not a .deb: header at byte %d: %w", at, err)
	}
	name = strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
	mtime, merr := strconv.ParseInt(strings.TrimSpace(string(h[16:28])), 10, 64)
	size, serr := strconv.ParseInt(strings.TrimSpace(string(h[48:58])), 10, 64)
	if merr != nil || serr != nil || size < 0 || string(h[58:]) != "`\n" {
		return "", 0, 0, fmt.Errorf("not a .deb: damaged header at byte %d", at)
	}
	return name, mtime, size, nil
}

func checkFormat(m member) error {
	b := make([]byte, 16)
	n, err := m.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !strings.HasPrefix(string(b[:n]), "2.") {
		return fmt.Errorf("a .deb of format %q, want 2.x", strings.TrimSpace(string(b[:n])))
	}
	return nil
}

// Control reads the package's control stanza.
func (a *Archive) Control(ctx context.Context) (Stanza, error) {
	m := a.control.SectionReader
	// A control.tar is small: starting a process for it costs more than it saves.
	r, err := inflate.Inflater{}.Open(ctx, a.control.name, io.NewSectionReader(&m, 0, m.Size()))
	if err != nil {
		return "", err
	}
	defer r.Close()
	tr := tar.NewReader(io.LimitReader(r, 16*maxControl))
	for {
		h, err := tr.Next()
		if err != nil {
			return "", fmt.Errorf("%s: no control file: %w", a.control.name, err)
		}
		if path.Clean("/"+h.Name) != "/control" || h.Typeflag != tar.TypeReg {
			continue
		}
		if h.Size > maxControl {
			return "", fmt.Errorf("%s: control file of %d bytes, limit %d", a.control.name, h.Size, maxControl)
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			return "", fmt.Errorf("%s: %w", a.control.name, err)
		}
		return ParseControl(string(text))
	}
}

// Data opens the package's files as a plain tar stream.
func (a *Archive) Data(ctx context.Context, inf inflate.Inflater) (io.ReadCloser, error) {
	m := a.data.SectionReader
	return inf.Open(ctx, a.data.name, io.NewSectionReader(&m, 0, m.Size()))
}
