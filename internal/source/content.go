package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"naru/internal/app"
	"naru/internal/fault"
)

// Content opens a content that the space has, named by its SHA-256.
func (s *Store) Content(space app.SpaceID, sha256 string) (io.ReadCloser, error) {
	dir, err := s.spaceDir(space)
	if err != nil {
		return nil, err
	}
	if !hex256.MatchString(sha256) {
		return nil, fault.New(fault.Invalid, "hash", "%q is not a sha256 in lower-case hex", sha256)
	}
	f, err := os.Open(blobPath(dir, sha256))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NotFound, "hash", "content %s is gone", sha256)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", sha256, err)
	}
	return f, nil
}
