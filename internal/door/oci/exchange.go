package oci

import (
	"encoding/json"
	"fmt"
	"net/http"
)

type exchangeKey struct{}

// exchange is one request and its answer. It lets naru's own answer stand where
// distribution would write a less helpful one over it.
type exchange struct {
	http.ResponseWriter
	registry *Registry
	user     string // for the log
	status   int
	sealed   bool   // the answer is complete; what follows is dropped
	instead  func() // answers in place of a server error; nil for none
}

// WriteHeader sends the status unless the answer stands already.
func (x *exchange) WriteHeader(status int) {
	if x.sealed {
		return
	}
	if status >= 500 && x.instead != nil {
		instead := x.instead
		x.instead = nil
		instead()
		return
	}
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the answer unless it is complete.
func (x *exchange) Write(p []byte) (int, error) {
	if x.sealed {
		return len(p), nil
	}
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// refuse answers with an error in the form that registry clients print.
func (x *exchange) refuse(status int, code, format string, args ...any) {
	type one struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(map[string][]one{"errors": {{code, fmt.Sprintf(format, args...)}}})
	if err != nil {
		body = []byte(`{}`) // cannot be: two strings
	}
	x.Header().Set("Content-Type", "application/json")
	x.Header().Del("Content-Length")
	x.instead = nil
	x.WriteHeader(status)
	_, _ = x.Write(body) // the client has gone; nobody is left to tell
	x.sealed = true
}
