package api

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"naru/internal/fault"
)

// maxReply bounds an answer that is remembered, in bytes.
const maxReply = 256 << 10

// replies remembers the answers to requests with an Idempotency-Key, so that a
// client that lost one may ask again. They live as long as the process: what
// must not be done twice after a crash is an operation, which the store knows by
// the same key.
type replies struct {
	most     int
	lifetime time.Duration

	mu    sync.Mutex // guards all below
	byKey map[replyKey]*reply
	order []replyKey // oldest first
}

type replyKey struct{ user, key string }

// reply is an answer, or that one is being made.
type reply struct {
	route  string // method and path it was made for
	made   time.Time
	ready  chan struct{} // closed when the rest is known
	status int           // 0: none was remembered, ask again
	header map[string]string
	body   []byte
}

func newReplies(most int, lifetime time.Duration) *replies {
	return &replies{most: most, lifetime: lifetime, byKey: map[replyKey]*reply{}}
}

// begin returns the reply of a key; mine tells that the caller has to make it.
func (r *replies) begin(k replyKey, route string, now time.Time) (rep *reply, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 {
		oldest := r.byKey[r.order[0]]
		if oldest != nil && len(r.order) < r.most && now.Sub(oldest.made) < r.lifetime {
			break
		}
		delete(r.byKey, r.order[0])
		r.order = r.order[1:]
	}
	if rep, ok := r.byKey[k]; ok {
		return rep, false
	}
	rep = &reply{route: route, made: now, ready: make(chan struct{})}
	r.byKey[k] = rep
	r.order = append(r.order, k)
	return rep, true
}

// end publishes a reply; one that is not worth keeping is forgotten.
func (r *replies) end(k replyKey, rep *reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rep.status == 0 && r.byKey[k] == rep {
		delete(r.byKey, k)
	}
	close(rep.ready)
}

// once answers a second request with a key like the first.
func (s *server) once(ctx huma.Context, next func(huma.Context)) {
	rq := requestOf(ctx.Context())
	if rq.key == "" || rq.who.UserID == "" || ctx.Method() == http.MethodGet {
		next(ctx)
		return
	}
	u := ctx.URL()
	k, route := replyKey{string(rq.who.UserID), rq.key}, ctx.Method()+" "+u.RequestURI()
	for {
		rep, mine := s.replies.begin(k, route, time.Now())
		if mine {
			s.record(ctx, next, k, rep)
			return
		}
		if rep.route != route {
			s.refuse(ctx, fault.New(fault.Invalid, "Idempotency-Key", "the key was used for %s", rep.route).
				WithTry("use a new key for every request"))
			return
		}
		select {
		case <-ctx.Context().Done():
			return
		case <-rep.ready:
		}
		if rep.status != 0 {
			rep.replay(ctx)
			return
		}
	}
}

// record lets the handler answer and remembers a success. A failure is not
// remembered: the second try may do better.
func (s *server) record(ctx huma.Context, next func(huma.Context), k replyKey, rep *reply) {
	rec := &recorder{inner: ctx, header: map[string]string{}}
	defer func() {
		if rec.status >= 200 && rec.status < 300 && rec.body.Len() <= maxReply {
			rep.status, rep.header, rep.body = rec.status, rec.header, rec.body.Bytes()
		}
		s.replies.end(k, rep)
	}()
	next(rec)
}

func (rep *reply) replay(ctx huma.Context) {
	for name, value := range rep.header {
		ctx.SetHeader(name, value)
	}
	ctx.SetHeader("Idempotent-Replayed", "true")
	ctx.SetStatus(rep.status)
	_, _ = ctx.BodyWriter().Write(rep.body) // whether the client still reads is its own affair
}

// inner keeps the embedded context from hiding its own method Context.
type inner = huma.Context

// recorder keeps what is answered.
type recorder struct {
	inner
	status int
	header map[string]string
	body   bytes.Buffer
}

// Unwrap lets the adapter find its own context.
func (r *recorder) Unwrap() huma.Context { return r.inner }

func (r *recorder) SetStatus(code int) {
	r.status = code
	r.inner.SetStatus(code)
}

func (r *recorder) SetHeader(name, value string) {
	r.header[name] = value
	r.inner.SetHeader(name, value)
}

func (r *recorder) BodyWriter() io.Writer { return io.MultiWriter(r.inner.BodyWriter(), &r.body) }
