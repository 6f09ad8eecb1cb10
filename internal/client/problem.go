package client

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"

	"naru/internal/fault"
)

// Problem is the body of every answer that is an error, in the form of RFC 9457
// (application/problem+json) with naru's own members beside the standard ones.
type Problem struct {
	Type      string   `json:"type" doc:"about:blank: title and status say what it is"`
	Title     string   `json:"title" doc:"the status in words"`
	Status    int      `json:"status" doc:"the HTTP status"`
	Detail    string   `json:"detail" doc:"field and message in one line"`
	Kind      string   `json:"kind" enum:"invalid,not_found,conflict,denied,unauthenticated,too_large,unavailable,failed,unsupported,internal" doc:"what sort of mistake it is; programs decide by it"`
	Field     string   `json:"field,omitempty" doc:"what it concerns: a JSON field, a parameter, FILE:LINE"`
	Message   string   `json:"message" doc:"what is wrong, in one sentence"`
	Try       string   `json:"try,omitempty" doc:"a command or an action that leads out"`
	Errors    []Detail `json:"errors,omitempty" doc:"all complaints where there are several; the first one is also field and message"`
	RequestID string   `json:"request_id,omitempty" doc:"finds the request in the server's log"`
}

// Detail is one complaint of several.
type Detail struct {
	Field   string `json:"field,omitempty" doc:"what it concerns"`
	Message string `json:"message" doc:"what is wrong"`
}

// Fault is the problem as an error. The request id of an internal error becomes
// part of its message, because nothing else helps to find it.
func (p Problem) Fault() *fault.Error {
	e := &fault.Error{Kind: fault.Kind(p.Kind), Field: p.Field, Message: p.Message, Try: p.Try}
	if len(p.Errors) > 1 {
		for _, d := range p.Errors[1:] {
			e.Message += "; " + d.Field + ": " + d.Message
		}
	}
	if e.Kind == fault.Internal && p.RequestID != "" {
		e.Message += " (request " + p.RequestID + ")"
		if e.Try == "" {
			e.Try = "look for this request in the server's log"
		}
	}
	return e
}

// Fault is an error inside an answer: why an operation failed.
type Fault struct {
	Kind    string `json:"kind" doc:"what sort of mistake it is"`
	Field   string `json:"field,omitempty" doc:"what it concerns"`
	Message string `json:"message" doc:"what is wrong"`
	Try     string `json:"try,omitempty" doc:"what leads out"`
}

// Err is the fault as an error; nil for nil.
func (f *Fault) Err() error {
	if f == nil {
		return nil
	}
	return &fault.Error{Kind: fault.Kind(f.Kind), Field: f.Field, Message: f.Message, Try: f.Try}
}

// kinds are the statuses of answers that did not come from naru itself but from
// something in between.
var kinds = map[int]fault.Kind{
	http.StatusBadRequest:            fault.Invalid,
	http.StatusUnauthorized:          fault.Unauthenticated,
	http.StatusForbidden:             fault.Denied,
	http.StatusNotFound:              fault.NotFound,
	http.StatusConflict:              fault.Conflict,
	http.StatusRequestEntityTooLarge: fault.TooLarge,
	http.StatusTooManyRequests:       fault.Unavailable,
	http.StatusBadGateway:            fault.Unavailable,
	http.StatusServiceUnavailable:    fault.Unavailable,
	http.StatusGatewayTimeout:        fault.Unavailable,
}

// readError turns an answer that is no success into an error and closes it.
func readError(res *http.Response) error {
	defer func() { _ = res.Body.Close() }() // read as far as it is of use
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	var p Problem
	form, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err == nil && form == "application/problem+json" && json.Unmarshal(body, &p) == nil && p.Kind != "" {
		return p.Fault()
	}
	kind, ok := kinds[res.StatusCode]
	if !ok {
		kind = fault.Internal
	}
	return fault.New(kind, "", "the server at %s answered %s and no explanation", res.Request.URL.Host, res.Status).
		WithTry("see that the address is that of a naru server")
}
