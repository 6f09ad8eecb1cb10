// Package sender says who sends telemetry: an instance, by the token in its
// environment, or somebody who may write to a space.
package sender

import (
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"naru/internal/fault"
	"naru/internal/observe/collect"
	"naru/internal/observe/traces"
)

// Sender is whose what is sent will be.
type Sender struct {
	Owner traces.Owner
	Place collect.Place // the same place by its names, as series have it
}

// Asked is what a request says about its sender.
type Asked struct {
	Token    string // of an instance, of a login, or an API token
	User     string // with a password or a token of theirs
	Password string
	Space    string // ORG/SPACE; "": the only one there is for them
	Remote   string // address of the client
}

// Senders finds out who sends. A request that nobody may send is
// Unauthenticated or Denied.
type Senders interface {
	Sender(ctx context.Context, a Asked) (Sender, error)
}

// Fields of headers, in the lower case of gRPC.
const (
	TokenField = "x-naru-token"
	SpaceField = "x-naru-space"
)

// Of reads what a request says; get returns the first value of a header field.
func Of(get func(field string) string, remote string) Asked {
	a := Asked{Token: get(TokenField), Space: get(SpaceField), Remote: host(remote)}
	kind, rest, _ := strings.Cut(get("authorization"), " ")
	switch rest = strings.TrimSpace(rest); {
	case strings.EqualFold(kind, "Bearer") && a.Token == "":
		a.Token = rest
	case strings.EqualFold(kind, "Basic") && a.Token == "":
		r := http.Request{Header: http.Header{"Authorization": {"Basic " + rest}}}
		a.User, a.Password, _ = r.BasicAuth()
		if strings.HasPrefix(a.Password, prefix) { // a URL with a token in it
			a.Token, a.User, a.Password = a.Password, "", ""
		}
	}
	return a
}

func host(remote string) string {
	h, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return h
}

// prefix is how tokens of instances begin, by which people and secret scanners
// know them.
const prefix = "naru_app_"

// Tokens makes and reads tokens of instances. They name their app and their
// instance, and are good as long as the key and the app are there.
type Tokens struct{ key []byte }

// NewTokens makes tokens with a secret of the platform.
func NewTokens(secret []byte) *Tokens { return &Tokens{secret} }

// Sign makes the token of an instance. Ids have no dots.
func (t *Tokens) Sign(app, instance string) string {
	said := app + "." + instance
	return prefix + said + "." + base64.RawURLEncoding.EncodeToString(t.mac(said))
}

func (t *Tokens) mac(said string) []byte {
	m := hmac.New(sha256.New, t.key)
	m.Write([]byte(said))
	return m.Sum(nil)[:18]
}

// Read returns whose token it is; ok is false where it is no good one. Is says
// that it claims to be one.
func (t *Tokens) Read(token string) (app, instance string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(token, prefix), ".")
	if !Is(token) || len(parts) != 3 {
		return "", "", false
	}
	mac, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !hmac.Equal(mac, t.mac(parts[0]+"."+parts[1])) {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// Is reports whether a token claims to be an instance's.
func Is(token string) bool { return strings.HasPrefix(token, prefix) }

// Body reads a request's body of at most so many bytes, packed with gzip or not,
// and as many unpacked.
func Body(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	var in io.Reader = http.MaxBytesReader(w, r.Body, most)
	switch e := strings.ToLower(r.Header.Get("Content-Encoding")); e {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fault.New(fault.Invalid, "", "the body is not packed with gzip").WithCause(err)
		}
		in = z
	default:
		return nil, fault.New(fault.Unsupported, "Content-Encoding", "%q is not read here, only gzip", short(e))
	}
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) || int64(len(text)) > most {
		return nil, fault.New(fault.TooLarge, "", "the request has more than %d bytes", most).WithTry("send fewer spans at once")
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "", "the body cannot be read").WithCause(fmt.Errorf("read request: %w", err))
	}
	return text, nil
}

func short(s string) string {
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}

// Path takes the token out of a path that carries one, as /t/TOKEN/api/v2/spans:
// for reporters that can be given a URL and nothing else.
func Path(r *http.Request) (*http.Request, bool) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/t/")
	token, path, more := strings.Cut(rest, "/")
	if !ok || !more || !Is(token) {
		return r, false
	}
	to := r.Clone(r.Context())
	to.URL.Path, to.URL.RawPath = "/"+path, ""
	to.Header.Set(TokenField, token)
	return to, true
}
