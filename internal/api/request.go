package api

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
)

// request is what is known of a request while it is answered. One goroutine at a
// time fills it in.
type request struct {
	id     string
	route  string // pattern of the route, "" for none
	remote string // address of the client
	key    string // Idempotency-Key
	who    auth.Identity
	place  place
}

// by is who asks, for the services.
func (r *request) by() operation.Ask { return operation.Ask{Actor: r.who.Name, Key: r.key} }

type requestKey struct{}

// requestOf returns the request a context belongs to.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

// outermost is around every request: an id, sane headers, a line in the access
// log, and a panic is one request's error. The log has no query and no header,
// for secrets may be there.
func (s *server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rq := &request{id: id.New(), remote: s.remote(r), key: r.Header.Get("Idempotency-Key")}
		ctx := auth.From(context.WithValue(r.Context(), requestKey{}, rq), rq.remote)
		out := &response{ResponseWriter: w}
		h := w.Header()
		h.Set("X-Request-Id", rq.id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		defer func() {
			aborted := s.recovered(ctx, out, recover())
			s.log.LogAttrs(ctx, slog.LevelInfo, "request",
				slog.String("request", rq.id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.Int("status", out.status), slog.Int64("bytes", out.bytes), slog.Duration("took", time.Since(began)),
				slog.String("user", rq.who.Name), slog.String("remote", rq.remote))
			if aborted {
				panic(http.ErrAbortHandler) // the client must notice that the answer is not whole
			}
		}()
		if strings.ContainsRune(r.URL.Path, 0) {
			writeProblem(out, s.problemOf(ctx, fault.New(fault.Invalid, "path", "there is a NUL character in the path, and in no name")))
			return
		}
		if len(rq.key) > maxKey {
			writeProblem(out, s.problemOf(ctx, fault.New(fault.Invalid, "Idempotency-Key", "the key has %d bytes, at most %d are allowed", len(rq.key), maxKey)))
			return
		}
		next.ServeHTTP(out, r.WithContext(ctx))
	})
}

// maxKey bounds an Idempotency-Key, in bytes.
const maxKey = 255

// recovered answers for a handler that panicked. It reports whether the
// connection must be broken off, because an answer was begun.
func (s *server) recovered(ctx context.Context, w *response, p any) (abort bool) {
	switch {
	case p == nil:
		return false
	case p == http.ErrAbortHandler: //nolint:errorlint // the value itself is the signal
		return true
	}
	s.log.ErrorContext(ctx, "panic", "request", requestOf(ctx).id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	if w.status != 0 {
		return true
	}
	writeProblem(w, s.problemOf(ctx, newProblem(http.StatusInternalServerError, *fault.New(fault.Internal, "", "internal error"), requestOf(ctx).id)))
	return false
}

// response remembers what was answered.
type response struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *response) WriteHeader(code int) {
	if r.status == 0 && code >= 200 || code == http.StatusSwitchingProtocols {
		r.status = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *response) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// remote is the address of the client, as the nearest proxy that is believed
// says it.
func (s *server) remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	via := s.cfg.Via != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get(s.cfg.ViaField)), []byte(s.cfg.Via)) == 1
	for i := len(hops) - 1; i >= 0 && (via || s.believed(host)); i-- {
		via = false // it vouches for its own hop alone
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			break
		}
		host = hop
	}
	return host
}

func (s *server) believed(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range s.cfg.Proxies {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// encodeJSON writes a value that can be encoded; whether the client still reads
// is its own affair.
func encodeJSON(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(v) }
