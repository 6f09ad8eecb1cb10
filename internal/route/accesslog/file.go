package accesslog

import (
	"errors"
	"fmt"
	"os"

	"naru/internal/fault"
)

// file is a log that begins anew when it is large. Other processes may write to
// the same one, and may move it away: it is looked for at its path again then.
type file struct {
	path string
	most int64
	f    *os.File
	size int64
}

func open(o Options) (sink, error) {
	if o.Path == "-" {
		return stdout{os.Stdout}, nil
	}
	f := &file{path: o.Path, most: o.Bytes}
	if err := f.open(); err != nil {
		return nil, fault.New(fault.Invalid, "access_log.path", "cannot write the access log").WithCause(err).
			WithTry("a path that the gateway's user may write, or - for standard output")
	}
	return f, nil
}

func (l *file) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if l.f != nil {
		_ = l.f.Close()
	}
	l.f, l.size = f, info.Size()
	return nil
}

// Write appends lines.
func (l *file) Write(lines []byte) (int, error) {
	if l.size > 0 && l.size+int64(len(lines)) > l.most {
		if err := l.turn(); err != nil {
			return 0, err
		}
	}
	n, err := l.f.Write(lines)
	l.size += int64(n)
	return n, err
}

// turn begins a new file, unless another process has just done so.
func (l *file) turn() error {
	if l.ours() {
		if err := os.Rename(l.path, l.path+".1"); err != nil {
			return fmt.Errorf("turn the access log over: %w", err)
		}
	}
	return l.open()
}

// ours reports whether the file at the path is the one that is open.
func (l *file) ours() bool {
	at, err := os.Stat(l.path)
	if err != nil {
		return false
	}
	open, err := l.f.Stat()
	return err == nil && os.SameFile(at, open)
}

// look takes up a file that somebody put in the place of the one that is open,
// and what others have written into it.
func (l *file) look() error {
	if !l.ours() {
		return l.open()
	}
	if info, err := l.f.Stat(); err == nil {
		l.size = info.Size()
	}
	return nil
}

// Close closes the file.
func (l *file) Close() error { return l.f.Close() }

// stdout stays open, whoever else writes there.
type stdout struct{ *os.File }

func (stdout) look() error  { return nil }
func (stdout) Close() error { return nil }
