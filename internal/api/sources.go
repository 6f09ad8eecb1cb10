package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"naru/internal/client"
	"naru/internal/fault"
)

type missingInput struct{ Body client.MissingQuery }

func (s *server) missing(ctx context.Context, in *missingInput) (client.Missing, error) {
	hashes, err := s.Sources.Missing(ctx, at(ctx).space.ID, in.Body.Hashes)
	if hashes == nil {
		hashes = []string{}
	}
	return client.Missing{Hashes: hashes}, err
}

type snapshotInput struct{ Body client.NewSnapshot }

func (s *server) freeze(ctx context.Context, in *snapshotInput) (client.Snapshot, error) {
	origin, err := originOf(in.Body.Origin)
	if err != nil {
		return client.Snapshot{}, err
	}
	snap, err := s.Sources.Freeze(ctx, requestOf(ctx).by(), at(ctx).space.ID, in.Body.Files, origin)
	return snapshotOf(snap), err
}

type snapshotPath struct {
	Snapshot string `path:"snapshot" maxLength:"128" doc:"id or digest"`
}

func (s *server) getSnapshot(ctx context.Context, in *snapshotPath) (client.Snapshot, error) {
	snap, err := s.Sources.Snapshot(ctx, at(ctx).space.ID, in.Snapshot)
	return snapshotOf(snap), err
}

// uploadInput is a request whose body is read as it comes.
type uploadInput struct {
	kind   string
	length int64
	body   io.Reader
	w      http.ResponseWriter
}

// Resolve takes the body from the request.
func (in *uploadInput) Resolve(ctx huma.Context) []error {
	r, w := humago.Unwrap(ctx)
	in.kind, _, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	in.length, in.body, in.w = r.ContentLength, r.Body, w
	return nil
}

func (s *server) receive(ctx context.Context, in *uploadInput) (out client.Received, err error) {
	if in.kind != string(client.Tar) {
		return out, wrongType(in.kind, client.Tar)
	}
	body, err := s.upload(in)
	if err != nil {
		return out, err
	}
	got, err := s.Sources.Receive(ctx, at(ctx).space.ID, body)
	return client.Received{Files: got.Files, Bytes: got.Bytes}, body.explain(err)
}

func (s *server) unpack(ctx context.Context, in *uploadInput) (client.Snapshot, error) {
	kind := client.ArchiveType(in.kind)
	if kind != client.Tar && kind != client.TarGz && kind != client.Zip {
		return client.Snapshot{}, wrongType(in.kind, client.TarGz, client.Tar, client.Zip)
	}
	body, err := s.upload(in)
	if err != nil {
		return client.Snapshot{}, err
	}
	snap, err := s.Sources.Unpack(ctx, requestOf(ctx).by(), at(ctx).space.ID, kind, body)
	return snapshotOf(snap), body.explain(err)
}

func wrongType(got string, want ...client.ArchiveType) error {
	return fault.New(fault.Invalid, "Content-Type", "%q is not taken here; %v are", got, want)
}

// upload is the body of a request, bounded in size and in silence.
func (s *server) upload(in *uploadInput) (*bounded, error) {
	if in.length > s.cfg.UploadBytes {
		return nil, tooLarge(s.cfg.UploadBytes)
	}
	return &bounded{r: in.body, left: s.cfg.UploadBytes, most: s.cfg.UploadBytes, idle: s.cfg.IdleTimeout, control: http.NewResponseController(in.w)}, nil
}

// bounded reads an upload. A client that stops sending is let go.
type bounded struct {
	r          io.Reader
	left, most int64
	idle       time.Duration
	control    *http.ResponseController
	err        error // what ended the reading, in words for people
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	// A server whose connections know no deadline reads without one.
	_ = b.control.SetReadDeadline(time.Now().Add(b.idle))
	n, err := b.r.Read(p)
	switch b.left -= int64(n); {
	case b.left < 0:
		b.err = tooLarge(b.most)
		return 0, b.err
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = fault.New(fault.Unavailable, "", "nothing of the upload came for %s", b.idle).WithTry("try again")
		return n, b.err
	}
	return n, err
}

// explain prefers why the reading ended to what the reader made of it.
func (b *bounded) explain(err error) error {
	if err != nil && b.err != nil {
		return b.err
	}
	return err
}

func tooLarge(most int64) error {
	return fault.New(fault.TooLarge, "source", "the upload is over the limit of %d MiB", most>>20).
		WithTry("leave out what the build makes or fetches itself with .cfignore, or raise upload.bytes")
}

// uploads is call for a body that is read as it comes.
func uploads(a answer, kinds ...client.ArchiveType) answer {
	return func(s *server, op huma.Operation) {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
		for _, k := range kinds {
			op.RequestBody.Content[string(k)] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
		}
		a(s, op)
	}
}
