package gateway

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/h1"
	"naru/internal/route/password"
)

// auth asks for a name and a password.
type auth struct {
	spec *route.Auth
	list *password.List
}

const loginWait = 10 * time.Second // until it is known whether a password is right

func newAuth(spec *route.Auth) *auth { return &auth{spec: spec} }

func (a *auth) rule() any { return *a.spec }

// ready prepares one that is to be used.
func (a *auth) ready() *auth {
	if a.list == nil {
		a.list = password.NewList(a.spec.Users)
	}
	return a
}

func (a *auth) pass(x *exchange) (*page, error) {
	var space [1024]byte
	said, ok := credentials(x.req, space[:0])
	if !ok {
		return a.ask(x, "no name and password"), nil
	}
	if a.list.Known(said) {
		return nil, nil
	}
	try, isNew := a.list.Begin(said, network(x.visitor()))
	if try == nil {
		return a.crowded(x), nil
	}
	if isNew {
		x.g.logins.Compare(try)
	}
	switch err := x.await(try.Done(), loginWait); {
	case errors.Is(err, errLate):
		return a.crowded(x), nil
	case err != nil:
		return nil, err
	case !try.Right():
		return a.ask(x, "wrong name or password"), nil
	}
	return nil, nil
}

// credentials returns what a request says as NAME:PASSWORD, in buf. It must say
// so once: nobody should have to guess which one is meant.
func credentials(req *h1.Request, buf []byte) (said []byte, ok bool) {
	var field []byte
	n := 0
	for i := range req.Fields {
		if f := &req.Fields[i]; f.Kind == h1.Other && equalFold(req.Name(f), "Authorization") {
			field, n = req.Value(f), n+1
		}
	}
	scheme, token, _ := bytes.Cut(field, []byte{' '})
	token = bytes.TrimLeft(token, " ")
	if n != 1 || !equalFold(scheme, "Basic") || base64.StdEncoding.DecodedLen(len(token)) > cap(buf) {
		return nil, false
	}
	said, err := base64.StdEncoding.AppendDecode(buf, token)
	colon := bytes.IndexByte(said, ':')
	// A control character is not allowed (RFC 7617), and bcrypt repeats what ends
	// with a zero: other passwords would be right, too.
	return said, err == nil && colon > 0 && len(said)-colon-1 <= route.MaxPassword &&
		!bytes.ContainsFunc(said, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// ask asks for name and password.
func (a *auth) ask(x *exchange, why string) *page {
	x.problem = "refused: " + why
	realm := a.spec.Realm
	if realm == "" {
		realm = x.app()
	}
	return &page{
		status: http.StatusUnauthorized, kind: fault.Unauthenticated, title: "Who is there?",
		message: x.app() + " wants a name and a password.",
		fields:  []field{{"WWW-Authenticate", `Basic realm="` + quoted.Replace(realm) + `", charset="UTF-8"`}},
	}
}

// quoted makes a text fit for a quoted string of a header field.
var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", " ", "\n", " ")

func (a *auth) crowded(x *exchange) *page {
	x.problem = "too many passwords to compare"
	return &page{
		status: http.StatusServiceUnavailable, kind: fault.Unavailable, title: "Busy",
		message: "Too many names and passwords are being checked at the moment.", retry: 1,
	}
}
