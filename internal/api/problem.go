package api

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"naru/internal/client"
	"naru/internal/fault"
)

// status is the HTTP status of each kind of error.
var status = map[fault.Kind]int{
	fault.Invalid:         http.StatusUnprocessableEntity,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Denied:          http.StatusForbidden,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.Unavailable:     http.StatusServiceUnavailable,
	fault.Failed:          http.StatusUnprocessableEntity,
	fault.Unsupported:     http.StatusNotImplemented,
	fault.Internal:        http.StatusInternalServerError,
}

// problem is an error on its way to a client.
type problem struct {
	client.Problem
	headers http.Header
}

func (p *problem) Error() string { return p.Detail }

// GetStatus, GetHeaders and ContentType are what huma asks an error for.
func (p *problem) GetStatus() int { return p.Status }

func (p *problem) GetHeaders() http.Header { return p.headers }

func (p *problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// problemOf is the answer for an error. What is no fault is Internal: the client
// learns that it happened and under which id, the log all of it.
func (s *server) problemOf(ctx context.Context, err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	rq := requestOf(ctx)
	f := fault.Of(err)
	code, known := status[f.Kind]
	if !known || f.Kind == fault.Internal {
		if ctx.Err() == nil { // else nobody waits for an answer
			s.log.ErrorContext(ctx, "request failed", "request", rq.id, "route", rq.route, "error", err)
		}
		f, code = fault.New(fault.Internal, "", "internal error"), http.StatusInternalServerError
	}
	p = newProblem(code, *f, rq.id)
	if f.Kind == fault.Unauthenticated {
		p.headers.Set("WWW-Authenticate", `Bearer realm="naru"`)
	}
	if f.Kind == fault.Unavailable {
		p.headers.Set("Retry-After", "1")
	}
	return p
}

func newProblem(code int, f fault.Error, requestID string) *problem {
	detail := f.Message
	if f.Field != "" {
		detail = f.Field + ": " + detail
	}
	return &problem{headers: http.Header{}, Problem: client.Problem{
		Type: "about:blank", Title: http.StatusText(code), Status: code, Detail: detail,
		Kind: string(f.Kind), Field: f.Field, Message: f.Message, Try: f.Try, RequestID: requestID,
	}}
}

// tooMany is the answer to who asks too often.
func tooMany(ctx context.Context) *problem {
	p := newProblem(http.StatusTooManyRequests, *fault.New(fault.Unavailable, "", "too many requests").
		WithTry("wait a little, then try again"), requestOf(ctx).id)
	p.headers.Set("Retry-After", "2")
	return p
}

// translate gives the errors that huma finds itself (JSON, schemas, sizes) the
// form of all others.
func (s *server) translate(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	rq := requestOf(ctx.Context())
	kind, try := fault.Invalid, ""
	switch {
	case m.Status == http.StatusRequestEntityTooLarge:
		kind, try = fault.TooLarge, "see the limits: GET /v1/info"
	case m.Status == http.StatusRequestTimeout:
		kind, try = fault.Unavailable, "try again"
	case m.Status >= 500:
		s.log.ErrorContext(ctx.Context(), "request failed", "request", rq.id, "route", rq.route, "error", m.Detail)
		return newProblem(m.Status, *fault.New(fault.Internal, "", "internal error"), rq.id).Problem, nil
	}
	p := newProblem(m.Status, *fault.New(kind, "", "%s", m.Detail), rq.id)
	for _, d := range m.Errors {
		p.Errors = append(p.Errors, detailOf(d))
	}
	if len(p.Errors) > 0 {
		p.Field, p.Message = p.Errors[0].Field, p.Errors[0].Message
		p.Detail = strings.TrimPrefix(p.Field+": "+p.Message, ": ")
	}
	p.Try = try
	return p.Problem, nil
}

var missing = regexp.MustCompile(`^expected required property (\S+) to be present$`)

// detailOf is a complaint of huma's; a missing field is what it is about.
func detailOf(d *huma.ErrorDetail) client.Detail {
	if m := missing.FindStringSubmatch(d.Message); m != nil {
		return client.Detail{Field: field(d.Location + "." + m[1]), Message: "a value is needed"}
	}
	return client.Detail{Field: field(d.Location), Message: d.Message}
}

// field names a place in a request as people would: the body is not named.
func field(location string) string {
	location = strings.TrimPrefix(strings.TrimPrefix(location, "body."), "query.")
	return strings.TrimPrefix(location, "path.")
}

// writeProblem answers where no handler of huma's runs.
func writeProblem(w http.ResponseWriter, p *problem) {
	for name, values := range p.headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	encodeJSON(w, p.Problem)
}

// unknown answers for paths that no route has.
func (s *server) unknown(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, s.problemOf(r.Context(), fault.New(fault.NotFound, "", "there is no %s %s here", r.Method, r.URL.Path).
		WithTry("see /v1/docs for what there is")))
}
