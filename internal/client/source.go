package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"naru/internal/source"
)

// MissingQuery asks which contents a space lacks.
type MissingQuery struct {
	Hashes []string `json:"hashes" maxItems:"200000" doc:"sha256 of contents, in hex"`
}

// Missing are the contents that a space lacks.
type Missing struct {
	Hashes []string `json:"hashes" doc:"those to upload, in the order asked"`
}

// Received says what an upload brought.
type Received struct {
	Files int   `json:"files" doc:"contents that were new"`
	Bytes int64 `json:"bytes" doc:"their size"`
}

// NewSnapshot is a tree whose contents were uploaded, to be frozen.
type NewSnapshot struct {
	Files  source.Manifest `json:"files" doc:"files and symlinks"`
	Origin Origin          `json:"origin,omitzero" doc:"where the tree comes from"`
}

// Origin tells people where source comes from.
type Origin struct {
	Kind   string `json:"kind" enum:"directory,archive,git"`
	URL    string `json:"url,omitempty" maxLength:"2048" doc:"of the repository, without user and password"`
	Ref    string `json:"ref,omitempty" maxLength:"1024" doc:"branch, tag or commit, as asked for"`
	Commit string `json:"commit,omitempty" maxLength:"64" doc:"full object id"`
	Dirty  bool   `json:"dirty,omitempty" doc:"the directory differed from the commit"`

	Committed int64 `json:"committed,omitempty" doc:"when the commit was made, in Unix seconds"`
}

// Snapshot is frozen source.
type Snapshot struct {
	ID        string    `json:"id"`
	Digest    string    `json:"digest" doc:"sha256:...; equal trees have equal digests"`
	Files     int       `json:"files"`
	Bytes     int64     `json:"bytes"`
	Origin    Origin    `json:"origin"`
	CreatedAt time.Time `json:"created_at"`
}

// ArchiveType is the content type of an uploaded archive.
type ArchiveType string

// The archives that are taken.
const (
	TarGz ArchiveType = "application/gzip"
	Tar   ArchiveType = "application/x-tar"
	Zip   ArchiveType = "application/zip"
)

// MissingSource asks which of the contents the space lacks.
func (s *InSpace) MissingSource(ctx context.Context, hashes []string) ([]string, error) {
	var m Missing
	err := s.c.post(ctx, s.path+"/source/missing", MissingQuery{hashes}, &m)
	return m.Hashes, err
}

// UploadSource sends contents: tar is a tar stream in which every entry is named
// by the sha256 of its content in hex. What arrived whole before a break stays,
// so asking MissingSource again makes the second try shorter.
func (s *InSpace) UploadSource(ctx context.Context, tar io.Reader) (r Received, err error) {
	err = s.c.do(ctx, call{method: http.MethodPost, path: s.path + "/source/contents", body: tar, kind: string(Tar)}, &r)
	return r, err
}

// FreezeSource makes a snapshot of a tree whose contents the space has.
func (s *InSpace) FreezeSource(ctx context.Context, in NewSnapshot) (n Snapshot, err error) {
	err = s.c.post(ctx, s.path+"/source/snapshots", in, &n)
	return n, err
}

// UploadArchive sends a whole tree as an archive and freezes it.
func (s *InSpace) UploadArchive(ctx context.Context, kind ArchiveType, archive io.Reader) (n Snapshot, err error) {
	err = s.c.do(ctx, call{method: http.MethodPost, path: s.path + "/source/archives", body: archive, kind: string(kind)}, &n)
	return n, err
}

// Snapshot returns a snapshot by its id or digest.
func (s *InSpace) Snapshot(ctx context.Context, id string) (n Snapshot, err error) {
	err = s.c.get(ctx, join(s.path+"/source/snapshots", id), nil, &n)
	return n, err
}

// copyWhole copies an answer's body to w. A stream that broke is an error, also
// where the server ended it so that the client should notice.
func copyWhole(w io.Writer, res *http.Response) error {
	n, err := io.Copy(w, res.Body)
	if err == nil && res.ContentLength >= 0 && n != res.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errBroken
	}
	return err
}
