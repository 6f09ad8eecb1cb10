package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// stream writes an answer that comes bit by bit. Nothing is sent before the
// first bit, so an error before it has a status of its own.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	kind    string
	idle    time.Duration // in which the client must take what is written
	begun   bool
}

func (st *stream) begin() {
	if !st.begun {
		st.begun = true
		st.w.Header().Set("Content-Type", st.kind)
		st.w.Header().Set("X-Accel-Buffering", "no")
		st.w.WriteHeader(http.StatusOK)
	}
}

// Write sends bytes.
func (st *stream) Write(p []byte) (int, error) {
	st.begin()
	// A server whose connections know no deadline writes without one.
	_ = st.control.SetWriteDeadline(time.Now().Add(st.idle))
	return st.w.Write(p)
}

// line sends a value as one line of JSON. flush sends what was written so far.
func (st *stream) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = st.Write(append(text, '\n'))
	return err
}

func (st *stream) flush() error {
	st.begin()
	return st.control.Flush()
}

const ndjson = "application/x-ndjson"

// streams answers with what fn writes. item is an example of a line, nil for
// bytes.
func streams[I any](kind string, item any, fn func(context.Context, *I, *stream) error) answer {
	return func(s *server, op huma.Operation) {
		schema := &huma.Schema{Type: huma.TypeString, Format: "binary"}
		if item != nil {
			schema = s.schema(item)
		}
		op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{kind: {Schema: schema}}}
		register(s, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
			return &huma.StreamResponse{Body: func(hc huma.Context) {
				_, w := humago.Unwrap(hc)
				st := &stream{w: w, control: http.NewResponseController(w), kind: kind, idle: s.cfg.IdleTimeout}
				s.endStream(ctx, hc, st, fn(ctx, in, st))
			}}, nil
		})
	}
}

// endStream says how a stream ended: an error before its first bit is an answer
// of its own; later it is the last line of JSON, and a stream of bytes is broken
// off, so that nobody takes it for whole.
func (s *server) endStream(ctx context.Context, hc huma.Context, st *stream, err error) {
	switch {
	case ctx.Err() != nil:
		if st.begun && st.kind != ndjson {
			panic(http.ErrAbortHandler)
		}
	case err == nil:
		st.begin()
	case !st.begun:
		s.refuse(hc, err)
	default:
		p := s.problemOf(ctx, err)
		if st.kind != ndjson || st.line(p.Problem) != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// wait returns when there may be news or it is time for a sign of life, which it
// tells; or with the context's error.
func (s *server) wait(ctx context.Context, news <-chan struct{}) (silent bool, err error) {
	timer := time.NewTimer(s.cfg.Heartbeat)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-news:
		return false, nil
	case <-timer.C:
		return true, nil
	}
}
