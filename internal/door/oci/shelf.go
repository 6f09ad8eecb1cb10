package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"naru/internal/artifact"
)

// The layout of distribution's storage, unchanged since its version 2:
//
//	docker/registry/v2/blobs/sha256/aa/aa12.../data
//	docker/registry/v2/repositories/NAME/_manifests/revisions/sha256/DIGEST/link
//	docker/registry/v2/repositories/NAME/_manifests/tags/TAG/current/link
//	docker/registry/v2/repositories/NAME/_layers/sha256/DIGEST/link
//	docker/registry/v2/repositories/NAME/_uploads/ID/data
func (r *Registry) root() string {
	return filepath.Join(r.cfg.Dir, "docker", "registry", "v2")
}

func (r *Registry) repositoryDir(name string) string {
	return filepath.Join(r.root(), "repositories", filepath.FromSlash(name))
}

func (r *Registry) blobDir(digest string) string {
	hash := strings.TrimPrefix(digest, "sha256:")
	return filepath.Join(r.root(), "blobs", "sha256", hash[:2], hash)
}

// Hold keeps changes out; clients are told to come back. Reads go on.
func (r *Registry) Hold(ctx context.Context) (release func(), err error) {
	if err := r.gate.close(ctx); err != nil {
		return nil, err
	}
	return r.gate.open, nil
}

// list names what is in a folder; a folder that is not there is empty.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// repositories lists the names of all repositories, sorted.
func (r *Registry) repositories() ([]string, error) {
	var names []string
	top := filepath.Join(r.root(), "repositories")
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.IsDir() || !strings.HasPrefix(d.Name(), "_") {
			return err
		}
		if name, err := filepath.Rel(top, filepath.Dir(p)); err == nil && wellNamed(filepath.ToSlash(name)) {
			names = append(names, filepath.ToSlash(name))
		}
		return fs.SkipDir
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// Inventory lists all manifests, links, blobs and uploads.
func (r *Registry) Inventory(ctx context.Context) (inv artifact.Inventory, err error) {
	names, err := r.repositories()
	if err != nil {
		return inv, fmt.Errorf("list repositories: %w", err)
	}
	for _, name := range names {
		if err := r.listRepository(ctx, name, &inv); err != nil {
			return inv, fmt.Errorf("list %s: %w", name, err)
		}
	}
	if err := r.listBlobs(ctx, &inv); err != nil {
		return inv, fmt.Errorf("list blobs: %w", err)
	}
	return inv, nil
}

func (r *Registry) listRepository(ctx context.Context, name string, inv *artifact.Inventory) error {
	dir := r.repositoryDir(name)
	tags, err := readTags(filepath.Join(dir, "_manifests", "tags"))
	if err != nil {
		return err
	}
	manifests, err := listLinks(filepath.Join(dir, "_manifests", "revisions", "sha256"), name)
	if err != nil {
		return err
	}
	for _, l := range manifests {
		m, err := r.describe(l, tags[l.Digest])
		if err != nil {
			return err
		}
		inv.Manifests = append(inv.Manifests, m)
	}
	layers, err := listLinks(filepath.Join(dir, "_layers", "sha256"), name)
	if err != nil {
		return err
	}
	inv.Links = append(inv.Links, layers...)
	uploads, err := listUploads(filepath.Join(dir, "_uploads"), name)
	if err != nil {
		return err
	}
	inv.Uploads = append(inv.Uploads, uploads...)
	return ctx.Err()
}

// describe reads what a manifest needs. One whose content is gone needs nothing;
// one that cannot be read is an error.
func (r *Registry) describe(l artifact.Link, tags []string) (artifact.Manifest, error) {
	m := artifact.Manifest{Ref: l.Ref, Tags: tags, Stored: l.Stored}
	content, err := r.readManifest(l.Digest)
	if errors.Is(err, errNoBlob) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	m.Needs = content.needs()
	if content.Subject != nil {
		m.Subject = content.Subject.Digest
	}
	if info, err := os.Stat(filepath.Join(r.blobDir(l.Digest), "data")); err == nil && info.ModTime().After(m.Stored) {
		m.Stored = info.ModTime()
	}
	return m, nil
}

// listLinks lists the folders of digests that hold a link.
func listLinks(dir, repository string) ([]artifact.Link, error) {
	hashes, err := list(dir)
	if err != nil {
		return nil, err
	}
	var out []artifact.Link
	for _, hash := range hashes {
		ref, err := artifact.ParseRef(repository + "@sha256:" + hash)
		if err != nil {
			continue // not ours
		}
		info, err := os.Stat(filepath.Join(dir, hash, "link"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted through the API
		}
		if err != nil {
			return nil, err
		}
		out = append(out, artifact.Link{Ref: ref, Stored: info.ModTime()})
	}
	return out, nil
}

// readTags tells which tags point to each digest.
func readTags(dir string) (map[string][]string, error) {
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, tag := range names {
		link, err := os.ReadFile(filepath.Join(dir, tag, "current", "link"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[string(link)] = append(out[string(link)], tag)
	}
	return out, nil
}

func listUploads(dir, repository string) ([]artifact.Upload, error) {
	ids, err := list(dir)
	if err != nil {
		return nil, err
	}
	var out []artifact.Upload
	for _, id := range ids {
		u := artifact.Upload{Repository: repository, ID: id}
		err := filepath.WalkDir(filepath.Join(dir, id), func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if info.ModTime().After(u.Stored) {
				u.Stored = info.ModTime()
			}
			if info.Mode().IsRegular() {
				u.Bytes += info.Size()
			}
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) {
			u.Stored = time.Now() // it just ended
		} else if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

func (r *Registry) listBlobs(ctx context.Context, inv *artifact.Inventory) error {
	top := filepath.Join(r.root(), "blobs", "sha256")
	folders, err := list(top)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		hashes, err := list(filepath.Join(top, folder))
		if err != nil {
			return err
		}
		for _, hash := range hashes {
			info, err := os.Stat(filepath.Join(top, folder, hash, "data"))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			inv.Blobs = append(inv.Blobs, artifact.Blob{Digest: "sha256:" + hash, Bytes: info.Size(), Stored: info.ModTime()})
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// errNoBlob says that a digest has no content here.
var errNoBlob = errors.New("no such blob")

// manifest is what image manifests and indexes of both families share.
type manifest struct {
	Config    *descriptor  `json:"config"`
	Layers    []descriptor `json:"layers"`
	Blobs     []descriptor `json:"blobs"`
	Manifests []descriptor `json:"manifests"`
	Subject   *descriptor  `json:"subject"`
}

type descriptor struct {
	Digest string `json:"digest"`
}

func (m manifest) needs() []string {
	out := m.manifests()
	for _, d := range slices.Concat(m.Layers, m.Blobs) {
		out = append(out, d.Digest)
	}
	if m.Config != nil {
		out = append(out, m.Config.Digest)
	}
	return out
}

func (m manifest) manifests() []string {
	var out []string
	for _, d := range m.Manifests {
		out = append(out, d.Digest)
	}
	return out
}

// maxManifest is what distribution accepts, in bytes.
const maxManifest = 4 << 20

func (r *Registry) readManifest(digest string) (m manifest, err error) {
	p := filepath.Join(r.blobDir(digest), "data")
	info, err := os.Stat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return m, errNoBlob
	}
	if err != nil {
		return m, err
	}
	if info.Size() > maxManifest {
		return m, fmt.Errorf("manifest %s has %d bytes", digest, info.Size())
	}
	data, err := os.ReadFile(p)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("manifest %s: %w", digest, err)
	}
	return m, nil
}
