package source

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"

	"naru/internal/fault"
)

// Progress tells how far a walk or an upload has come.
type Progress struct {
	Files int   // done
	Bytes int64 // done
}

// WriteUpload writes the stream that Receive reads: the contents named in want,
// read from the files of m below dir. It never holds a file in memory.
func WriteUpload(ctx context.Context, w io.Writer, dir string, m Manifest, want []string, progress func(Progress)) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer root.Close()
	wanted := make(map[string]bool, len(want))
	for _, hash := range want {
		wanted[hash] = true
	}
	tw := tar.NewWriter(w)
	var done Progress
	for _, f := range m {
		if f.IsLink() || !wanted[f.SHA256] {
			continue
		}
		delete(wanted, f.SHA256) // a content is sent once, however many files have it
		if err := writeContent(ctx, tw, root, f); err != nil {
			return err
		}
		done.Files++
		done.Bytes += f.Size
		if progress != nil {
			progress(done)
		}
	}
	return tw.Close()
}

func writeContent(ctx context.Context, tw *tar.Writer, root *os.Root, f File) error {
	file, err := root.Open(f.Path)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	defer file.Close()
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.SHA256, Size: f.Size, Mode: 0o644}); err != nil {
		return fmt.Errorf("send %s: %w", f.Path, err)
	}
	n, err := io.Copy(tw, io.LimitReader(reader{ctx, file}, f.Size))
	if err != nil {
		return fmt.Errorf("send %s: %w", f.Path, err)
	}
	if n != f.Size {
		return fault.New(fault.Conflict, f.Path, "the file became shorter while it was sent").
			WithTry("push again once nothing writes into the directory")
	}
	return nil
}
