// Package source is where code comes from: a directory, an archive or a commit,
// frozen as a Snapshot that never changes.
package source

import (
	"cmp"
	"time"

	"naru/internal/app"
)

// Kind says where a snapshot came from.
type Kind string

// The origins of source.
const (
	Directory Kind = "directory"
	Archive   Kind = "archive"
	Git       Kind = "git"
)

// Origin tells people where a snapshot came from. Nothing is fetched from it
// again.
type Origin struct {
	Kind   Kind   `json:"kind"`
	URL    string `json:"url,omitempty"`    // without user and password
	Ref    string `json:"ref,omitempty"`    // branch, tag or commit, as asked for
	Commit string `json:"commit,omitempty"` // full object id
	Dirty  bool   `json:"dirty,omitempty"`  // the directory differed from the commit

	Committed int64 `json:"committed,omitempty"` // when the commit was made, in Unix seconds; 0: not known
}

// Snapshot is frozen source. Its digest is that of its manifest, so equal trees
// have equal digests wherever they came from.
type Snapshot struct {
	ID      string      `json:"id"`
	Space   app.SpaceID `json:"space"`
	Digest  string      `json:"digest"` // "sha256:..."
	Files   int         `json:"files"`  // files and symlinks
	Bytes   int64       `json:"bytes"`  // of all files
	Origin  Origin      `json:"origin"`
	Created time.Time   `json:"created"`
}

// Limits bound what is taken in. Zero fields mean the default.
type Limits struct {
	MaxFiles int   `json:"max_files"` // files and symlinks in a tree; 200,000
	MaxBytes int64 `json:"max_bytes"` // bytes of all files; 2 GiB
	MaxFile  int64 `json:"max_file"`  // bytes of one file; 1 GiB
	MaxPath  int   `json:"max_path"`  // bytes of a path inside the tree; 1,024
	MaxRatio int64 `json:"max_ratio"` // unpacked bytes over packed bytes of an archive above 64 MiB; 200
}

// Default limits.
const (
	DefaultMaxFiles = 200_000
	DefaultMaxBytes = 2 << 30
	DefaultMaxFile  = 1 << 30
	DefaultMaxPath  = 1024
	DefaultMaxRatio = 200
)

// Filled returns the limits with the defaults in place of zeros.
func (l Limits) Filled() Limits {
	l.MaxFiles = cmp.Or(l.MaxFiles, DefaultMaxFiles)
	l.MaxBytes = cmp.Or(l.MaxBytes, DefaultMaxBytes)
	l.MaxFile = cmp.Or(l.MaxFile, DefaultMaxFile)
	l.MaxPath = cmp.Or(l.MaxPath, DefaultMaxPath)
	l.MaxRatio = cmp.Or(l.MaxRatio, DefaultMaxRatio)
	return l
}
