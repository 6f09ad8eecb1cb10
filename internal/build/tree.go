package build

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"naru/internal/fault"
)

const (
	maxConfigFile = 4 << 20 // of a file that a detector reads whole
	maxWalk       = 50_000  // entries that a detector looks at
)

// tree is a source tree as detectors see it.
type tree struct {
	fsys  fs.FS
	names []string // of the root, sorted; folders end with a slash
}

func look(fsys fs.FS) (*tree, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fault.New(fault.Invalid, "source", "cannot read the directory").WithCause(err)
	}
	t := &tree{fsys: fsys}
	for _, e := range entries {
		name := e.Name()
		if name == ".git" {
			continue
		}
		if e.IsDir() {
			name += "/"
		}
		t.names = append(t.names, name)
	}
	return t, nil
}

// file reports whether a regular file, or a link to one, is there.
func (t *tree) file(name string) bool {
	info, err := fs.Stat(t.fsys, name)
	return err == nil && info.Mode().IsRegular()
}

// dir reports whether a folder is there.
func (t *tree) dir(name string) bool {
	info, err := fs.Stat(t.fsys, name)
	return err == nil && info.IsDir()
}

// first returns the first of the names that is a file, "" for none.
func (t *tree) first(names ...string) string {
	for _, name := range names {
		if t.file(name) {
			return name
		}
	}
	return ""
}

// present returns those of the names that are files.
func (t *tree) present(names ...string) []string {
	var out []string
	for _, name := range names {
		if t.file(name) {
			out = append(out, name)
		}
	}
	return out
}

// ending returns the files of the root with one of the suffixes.
func (t *tree) ending(suffixes ...string) []string {
	var out []string
	for _, name := range t.names {
		if slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) }) && t.file(name) {
			out = append(out, name)
		}
	}
	return out
}

// read returns a file that a detector needs whole.
func (t *tree) read(name string) ([]byte, error) {
	f, err := t.fsys.Open(name)
	if err != nil {
		return nil, fault.New(fault.Invalid, name, "cannot be read").WithCause(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, name, "cannot be read").WithCause(err)
	}
	if len(data) > maxConfigFile {
		return nil, fault.New(fault.TooLarge, name, "is larger than %d MiB", maxConfigFile>>20)
	}
	return data, nil
}

// line returns the first line of a file that holds more than a comment, "" when
// there is none.
func (t *tree) line(name string) string {
	data, err := t.read(name)
	if err != nil {
		return ""
	}
	for l := range strings.Lines(string(data)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			return l
		}
	}
	return ""
}

var errEnough = errors.New("enough")

// walk calls see for regular files below dir, until it has seen too many. It
// skips hidden folders and those named.
func (t *tree) walk(dir string, skip []string, see func(name string)) error {
	n := 0
	err := fs.WalkDir(t.fsys, dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if n++; n > maxWalk {
			return errEnough
		}
		base := path.Base(name)
		if e.IsDir() && name != dir && (strings.HasPrefix(base, ".") || slices.Contains(skip, base)) {
			return fs.SkipDir
		}
		if e.Type().IsRegular() {
			see(name)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Invalid, "source", "cannot read the directory").WithCause(err)
	}
	return nil
}

// summary names what is there, for a person who wonders why nothing was found.
func (t *tree) summary() string {
	switch n := len(t.names); {
	case n == 0:
		return "it has no files"
	case n > 8:
		return "it has " + strings.Join(t.names[:8], ", ") + ", ..."
	}
	return "it has " + strings.Join(t.names, ", ")
}
