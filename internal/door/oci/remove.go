package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"naru/internal/artifact"
)

// Remove removes garbage: what names things before the things named.
func (r *Registry) Remove(ctx context.Context, g artifact.Garbage) (freed int64, err error) {
	touched := map[string]bool{} // repositories that may be empty now
	for _, m := range g.Manifests {
		touched[m.Repository] = true
		if err := r.removeManifest(m); err != nil {
			return freed, fmt.Errorf("remove %s: %w", m.Ref, err)
		}
	}
	for _, l := range g.Links {
		touched[l.Repository] = true
		if err := os.RemoveAll(filepath.Join(r.repositoryDir(l.Repository), "_layers", "sha256", hashOf(l.Digest))); err != nil {
			return freed, fmt.Errorf("remove layer %s: %w", l, err)
		}
	}
	for _, b := range g.Blobs {
		n, err := r.removeBlob(b, g)
		if err != nil {
			return freed, fmt.Errorf("remove blob %s: %w", b.Digest, err)
		}
		freed += n
		if err := ctx.Err(); err != nil {
			return freed, err
		}
	}
	for _, u := range g.Uploads {
		touched[u.Repository] = true
		if err := os.RemoveAll(filepath.Join(r.repositoryDir(u.Repository), "_uploads", u.ID)); err != nil {
			return freed, fmt.Errorf("remove upload of %s: %w", u.Repository, err)
		}
		freed += u.Bytes
	}
	for name := range touched {
		if err := r.removeIfEmpty(name); err != nil {
			return freed, fmt.Errorf("remove repository %s: %w", name, err)
		}
	}
	return freed, nil
}

func hashOf(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// removeManifest removes a revision, the tags that point to it, and what tags
// remember of it.
func (r *Registry) removeManifest(m artifact.Manifest) error {
	dir := filepath.Join(r.repositoryDir(m.Repository), "_manifests")
	for _, tag := range m.Tags {
		if err := os.RemoveAll(filepath.Join(dir, "tags", tag)); err != nil {
			return err
		}
	}
	tags, err := list(filepath.Join(dir, "tags"))
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := os.RemoveAll(filepath.Join(dir, "tags", tag, "index", "sha256", hashOf(m.Digest))); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(dir, "revisions", "sha256", hashOf(m.Digest)))
}

// removeBlob removes content, unless somebody asked for it meanwhile.
func (r *Registry) removeBlob(b artifact.Blob, g artifact.Garbage) (int64, error) {
	dir := r.blobDir(b.Digest)
	info, err := os.Stat(filepath.Join(dir, "data"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if info.ModTime().After(g.Before) {
		return 0, nil
	}
	return info.Size(), os.RemoveAll(dir)
}

// removeIfEmpty removes a repository that holds nothing any more, so that the
// catalog does not name it.
func (r *Registry) removeIfEmpty(name string) error {
	dir := r.repositoryDir(name)
	for _, part := range []string{"_manifests/revisions/sha256", "_manifests/tags", "_layers/sha256", "_uploads"} {
		left, err := list(filepath.Join(dir, filepath.FromSlash(part)))
		if err != nil || len(left) > 0 {
			return err
		}
	}
	for _, part := range []string{"_manifests", "_layers", "_uploads"} {
		if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
			return err
		}
	}
	// Its parents go while they are empty; the first that is not ends it.
	for top := filepath.Join(r.root(), "repositories"); dir != top; dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			return nil
		}
	}
	return nil
}
