// Package fault is the vocabulary of errors that a user can do something about:
// a kind, the field it concerns, and the command that leads out.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of mistake happened. There are few on purpose: each has
// one HTTP status and one exit code, chosen in package api and package cli.
type Kind string

// The kinds. An error without a kind is Internal: the operator reads all of it
// in the log, the user only that it happened.
const (
	Invalid         Kind = "invalid"         // the request cannot be carried out as written
	NotFound        Kind = "not_found"       // the named thing does not exist, or may not be seen
	Conflict        Kind = "conflict"        // it contradicts the present state
	Denied          Kind = "denied"          // known, and not allowed
	Unauthenticated Kind = "unauthenticated" // unknown: no token, or one that ended
	TooLarge        Kind = "too_large"       // over a configured limit
	Unavailable     Kind = "unavailable"     // try again later; a part of naru is not ready
	Failed          Kind = "failed"          // the user's own code or command failed (a build, a start)
	Unsupported     Kind = "unsupported"     // this machine or this version cannot do it
	Internal        Kind = "internal"        // a defect of naru
)

// Error is an error for people. Message states what is wrong in one sentence
// without a final full stop; Field names where (a JSON field, a manifest key, a
// flag, FILE:LINE); Try is a command or an action that leads out.
type Error struct {
	Kind    Kind
	Field   string
	Message string
	Try     string
	Err     error // the cause, for the log; may be nil
}

// Error gives the whole story on one line, the cause last.
func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an Error of a kind about a field ("" where none applies).
func New(kind Kind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives an error a kind and a field; its text becomes part of what the
// user reads, so wrap only errors that were written for people.
func Wrap(kind Kind, field string, err error) *Error {
	return &Error{Kind: kind, Field: field, Message: err.Error(), Err: nil}
}

// WithTry returns a copy that names the way out.
func (e *Error) WithTry(format string, args ...any) *Error {
	c := *e
	c.Try = fmt.Sprintf(format, args...)
	return &c
}

// WithCause returns a copy that carries the cause.
func (e *Error) WithCause(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// Of returns the Error inside err, or an Internal one around it. It returns nil
// for nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Internal, Message: "internal error", Err: err}
}

// Is reports whether err carries the kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}
