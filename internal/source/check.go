package source

import (
	"path"
	"strings"
	"unicode/utf8"

	"naru/internal/fault"
)

// maxHops bounds the symlinks followed for one path, as kernels do.
const maxHops = 40

// Check refuses a tree that could harm whoever unpacks it, or that is over a
// limit. The manifest may come from anyone.
func (m Manifest) Check(l Limits) error {
	l = l.Filled()
	if len(m) == 0 {
		return fault.New(fault.Invalid, "source", "there is no file in the source").
			WithTry("push a directory with files in it, and look at what .gitignore and .cfignore leave")
	}
	if len(m) > l.MaxFiles {
		return tooManyFiles(l)
	}
	byPath := make(map[string]File, len(m))
	var total int64
	for _, f := range m {
		if err := checkFile(f, l); err != nil {
			return err
		}
		if _, twice := byPath[f.Path]; twice {
			return fault.New(fault.Invalid, f.Path, "the path is there twice")
		}
		byPath[f.Path] = f
		if total += f.Size; total > l.MaxBytes {
			return tooManyBytes(l)
		}
	}
	return checkShape(m, byPath)
}

// checkShape looks at what files say about each other: no file has files below
// it, and no symlink leads out.
func checkShape(m Manifest, byPath map[string]File) error {
	for _, f := range m {
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if _, isFile := byPath[dir]; isFile {
				return fault.New(fault.Invalid, f.Path, "%s is a file or symlink and cannot have files below it", dir)
			}
		}
		if !f.IsLink() {
			continue
		}
		if _, err := resolve(byPath, f.Path); err != nil {
			return err
		}
	}
	return nil
}

func checkFile(f File, l Limits) error {
	if err := CheckPath(f.Path, l); err != nil {
		return err
	}
	switch {
	case f.IsLink():
		return checkLink(f, l)
	case f.Mode != Plain && f.Mode != Executable:
		return fault.New(fault.Invalid, f.Path, "mode %04o is neither 0644 nor 0755", uint32(f.Mode))
	case f.Size < 0:
		return fault.New(fault.Invalid, f.Path, "size %d is below zero", f.Size)
	case f.Size > l.MaxFile:
		return tooBigFile(f.Path, f.Size, l)
	case !hex256.MatchString(f.SHA256):
		return fault.New(fault.Invalid, f.Path, "%q is not a sha256 in lower-case hex", f.SHA256)
	case f.SHA1 != "" && !hex1.MatchString(f.SHA1):
		return fault.New(fault.Invalid, f.Path, "%q is not a sha1 in lower-case hex", f.SHA1)
	}
	return nil
}

func checkLink(f File, l Limits) error {
	switch {
	case f.Size != 0 || f.SHA256 != "" || f.SHA1 != "" || f.Mode != 0:
		return fault.New(fault.Invalid, f.Path, "a symlink has no size, mode or hash")
	case len(f.Link) > l.MaxPath:
		return fault.New(fault.Invalid, f.Path, "the symlink's target has %d bytes, at most %d are allowed", len(f.Link), l.MaxPath)
	case hasOddCharacter(f.Link):
		return fault.New(fault.Invalid, f.Path, "the symlink's target %q holds a backslash, a control character or is not UTF-8", f.Link)
	case strings.HasPrefix(f.Link, "/"):
		return leaves(f.Path, f.Link)
	}
	return nil
}

// CheckPath refuses a path that is not relative, clean, portable UTF-8.
func CheckPath(p string, l Limits) error {
	l = l.Filled()
	switch {
	case p == "" || p == ".":
		return fault.New(fault.Invalid, "path", "an empty path")
	case len(p) > l.MaxPath:
		return fault.New(fault.Invalid, p[:64]+"...", "the path has %d bytes, at most %d are allowed", len(p), l.MaxPath)
	case hasOddCharacter(p):
		return fault.New(fault.Invalid, "path", "the path %q holds a backslash, a control character or is not UTF-8", p)
	case strings.HasPrefix(p, "/"):
		return fault.New(fault.Invalid, p, "the path is absolute")
	case p == ".." || strings.HasPrefix(p, "../") || strings.Contains(p, "/../") || strings.HasSuffix(p, "/.."):
		return fault.New(fault.Invalid, p, "the path leaves the source tree")
	case path.Clean(p) != p:
		return fault.New(fault.Invalid, p, "the path is not clean (%s would be)", path.Clean(p))
	}
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > 255 {
			return fault.New(fault.Invalid, part[:64]+"...", "a file name has %d bytes, at most 255 are allowed", len(part))
		}
	}
	return nil
}

func hasOddCharacter(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return r == '\\' || r < ' ' || r == 0x7f
	})
}

// resolve follows the symlinks of a path by name alone, through other links of
// the tree too, and returns where it ends. It refuses what leaves the tree at
// any point, even where a later part would come back.
func resolve(byPath map[string]File, p string) (string, error) {
	todo := strings.Split(p, "/")
	var at []string
	for hops := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return "", leaves(p, byPath[p].Link)
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(at, part)
		f, ok := byPath[strings.Join(at, "/")]
		if !ok || !f.IsLink() {
			continue
		}
		if hops++; hops > maxHops {
			return "", fault.New(fault.Invalid, p, "the symlink to %q goes in a circle or through more than %d others", byPath[p].Link, maxHops)
		}
		at = at[:len(at)-1]
		todo = append(strings.Split(f.Link, "/"), todo...)
	}
	return strings.Join(at, "/"), nil
}

func leaves(p, target string) error {
	return fault.New(fault.Invalid, p, "the symlink to %q leaves the source tree", target).
		WithTry("replace it by a copy of what it names, or leave it out with a line in .cfignore")
}

func tooManyFiles(l Limits) error {
	return fault.New(fault.TooLarge, "source", "the source has more than %d files", l.MaxFiles).
		WithTry("leave out what the build makes or fetches itself with .cfignore, or raise upload.files")
}

func tooManyBytes(l Limits) error {
	return fault.New(fault.TooLarge, "source", "the source is over the limit of %s", inMiB(l.MaxBytes)).
		WithTry("leave out what the build makes or fetches itself with .cfignore, or raise upload.unpacked")
}

func tooBigFile(p string, size int64, l Limits) error {
	return fault.New(fault.TooLarge, p, "the file has %s, at most %s are allowed", inMiB(size), inMiB(l.MaxFile)).
		WithTry("leave it out with a line in .cfignore")
}
