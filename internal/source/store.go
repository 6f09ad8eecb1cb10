package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/id"
)

// Store keeps contents and manifests by their hash, each space for itself: a
// hash must not become a key to the files of another space.
//
//	DIR/SPACE/aa/aa17...      a content or a manifest, named by its sha256
//	DIR/SPACE/sha1/bb/bb39... a symlink whose target is the sha256
//	DIR/SPACE/tmp/            what is being received
type Store struct {
	dir    string
	limits Limits

	// mu orders finding a content (read) and removing one (write), so that
	// nothing is removed between being promised and being touched. Both sides
	// hold it for single system calls only.
	mu sync.RWMutex
}

// New returns the store in dir, which is made when something is first received.
func New(dir string, limits Limits) *Store {
	return &Store{dir: dir, limits: limits.Filled()}
}

// Limits returns the limits in force.
func (s *Store) Limits() Limits { return s.limits }

var spaceOK = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func (s *Store) spaceDir(space app.SpaceID) (string, error) {
	if !spaceOK.MatchString(string(space)) {
		return "", fault.New(fault.Invalid, "space", "%q is not the id of a space", space)
	}
	return filepath.Join(s.dir, string(space)), nil
}

func blobPath(spaceDir, hash string) string { return filepath.Join(spaceDir, hash[:2], hash) }

// Missing returns those of the hashes whose content the space does not have, in
// the order asked and each once. What is there counts as used just now, so that
// a sweep leaves it alone until the tree is frozen.
func (s *Store) Missing(ctx context.Context, space app.SpaceID, hashes []string) ([]string, error) {
	dir, err := s.spaceDir(space)
	if err != nil {
		return nil, err
	}
	if len(hashes) > s.limits.MaxFiles {
		return nil, tooManyFiles(s.limits)
	}
	missing := []string{}
	seen := make(map[string]bool, len(hashes))
	for _, hash := range hashes {
		if !hex256.MatchString(hash) {
			return nil, fault.New(fault.Invalid, "hashes", "%q is not a sha256 in lower-case hex", hash)
		}
		if seen[hash] {
			continue
		}
		seen[hash] = true
		_, err := s.use(dir, hash)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, hash)
		case err != nil:
			return nil, fmt.Errorf("look for %s: %w", hash, err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// touchAfter spares a write for each look at a content that was used lately.
const touchAfter = 10 * time.Minute

// use returns the size of a content and marks it as used now.
func (s *Store) use(spaceDir, hash string) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := blobPath(spaceDir, hash)
	info, err := os.Stat(p)
	if err != nil {
		return 0, err
	}
	if now := time.Now(); now.Sub(info.ModTime()) > touchAfter {
		err = os.Chtimes(p, now, now)
	}
	return info.Size(), err
}

// BySHA1 finds contents by the names that Cloud Foundry clients use. The result
// holds those the space has, SHA256, SHA1 and Size filled in.
func (s *Store) BySHA1(ctx context.Context, space app.SpaceID, hashes []string) (map[string]File, error) {
	dir, err := s.spaceDir(space)
	if err != nil {
		return nil, err
	}
	found := map[string]File{}
	for _, sha1 := range hashes {
		if !hex1.MatchString(sha1) {
			return nil, fault.New(fault.Invalid, "hashes", "%q is not a sha1 in lower-case hex", sha1)
		}
		hash, err := os.Readlink(sha1Path(dir, sha1))
		if err != nil || !hex256.MatchString(hash) {
			continue
		}
		if size, err := s.use(dir, hash); err == nil {
			found[sha1] = File{SHA256: hash, SHA1: sha1, Size: size}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func sha1Path(spaceDir, sha1 string) string { return filepath.Join(spaceDir, "sha1", sha1[:2], sha1) }

// Freeze makes a snapshot of a tree whose contents were received. It fails
// naming the files whose content is not there.
func (s *Store) Freeze(ctx context.Context, space app.SpaceID, m Manifest, origin Origin) (Snapshot, error) {
	dir, err := s.spaceDir(space)
	if err != nil {
		return Snapshot{}, err
	}
	if err := m.Check(s.limits); err != nil {
		return Snapshot{}, err
	}
	m = m.Sorted()
	if err := s.checkContents(ctx, dir, m); err != nil {
		return Snapshot{}, err
	}
	data := m.Encode()
	b := s.newBatch(dir)
	defer b.discard()
	if _, err := b.write(ctx, strings.NewReader(string(data)), int64(len(data))); err != nil {
		return Snapshot{}, fmt.Errorf("freeze: %w", err)
	}
	if err := b.flush(); err != nil {
		return Snapshot{}, fmt.Errorf("freeze: %w", err)
	}
	return Snapshot{
		ID: id.New(), Space: space, Digest: m.Digest(), Files: len(m), Bytes: m.Bytes(),
		Origin: origin, Created: time.Now().UTC(),
	}, nil
}

// checkContents looks for each content of the tree, with the size it should have.
func (s *Store) checkContents(ctx context.Context, dir string, m Manifest) error {
	const named = 10
	var missing []string
	n := 0
	for _, f := range m {
		if f.IsLink() {
			continue
		}
		size, err := s.use(dir, f.SHA256)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if n++; len(missing) < named {
				missing = append(missing, f.Path)
			}
		case err != nil:
			return fmt.Errorf("look for %s: %w", f.Path, err)
		case size != f.Size:
			return fault.New(fault.Invalid, f.Path, "the manifest says %d bytes, the content has %d", f.Size, size)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if n == 0 {
		return nil
	}
	list := strings.Join(missing, ", ")
	if n > named {
		list += fmt.Sprintf(" and %d more", n-named)
	}
	return fault.New(fault.Conflict, "source", "the content of %d files was not uploaded: %s", n, list).
		WithTry("push again; only what is missing is sent")
}

// Load reads the tree of a snapshot by its digest.
func (s *Store) Load(_ context.Context, space app.SpaceID, digest string) (Manifest, error) {
	dir, err := s.spaceDir(space)
	if err != nil {
		return nil, err
	}
	hash, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || !hex256.MatchString(hash) {
		return nil, fault.New(fault.Invalid, "digest", "%q is not the digest of a snapshot", digest)
	}
	data, err := os.ReadFile(blobPath(dir, hash))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "digest", "snapshot %s is gone", digest).
			WithTry("push the source again")
	}
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", digest, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("load %s: the file on disk is damaged", digest)
	}
	return Decode(data)
}

// Spaces lists the spaces that have source, for whoever sweeps them.
func (s *Store) Spaces() ([]app.SpaceID, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []app.SpaceID
	for _, e := range entries {
		if e.IsDir() && spaceOK.MatchString(e.Name()) {
			out = append(out, app.SpaceID(e.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}
