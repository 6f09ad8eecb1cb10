package intake

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"time"

	"naru/internal/source"
)

// WriteZip writes the files of a package as a zip.
func (s *Service) WriteZip(ctx context.Context, w io.Writer, p source.Package) error {
	files, err := s.contents.Load(ctx, p.Space, p.Snapshot)
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.writeFile(z, p, f); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return z.Close()
}

func (s *Service) writeFile(z *zip.Writer, p source.Package, f source.File) error {
	h := &zip.FileHeader{Name: f.Path, Method: zip.Deflate, Modified: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(f.Mode)
	if f.IsLink() {
		h.SetMode(fs.ModeSymlink | 0o777)
	}
	to, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	if f.IsLink() {
		_, err = io.WriteString(to, f.Link)
		return err
	}
	r, err := s.contents.Content(p.Space, f.SHA256)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(to, r)
	return err
}
