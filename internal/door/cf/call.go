package cf

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"naru/internal/app/label"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/quota"
	"naru/internal/route"
)

// call is one request while it is answered.
type call struct {
	w   http.ResponseWriter
	r   *http.Request
	id  string
	who auth.Identity // zero where no login is needed
	at  site
	cfg Config

	door    *Door
	given   map[string]quota.ID // who has which quota; nil: not asked for yet
	domains []route.Domain      // that were made; nil: not asked for yet
	failed  error               // of what an answer is made of

	writes   label.Change         // what the request wants written on its thing
	written  map[string]label.Set // what is written, by kind and id
	relabels auth.Action          // what it takes to write, where the request does nothing else; "": it was asked for
}

// fail makes the answer that is on its way this error.
func (c *call) fail(err error) { c.failed = cmp.Or(c.failed, err) }

func (c *call) ctx() context.Context { return c.r.Context() }

// guid is what the path names.
func (c *call) guid() string { return c.r.PathValue("guid") }

// by is who asks, for the services.
func (c *call) by() operation.Ask { return operation.Ask{Actor: c.who.Name} }

// event is something that who asks does.
func (c *call) event(kind event.Kind, subject string) event.Event {
	return event.Event{Kind: kind, Actor: c.who.Name, Subject: subject}
}

// answer is around every request: who asks, and errors in Cloud Foundry's form. A
// panic is one request's error.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, e endpoint) {
	began, remote, out := time.Now(), d.remote(r), &response{ResponseWriter: w}
	c := &call{w: out, id: id.New(), at: d.site(r), cfg: d.cfg, door: d}
	c.r = r.WithContext(auth.From(r.Context(), remote))
	h := w.Header()
	h.Set("X-Vcap-Request-Id", c.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	defer func() {
		switch p := recover(); {
		case p == nil:
		case p == http.ErrAbortHandler: //nolint:errorlint // the value itself is the signal
			panic(p)
		default:
			d.log.ErrorContext(r.Context(), "panic", "request", c.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if out.status != 0 {
				panic(http.ErrAbortHandler)
			}
			c.refuse(unknownError)
		}
		// No query and no header, for secrets may be there.
		d.log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("door", "cf"), slog.String("request", c.id),
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", out.status),
			slog.Duration("took", time.Since(began)), slog.String("user", c.who.Name), slog.String("remote", remote))
	}()
	err := d.admit(c, e)
	if e.uaa {
		err = unadmitted(err)
	}
	if err == nil {
		err = e.do(d, c)
	}
	var u oauthError
	var many problems
	switch {
	case err == nil:
	case errors.As(err, &u):
		c.send(u.status, u)
	case errors.As(err, &many):
		c.refuse(many...)
	default:
		c.refuse(d.problemOf(r.Context(), c, err))
	}
}

// response remembers what was answered.
type response struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (r *response) WriteHeader(code int) {
	r.status = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// admit finds out who asks.
func (d *Door) admit(c *call, e endpoint) (err error) {
	if strings.ContainsRune(c.r.URL.Path, 0) || !utf8.ValidString(c.r.URL.Path) {
		return unknownRequest // no name and no id has it, and no store takes it
	}
	if e.open {
		return nil
	}
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); token == "" || !strings.EqualFold(scheme, "bearer") {
		return noToken
	}
	if c.who, err = d.Sessions.Verify(c.ctx(), token); err == nil {
		c.r = c.r.WithContext(auth.As(c.ctx(), c.who))
	}
	return err
}

// refuse answers with problems.
func (c *call) refuse(all ...problem) {
	if all[0].status == http.StatusUnauthorized {
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="naru"`)
	}
	if all[0].status == http.StatusServiceUnavailable {
		c.w.Header().Set("Retry-After", "1")
	}
	c.send(all[0].status, map[string]any{"errors": all})
}

// send answers with a value that can be encoded, unless something that it is made
// of failed.
func (c *call) send(status int, v any) {
	if status < http.StatusMultipleChoices {
		if err := cmp.Or(c.failed, c.write(v)); err != nil {
			c.refuse(c.door.problemOf(c.ctx(), c, err))
			return
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // a defect
	}
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b.Bytes()) // whether the client still reads is its own affair
}

// ok answers with a value.
func (c *call) ok(v any) error { c.send(http.StatusOK, v); return nil }

// made answers with what was made.
func (c *call) made(v any) error { c.send(http.StatusCreated, v); return nil }

// job answers that a job does what was asked for.
func (c *call) job(guid string) error {
	c.w.Header().Set("Location", c.at.api+"/v3/jobs/"+guid)
	c.w.WriteHeader(http.StatusAccepted)
	return nil
}

// checked is what a request says that is refused where its check does.
type checked interface{ check() error }

// decode reads a request's body, and refuses what its check refuses. Keys that are
// not known are left alone: newer clients send more.
func (c *call) decode(v any) error { return c.decodeUpTo(c.cfg.BodyBytes, v) }

func (c *call) decodeUpTo(most int64, v any) error {
	body, err := c.body(most)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return badMessage
	}
	if holdsNUL(body) {
		return unprocessable.saying("The request has text with a NUL character (\\u0000), which nothing can hold")
	}
	if c.writes, err = metadataOf(body); err != nil {
		return err
	}
	if in, ok := v.(checked); ok {
		return in.check()
	}
	return nil
}

// body reads a request's body, of most bytes.
func (c *call) body(most int64) ([]byte, error) {
	deadline := http.NewResponseController(c.w)
	_ = deadline.SetReadDeadline(time.Now().Add(30 * time.Second)) // a test's writer has none
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most))
	_ = deadline.SetReadDeadline(time.Time{})
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return nil, tooLarge
	case err != nil:
		return nil, badMessage
	}
	return body, nil
}

// holdsNUL reports whether a string of a JSON text has the character NUL, which can
// be written in one way alone.
func holdsNUL(text []byte) bool {
	for i := 0; i+5 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if string(text[i+1:i+6]) == "u0000" {
			return true
		}
		i++ // what is escaped begins nothing
	}
	return false
}
