package source

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	"naru/internal/fault"
)

// Modes of files. Nothing else of a mode is kept: owners, set-uid bits and
// umasks of the sender's machine have no meaning here.
const (
	Plain      fs.FileMode = 0o644
	Executable fs.FileMode = 0o755
)

// NormalMode is the kept mode for any mode: executable by its owner or not.
func NormalMode(m fs.FileMode) fs.FileMode {
	if m&0o100 != 0 {
		return Executable
	}
	return Plain
}

// File is one file or symlink of a tree. Directories are implied by the paths of
// files, as in git; empty ones are not kept.
type File struct {
	Path   string      `json:"path"`             // relative, with /, clean
	Mode   fs.FileMode `json:"mode,omitempty"`   // Plain or Executable; 0 for a symlink
	Size   int64       `json:"size"`             // bytes
	SHA256 string      `json:"sha256,omitempty"` // hex; "" for a symlink
	SHA1   string      `json:"sha1,omitempty"`   // hex; what Cloud Foundry clients name files by, not part of the digest
	Link   string      `json:"link,omitempty"`   // target of a symlink
}

// IsLink reports whether f is a symlink.
func (f File) IsLink() bool { return f.Link != "" }

// Manifest is a tree: its files, each with the hash of its content.
type Manifest []File

var (
	hex256 = regexp.MustCompile(`^[0-9a-f]{64}$`)
	hex1   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Sorted returns a copy in the order of paths.
func (m Manifest) Sorted() Manifest {
	out := slices.Clone(m)
	slices.SortFunc(out, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// encoded is the stored form. SHA-1 is left out: it is a second name for the
// same content, and a tree must not get a second digest from it.
type encoded struct {
	Version int        `json:"version"`
	Files   []fileLine `json:"files"`
}

type fileLine struct {
	Path   string      `json:"path"`
	Mode   fs.FileMode `json:"mode,omitempty"`
	Size   int64       `json:"size,omitempty"`
	SHA256 string      `json:"sha256,omitempty"`
	Link   string      `json:"link,omitempty"`
}

// Encode is the canonical form: the same tree gives the same bytes.
func (m Manifest) Encode() []byte {
	lines := make([]fileLine, 0, len(m))
	for _, f := range m.Sorted() {
		lines = append(lines, fileLine{f.Path, f.Mode, f.Size, f.SHA256, f.Link})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(encoded{1, lines}); err != nil {
		panic(err) // strings and numbers always encode
	}
	return b.Bytes()
}

// Decode reads what Encode wrote. It does not judge the tree: see Check.
func Decode(data []byte) (Manifest, error) {
	var e encoded
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("decode manifest: %w", err)
	}
	if e.Version != 1 {
		return nil, fault.New(fault.Unsupported, "manifest", "version %d of source manifests is not known", e.Version)
	}
	m := make(Manifest, 0, len(e.Files))
	for _, l := range e.Files {
		m = append(m, File{Path: l.Path, Mode: l.Mode, Size: l.Size, SHA256: l.SHA256, Link: l.Link})
	}
	return m, nil
}

// Digest names the tree: "sha256:" and the hash of its canonical form.
func (m Manifest) Digest() string {
	sum := sha256.Sum256(m.Encode())
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Bytes is the size of all files together.
func (m Manifest) Bytes() (n int64) {
	for _, f := range m {
		n += f.Size
	}
	return n
}

// Hashes lists each content once, sorted.
func (m Manifest) Hashes() []string {
	var out []string
	for _, f := range m {
		if !f.IsLink() {
			out = append(out, f.SHA256)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
