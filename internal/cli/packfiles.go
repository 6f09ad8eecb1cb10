package cli

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/size"
)

// packed are the files of a buildpack as they lie on this machine.
type packed struct {
	path  string
	kind  client.ArchiveType
	bytes int64 // of the archive; 0 of a folder, which is packed as it is sent
	dir   bool  // it is a folder
}

// packFiles looks at what is to be uploaded.
func packFiles(path string) (*packed, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Invalid, "path", "%s does not exist", path).WithTry("the folder of a buildpack, or an archive of it")
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, "path", err)
	}
	if info.IsDir() {
		if !holdsBuildpack(path) {
			return nil, fault.New(fault.Invalid, "path", "%s holds neither bin/supply nor bin/finalize nor bin/compile", path).
				WithTry("the folder that holds bin")
		}
		return &packed{path: path, kind: client.TarGz, dir: true}, nil
	}
	kind := archives[strings.ToLower(filepath.Ext(path))]
	if !info.Mode().IsRegular() || kind == "" {
		return nil, fault.New(fault.Invalid, "path", "%s is neither a folder nor an archive (.zip, .tar, .tar.gz)", path).WithTry("the folder of a buildpack, or an archive of it")
	}
	return &packed{path: path, kind: kind, bytes: info.Size()}, nil
}

func holdsBuildpack(dir string) bool {
	for _, name := range []string{"supply", "finalize", "compile"} {
		if info, err := os.Stat(filepath.Join(dir, "bin", name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// sendBuildpack uploads files for a buildpack, once more where the connection breaks.
func (c *cmd) sendBuildpack(ctx context.Context, cl *client.Client, which client.PickedBuildpack, files *packed) (client.Buildpack, error) {
	server, err := cl.Info(ctx)
	if err != nil {
		return client.Buildpack{}, err
	}
	if most := server.Limits.UploadBytes; most > 0 && files.bytes > most {
		return client.Buildpack{}, fault.New(fault.TooLarge, "path", "%s has %s, the server takes at most %s", files.path, size.Text(files.bytes), size.Text(most)).
			WithTry("have the setting upload.bytes raised")
	}
	defer c.screen.rest()
	for try := 0; ; try++ {
		b, err := c.sendOnce(ctx, cl, which, files)
		if err == nil || try+1 == uploads || ctx.Err() != nil || !fault.Is(err, fault.Unavailable) {
			return b, err
		}
		c.screen.waiting(err, 0)
		if _, ready := cl.Buildpack(ctx, which); ready != nil { // which waits until the server answers
			return b, ready
		}
		c.screen.answered()
	}
}

func (c *cmd) sendOnce(ctx context.Context, cl *client.Client, which client.PickedBuildpack, files *packed) (client.Buildpack, error) {
	of := ""
	if files.bytes > 0 {
		of = " of " + size.Text(files.bytes)
	}
	body, filename, err := files.open(ctx)
	if err != nil {
		return client.Buildpack{}, err
	}
	b, err := cl.UploadBuildpack(ctx, which, files.kind, filename, &meter{r: body, moved: func(n int64) {
		c.screen.draw("  sending " + filename + ": " + size.Text(n) + of)
	}})
	if local := body.Close(); local != nil {
		return b, local // why the server got no more
	}
	return b, err
}

// open returns the files as an archive, and its name for people. Close tells what
// went wrong while a folder was packed.
func (p *packed) open(ctx context.Context) (io.ReadCloser, string, error) {
	if !p.dir {
		f, err := os.Open(p.path)
		if err != nil {
			return nil, "", fault.Wrap(fault.Invalid, "path", err)
		}
		return f, filepath.Base(p.path), nil
	}
	dir, err := filepath.Abs(p.path)
	if err != nil {
		return nil, "", fmt.Errorf("find %s: %w", p.path, err)
	}
	r, w := io.Pipe()
	f := &packing{PipeReader: r, wrote: make(chan error, 1)}
	go func() {
		err := writeTar(ctx, w, dir)
		w.CloseWithError(err)
		f.wrote <- err
	}()
	return f, filepath.Base(dir) + ".tar.gz", nil
}

// packing is a folder on its way into an archive.
type packing struct {
	*io.PipeReader
	wrote chan error
}

// Close ends the packing and returns why the folder could not be packed.
func (p *packing) Close() error {
	_ = p.CloseWithError(io.ErrClosedPipe) // ends the writer when the server did not read all
	if err := <-p.wrote; err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// writeTar packs a folder, without what git keeps of it.
func writeTar(ctx context.Context, w io.Writer, dir string) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name == ".git" {
			return skipped(e)
		}
		if e.IsDir() {
			return nil
		}
		return addToTar(t, path, filepath.ToSlash(name), e)
	})
	if err != nil {
		return fmt.Errorf("pack %s: %w", dir, err)
	}
	return errors.Join(t.Close(), z.Close())
}

func skipped(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func addToTar(t *tar.Writer, path, name string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	case !info.Mode().IsRegular():
		return fault.New(fault.Invalid, "path", "%s is neither a file nor a folder nor a link", path).WithTry("take it out of the buildpack")
	}
	h, err := tar.FileInfoHeader(info, filepath.ToSlash(link))
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = name, 0, 0, "", ""
	if err := t.WriteHeader(h); err != nil || link != "" {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return errors.Join(err, f.Close())
}
