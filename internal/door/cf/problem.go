package cf

import (
	"context"
	"errors"
	"net/http"

	"naru/internal/fault"
)

// problem is an error in Cloud Foundry's form. Clients switch on code and title,
// and on some details to the letter.
type problem struct {
	status int
	Code   int    `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

func (p problem) Error() string { return p.Detail }

// problems are several at once.
type problems []problem

func (p problems) Error() string { return p[0].Detail }

// together makes an error of what is wrong; nil of nothing.
func together(wrong []problem) error {
	if len(wrong) == 0 {
		return nil
	}
	return problems(wrong)
}

// saying returns the problem with another detail.
func (p problem) saying(detail string) problem {
	p.Detail = detail
	return p
}

// The problems there are.
var (
	badQuery       = problem{http.StatusBadRequest, 10005, "CF-BadQueryParameter", "The query parameter is invalid"}
	badMessage     = problem{http.StatusBadRequest, 1001, "CF-MessageParseError", "Request invalid due to parse error: invalid request body"}
	badRequest     = problem{http.StatusBadRequest, 1004, "CF-BadRequest", "Bad request"}
	invalidToken   = problem{http.StatusUnauthorized, 1000, "CF-InvalidAuthToken", "Invalid Auth Token"}
	noToken        = problem{http.StatusUnauthorized, 10002, "CF-NotAuthenticated", "Authentication error"}
	notAuthorized  = problem{http.StatusForbidden, 10003, "CF-NotAuthorized", "You are not authorized to perform the requested action"}
	unknownRequest = problem{http.StatusNotFound, 10000, "CF-NotFound", "Unknown request"}
	notFound       = problem{http.StatusNotFound, 10010, "CF-ResourceNotFound", "Resource not found"}
	unprocessable  = problem{http.StatusUnprocessableEntity, 10008, "CF-UnprocessableEntity", "The request is semantically invalid"}
	unavailable    = problem{http.StatusServiceUnavailable, 10015, "CF-ServiceUnavailable", "The service is unavailable"}
	tooLarge       = problem{http.StatusRequestEntityTooLarge, 1004, "CF-BadRequest", "The request is too large"}
	unknownError   = problem{http.StatusInternalServerError, 10001, "UnknownError", "An unknown error occurred."}
)

// missing is the answer about a thing that is not there or may not be seen:
// "App not found".
func missing(thing string) problem { return notFound.saying(thing + " not found") }

// kinds are the problems of naru's own errors.
var kinds = map[fault.Kind]problem{
	fault.Invalid: unprocessable, fault.NotFound: notFound, fault.Conflict: unprocessable, fault.Denied: notAuthorized,
	fault.Unauthenticated: invalidToken, fault.TooLarge: tooLarge, fault.Unavailable: unavailable,
	fault.Failed: unprocessable, fault.Unsupported: unprocessable,
}

// problemOf is the answer for an error. What is no fault is told to the log alone.
func (d *Door) problemOf(ctx context.Context, c *call, err error) problem {
	var p problem
	if errors.As(err, &p) {
		return p
	}
	if p, ok := exceeded(err); ok {
		return p
	}
	if p, ok := switchedOff(err); ok {
		return p
	}
	f := fault.Of(err)
	p, known := kinds[f.Kind]
	if !known {
		if ctx.Err() == nil { // else nobody waits for an answer
			d.log.ErrorContext(ctx, "request failed", "request", c.id, "path", c.r.URL.Path, "error", err)
		}
		return unknownError
	}
	switch {
	case p.status == http.StatusForbidden && f.Field != "":
		p = unprocessable // it is about what was sent, not about who sent it
	case p.status == http.StatusForbidden:
		return p // the client knows this text
	}
	return p.saying(told(f))
}

// told is an error of naru's for people who may not have its own client.
func told(f *fault.Error) string {
	if f.Field != "" {
		return f.Field + ": " + f.Message
	}
	return f.Message
}
