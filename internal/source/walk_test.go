//go:build unix

package source_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/source"
)

func paths(m source.Manifest) []string {
	var out []string
	for _, f := range m {
		out = append(out, f.Path)
	}
	return out
}

func TestWalkHonoursIgnoreFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		extra []string
		want  []string
	}{
		"what is never source": {
			files: map[string]string{"a": "", ".git/config": "", "sub/.git": "", ".DS_Store": "", ".svn/x": "", ".naru/x": "", ".gitignore": "", ".cfignore": ""},
			want:  []string{"a"},
		},
		"patterns": {
			files: map[string]string{".gitignore": "*.log\n/top\nbuild/\n# note\n\n\\#real\n", "a.log": "", "d/b.log": "", "top": "", "d/top": "", "build/x": "", "d/build": "", "#real": ""},
			want:  []string{"d/build", "d/top"},
		},
		"negation": {
			files: map[string]string{".gitignore": "*.log\n!keep.log\n", "a.log": "", "keep.log": "", "d/keep.log": ""},
			want:  []string{"d/keep.log", "keep.log"},
		},
		"no way back into an ignored folder": {
			files: map[string]string{".gitignore": "d/\n!d/keep\n", "d/keep": "", "a": ""},
			want:  []string{"a"},
		},
		"nested files add and take back": {
			files: map[string]string{".gitignore": "*.tmp\n", "x.tmp": "", "d/.gitignore": "!x.tmp\n/y\n", "d/x.tmp": "", "d/y": "", "y": "", "d/e/y": ""},
			want:  []string{"d/e/y", "d/x.tmp", "y"},
		},
		"a nested file does not reach its siblings": {
			files: map[string]string{"d/.gitignore": "x\n", "d/x": "", "e/x": ""},
			want:  []string{"e/x"},
		},
		"double stars": {
			files: map[string]string{".gitignore": "**/cache/**\n", "a/cache/x": "", "cache/y": "", "a/b": ""},
			want:  []string{"a/b"},
		},
		"cfignore alone": {
			files: map[string]string{".cfignore": "node_modules/\r\nb\r\n", "node_modules/x": "", "a": "", "b": ""},
			want:  []string{"a"},
		},
		"cfignore has the last word": {
			files: map[string]string{".gitignore": "dist/\n", ".cfignore": "!dist/\nsrc/\n", "dist/x": "", "src/y": ""},
			want:  []string{"dist/x"},
		},
		"the caller's patterns are strongest": {
			files: map[string]string{".cfignore": "!a\n", "a": "", "b": ""}, extra: []string{"a"},
			want: []string{"b"},
		},
		"node_modules that can be installed again": {
			files: map[string]string{"package-lock.json": "{}", "node_modules/x": "", "vendored/node_modules/y": ""},
			want:  []string{"package-lock.json", "vendored/node_modules/y"},
		},
		"node_modules asked for": {
			files: map[string]string{"package-lock.json": "{}", ".cfignore": "!node_modules/\n", "node_modules/x": ""},
			want:  []string{"node_modules/x", "package-lock.json"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := source.Walk(t.Context(), tree(t, tc.files), source.WalkOptions{Ignore: tc.extra})
			must(t, err)
			if got := paths(m); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWalkRefuses(t *testing.T) {
	plain := tree(t, map[string]string{"a": "", "big": "0123456789"})
	pipe, socket := tree(t, map[string]string{"a": ""}), tree(t, map[string]string{"a": ""})
	must(t, syscall.Mkfifo(filepath.Join(pipe, "queue"), 0o600))
	l, err := net.Listen("unix", filepath.Join(socket, "s"))
	must(t, err)
	defer l.Close()
	for name, tc := range map[string]struct {
		dir    string
		limits source.Limits
		kind   fault.Kind
		says   []string
	}{
		"no directory":      {filepath.Join(plain, "nope"), source.Limits{}, fault.Invalid, []string{"there is no directory", "nope"}},
		"a file":            {filepath.Join(plain, "a"), source.Limits{}, fault.Invalid, []string{"is not a directory"}},
		"empty":             {t.TempDir(), source.Limits{}, fault.Invalid, []string{"is empty"}},
		"all ignored":       {tree(t, map[string]string{".gitignore": "*"}), source.Limits{}, fault.Invalid, []string{"left out by .gitignore"}},
		"a named pipe":      {pipe, source.Limits{}, fault.Invalid, []string{"queue: a named pipe"}},
		"a socket":          {socket, source.Limits{}, fault.Invalid, []string{"s: a socket"}},
		"a link out":        {tree(t, map[string]string{"a": "-> /etc/passwd"}), source.Limits{}, fault.Invalid, []string{"a: the symlink", "leaves"}},
		"too many files":    {plain, source.Limits{MaxFiles: 1}, fault.TooLarge, []string{"more than 1 files"}},
		"too many bytes":    {plain, source.Limits{MaxBytes: 9}, fault.TooLarge, []string{"limit of 9 bytes"}},
		"one file too big":  {plain, source.Limits{MaxFile: 9}, fault.TooLarge, []string{"big: the file has 10 bytes"}},
		"backslash in name": {tree(t, map[string]string{`a\b`: ""}), source.Limits{}, fault.Invalid, []string{"backslash"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := source.Walk(t.Context(), tc.dir, source.WalkOptions{Limits: tc.limits})
			wantFault(t, err, tc.kind, tc.says...)
		})
	}
}

func TestWalkRemembersHashes(t *testing.T) {
	dir, cache := tree(t, map[string]string{"a": "one", "b": "two"}), t.TempDir()
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	must(t, os.Chtimes(filepath.Join(dir, "a"), past, past))
	opts := source.WalkOptions{CacheDir: cache}
	first, err := source.Walk(t.Context(), dir, opts)
	must(t, err)

	// Same size, time and inode: only the memory can give the old hash. b was
	// written just now and is not trusted.
	for _, name := range []string{"a", "b"} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("new"), 0o600))
		must(t, os.Chtimes(filepath.Join(dir, name), info.ModTime(), info.ModTime()))
	}
	second, err := source.Walk(t.Context(), dir, opts)
	must(t, err)
	if second[0].SHA256 != first[0].SHA256 {
		t.Error("a was read again although size, time and inode are as they were")
	}
	if second[1].SHA256 == first[1].SHA256 {
		t.Error("b was not read again although its time could not be trusted")
	}

	later := past.Add(time.Minute)
	must(t, os.Chtimes(filepath.Join(dir, "a"), later, later))
	third, err := source.Walk(t.Context(), dir, opts)
	must(t, err)
	if third[0].SHA256 == first[0].SHA256 {
		t.Error("a changed its time and was not read again")
	}
}

func TestWalkReportsProgressAndStops(t *testing.T) {
	dir := tree(t, map[string]string{"a": "1", "b": "22", "c": "333"})
	var last source.Progress
	_, err := source.Walk(t.Context(), dir, source.WalkOptions{Progress: func(p source.Progress) { last = p }})
	must(t, err)
	if last != (source.Progress{Files: 3, Bytes: 6}) {
		t.Errorf("last progress %+v", last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.Walk(ctx, dir, source.WalkOptions{}); err == nil {
		t.Error("a cancelled walk went on")
	}
}

func BenchmarkWalk(b *testing.B) {
	files := map[string]string{}
	for i := range 5000 {
		files[filepath.Join("d", string(rune('a'+i%26)), time.Duration(i).String())] = string(make([]byte, 4096))
	}
	dir := tree(b, files)
	past := time.Now().Add(-time.Hour)
	for name := range files {
		must(b, os.Chtimes(filepath.Join(dir, name), past, past))
	}
	for name, cache := range map[string]string{"cold": "", "remembered": b.TempDir()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := source.Walk(b.Context(), dir, source.WalkOptions{CacheDir: cache})
				must(b, err)
			}
		})
	}
}
