package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"naru/internal/fault"
)

// WalkOptions say how a directory is read. The zero value is good.
type WalkOptions struct {
	Limits   Limits
	Ignore   []string       // more patterns, in the form of .gitignore, stronger than the files' own
	CacheDir string         // where hashes are remembered between walks; "" for nowhere
	Progress func(Progress) // called after each file, from one goroutine at a time; may be nil
}

// Walk reads a directory: what .gitignore and .cfignore leave of it, each file
// with its hashes. The result has passed Check.
func Walk(ctx context.Context, dir string, opts WalkOptions) (Manifest, error) {
	opts.Limits = opts.Limits.Filled()
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Invalid, "source", "there is no directory %s", dir).
			WithTry("name the directory to push with --path")
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", dir, err)
	case !info.IsDir():
		return nil, fault.New(fault.Invalid, "source", "%s is not a directory", dir).
			WithTry("name the directory to push with --path; zip, jar, war, tar and tar.gz files can be pushed as they are")
	}
	w := &walk{dir: dir, opts: opts}
	if err := w.list(ctx, "", newIgnoring(dir, opts.Ignore)); err != nil {
		return nil, err
	}
	if len(w.files) == 0 {
		return nil, emptyDirectory(dir, w.ignored)
	}
	if err := w.hash(ctx); err != nil {
		return nil, err
	}
	m := w.files.Sorted()
	return m, m.Check(opts.Limits)
}

func emptyDirectory(dir string, ignored int) error {
	if ignored > 0 {
		return fault.New(fault.Invalid, "source", "every file in %s is left out by .gitignore, .cfignore or because it is never source (%d entries)", dir, ignored).
			WithTry("name what to send in .cfignore, for example: !dist/")
	}
	return fault.New(fault.Invalid, "source", "the directory %s is empty", dir).
		WithTry("push a directory with files in it, for example one of examples/")
}

type walk struct {
	dir     string
	opts    WalkOptions
	files   Manifest
	infos   []fs.FileInfo // of files, same index
	ignored int
	total   int64
}

// list collects the files below a folder, without reading them, so that a limit
// shows before gigabytes are hashed.
func (w *walk) list(ctx context.Context, folder string, above *ignoring) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	rules, err := above.enter(folder)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(w.dir, filepath.FromSlash(folder)))
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	for _, e := range entries {
		p := path.Join(folder, e.Name())
		if rules.skip(p, e.IsDir()) {
			w.ignored++
			continue
		}
		if e.IsDir() {
			err = w.list(ctx, p, rules)
		} else {
			err = w.add(p, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) add(p string, e fs.DirEntry) error {
	if err := CheckPath(p, w.opts.Limits); err != nil {
		return err
	}
	info, err := e.Info()
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	f := File{Path: p}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		f.Mode, f.Size = NormalMode(mode), info.Size()
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(w.native(p))
		if err != nil {
			return fmt.Errorf("read source: %w", err)
		}
		f.Link = filepath.ToSlash(target)
	default:
		return fault.New(fault.Invalid, p, "a %s cannot be pushed", kindOf(mode)).
			WithTry("leave it out with a line in .cfignore: /%s", p)
	}
	if f.Size > w.opts.Limits.MaxFile {
		return tooBigFile(p, f.Size, w.opts.Limits)
	}
	if w.total += f.Size; w.total > w.opts.Limits.MaxBytes {
		return tooManyBytes(w.opts.Limits)
	}
	if len(w.files) >= w.opts.Limits.MaxFiles {
		return tooManyFiles(w.opts.Limits)
	}
	w.files, w.infos = append(w.files, f), append(w.infos, info)
	return nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device file"
	}
	return "file of an unknown kind"
}

// hash fills in the hashes, several files at once, from the cache where a file
// has not changed.
func (w *walk) hash(ctx context.Context) error {
	cache := openHashCache(w.opts.CacheDir, w.dir, time.Now())
	var (
		mu   sync.Mutex // guards done and orders the calls of Progress
		done Progress
	)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(2, runtime.NumCPU()))
	for i := range w.files {
		f := &w.files[i]
		if f.IsLink() {
			continue
		}
		g.Go(func() error {
			if err := w.hashOne(ctx, cache, f, w.infos[i]); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done.Files++
			done.Bytes += f.Size
			if w.opts.Progress != nil {
				w.opts.Progress(done)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	cache.save(w.files, w.infos)
	return nil
}

func (w *walk) hashOne(ctx context.Context, cache *hashCache, f *File, info fs.FileInfo) error {
	if cache.lookup(f, info) {
		return nil
	}
	file, err := os.Open(w.native(f.Path))
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	defer file.Close()
	return hashInto(ctx, f, file)
}

func (w *walk) native(p string) string { return filepath.Join(w.dir, filepath.FromSlash(p)) }
