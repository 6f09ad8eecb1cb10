package source

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"

	"naru/internal/fault"
)

// neverSent are names that are not source anywhere in a tree. A pattern cannot
// bring them back.
var neverSent = []string{".git", ".hg", ".svn", "_darcs", "CVS", ".naru", ".DS_Store", ".gitignore", ".cfignore", ".gitmodules", "__MACOSX"}

// NeverSent reports that a path (slashes) is not source anywhere: what version
// control systems, desktops and naru itself keep beside it.
func NeverSent(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if slices.Contains(neverSent, part) {
			return true
		}
	}
	return false
}

// lockFiles say that a node_modules beside them can be installed again, exactly.
var lockFiles = []string{"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"}

// ignoring decides what of a directory is left out. Patterns are read folder by
// folder on the way down: .gitignore as git reads it, then .cfignore with the
// last word, so that "!dist/" there sends what git leaves out.
type ignoring struct {
	dir      string
	patterns []gitignore.Pattern
	extra    []gitignore.Pattern // handed in by the caller, last of all
}

func newIgnoring(dir string, extra []string) *ignoring {
	ig := &ignoring{dir: dir}
	for _, line := range extra {
		ig.extra = append(ig.extra, gitignore.ParsePattern(line, nil))
	}
	return ig
}

// enter returns the rules in force below a folder (slashes, "" for the top).
func (ig *ignoring) enter(folder string) (*ignoring, error) {
	out := &ignoring{dir: ig.dir, patterns: slices.Clip(ig.patterns), extra: ig.extra}
	var domain []string
	if folder != "" {
		domain = strings.Split(folder, "/")
	}
	base := filepath.Join(ig.dir, filepath.FromSlash(folder))
	if hasLockFile(base) {
		out.patterns = append(out.patterns, gitignore.ParsePattern("/node_modules/", domain))
	}
	for _, name := range []string{".gitignore", ".cfignore"} {
		patterns, err := readPatterns(filepath.Join(base, name), domain)
		if err != nil {
			return nil, err
		}
		out.patterns = append(out.patterns, patterns...)
	}
	return out, nil
}

func hasLockFile(folder string) bool {
	return slices.ContainsFunc(lockFiles, func(name string) bool {
		info, err := os.Stat(filepath.Join(folder, name))
		return err == nil && info.Mode().IsRegular()
	})
}

// maxIgnoreFile bounds an ignore file in bytes; real ones have a few hundred.
const maxIgnoreFile = 1 << 20

func readPatterns(file string, domain []string) ([]gitignore.Pattern, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if info.Size() > maxIgnoreFile {
		return nil, fault.New(fault.TooLarge, file, "the ignore file has %s, at most %s are read", inMiB(info.Size()), inMiB(maxIgnoreFile))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	defer f.Close()
	var out []gitignore.Pattern
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxIgnoreFile)
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		line = strings.TrimPrefix(line, "\ufeff")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		out = append(out, gitignore.ParsePattern(trimTrailing(line), domain))
	}
	return out, lines.Err()
}

// trimTrailing drops trailing spaces that are not escaped, as git does.
func trimTrailing(line string) string {
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = strings.TrimSuffix(line, " ")
	}
	return line
}

// skip reports whether a path (slashes) is left out. A folder that is left out
// takes all below it along, so a walk must not go into it.
func (ig *ignoring) skip(path string, isDir bool) bool {
	if NeverSent(path) {
		return true
	}
	parts := strings.Split(path, "/")
	for _, patterns := range [][]gitignore.Pattern{ig.extra, ig.patterns} {
		for _, p := range slices.Backward(patterns) {
			switch p.Match(parts, isDir) {
			case gitignore.Exclude:
				return true
			case gitignore.Include:
				return false
			}
		}
	}
	return false
}
