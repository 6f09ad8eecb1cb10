package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"strconv"
	"strings"

	"naru/internal/fault"
	"naru/internal/route/strict"
)

// page is an answer the gateway gives itself: to people, to curl and to
// programs alike.
type page struct {
	status  int
	kind    fault.Kind
	title   string
	message string
	try     string // what the owner of the app would do, "" for nothing
}

// unknownHost answers where nothing is mapped. It names no other app.
func unknownHost(w http.ResponseWriter, r *http.Request, x *Exchange) {
	host := r.Host
	if len(host) > 261 {
		host = host[:261]
	}
	x.record.Problem = "no such route"
	page{
		http.StatusNotFound, fault.NotFound, "Nothing here",
		"No app answers at " + host + shortPath(r.URL.Path) + ".",
		"If this is your app: naru routes lists what is mapped, naru map-route APP HOST adds to it.",
	}.write(w, r, x)
}

// shortPath is a path fit for a sentence.
func shortPath(path string) string {
	if path == "/" || path == "*" {
		return ""
	}
	if len(path) > 80 {
		return path[:80] + "…"
	}
	return path
}

// why an app cannot be served although it has a route.
type absence int

const (
	unhealthy absence = iota // none of its instances is healthy
	starting                 // the gateway has no table of this boot yet
)

func (g *Gateway) unavailable(w http.ResponseWriter, r *http.Request, x *Exchange, why absence) {
	unavailable(w, r, x, why, &g.cfg)
}

func (f *forwarder) unavailable(w http.ResponseWriter, r *http.Request, x *Exchange, why absence) {
	unavailable(w, r, x, why, &f.cfg)
}

func unavailable(w http.ResponseWriter, r *http.Request, x *Exchange, why absence, cfg *Config) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(cfg.RetryAfter.Seconds()))))
	p := page{http.StatusServiceUnavailable, fault.Unavailable, "Starting", "This platform has just started and does not know yet where its apps are.", ""}
	x.record.Problem = "no table yet"
	if why == unhealthy {
		name := x.record.App.Name
		p.title, p.message = "Not available", "No instance of "+name+" is healthy at the moment."
		p.try = "If this is your app: naru app " + name + " shows its state, naru logs " + name + " what it says."
		x.record.Problem = "no healthy instance"
	}
	p.write(w, r, x)
}

// failed answers for an exchange that ended without an answer. cause is what
// ended it from our side, nil if nothing did.
func (f *forwarder) failed(w http.ResponseWriter, r *http.Request, x *Exchange, err, cause error) {
	var client error
	if x.body != nil {
		client = x.body.failed()
	}
	var timeout net.Error
	switch {
	case errors.Is(client, errTooLarge):
		tooLarge(w, r, x, x.body.limit)
	case errors.As(client, &timeout) && timeout.Timeout():
		x.record.Problem = "the client stopped sending"
		page{http.StatusRequestTimeout, fault.Invalid, "Too slow", "The request's body did not arrive in time.", ""}.write(w, r, x)
	case errors.Is(client, strict.ErrMalformed):
		x.record.Problem = "bad body: " + client.Error()
		page{http.StatusBadRequest, fault.Invalid, "Bad request", "The request's body is malformed.", ""}.write(w, r, x)
	case r.Context().Err() != nil:
		// Nobody is there to read an answer.
		x.record.Problem = "the client left"
		panic(http.ErrAbortHandler)
	case client != nil:
		x.record.Problem = "the client left inside its body: " + client.Error()
		page{http.StatusBadRequest, fault.Invalid, "Bad request", "The request's body is incomplete.", ""}.write(w, r, x)
	case errors.Is(cause, errSlowAnswer):
		x.record.Problem = errSlowAnswer.Error()
		f.broken(w, r, x, http.StatusGatewayTimeout, "did not answer in time")
	case errors.Is(err, errNoInstance):
		f.unavailable(w, r, x, unhealthy)
	default:
		x.record.Problem = err.Error()
		f.log.WarnContext(r.Context(), "instance failed", "app", x.record.App.Name, "instance", x.record.Instance, "error", err)
		what := "broke off before it answered"
		if refused := new(connectError); errors.As(err, &refused) {
			what = "cannot be reached"
		}
		f.broken(w, r, x, http.StatusBadGateway, what)
	}
}

func (f *forwarder) broken(w http.ResponseWriter, r *http.Request, x *Exchange, status int, what string) {
	name := x.record.App.Name
	page{
		status, fault.Failed, "App failed", name + " " + what + ".",
		"If this is your app: naru logs " + name + " shows what it says.",
	}.write(w, r, x)
}

func tooLarge(w http.ResponseWriter, r *http.Request, x *Exchange, limit int64) {
	x.record.Problem = errTooLarge.Error()
	page{
		http.StatusRequestEntityTooLarge, fault.TooLarge, "Too large",
		fmt.Sprintf("The request's body is over the limit of %d bytes.", limit), "",
	}.write(w, r, x)
}

func refuse(w http.ResponseWriter, r *http.Request, x *Exchange, why *strict.Refusal) {
	x.record.Problem = "refused: " + why.Reason
	page{why.Status, fault.Invalid, "Bad request", "The request was not let in: " + why.Reason + ".", ""}.write(w, r, x)
}

// write gives the page in the form the client asks for.
func (p page) write(w http.ResponseWriter, r *http.Request, x *Exchange) {
	accept := strings.Join(r.Header["Accept"], ",")
	kind, body := "text/plain; charset=utf-8", p.text(x.record.RequestID)
	switch {
	case strings.Contains(accept, "text/html"):
		kind, body = "text/html; charset=utf-8", p.html(x.record.RequestID)
	case strings.Contains(accept, "application/json"), strings.Contains(accept, "+json"):
		kind, body = "application/json", p.json(x.record.RequestID)
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", x.record.RequestID)
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body)) // a client that left is seen by its connection
	}
}

func (p page) text(id string) string {
	out := p.message + "\n"
	if p.try != "" {
		out += p.try + "\n"
	}
	return out + "Request " + id + "\n"
}

func (p page) json(id string) string {
	body, err := json.Marshal(map[string]any{
		"error": map[string]any{"kind": p.kind, "message": p.message, "try": p.try, "request_id": id},
	})
	if err != nil {
		return "{}"
	}
	return string(body) + "\n"
}

func (p page) html(id string) string {
	try := ""
	if p.try != "" {
		try = "<p>" + html.EscapeString(p.try) + "</p>\n"
	}
	return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>` + html.EscapeString(p.title) + `</title>
<style>body{font:17px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;color:#222;background:#fff}
small{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}small{color:#999}}</style></head>
<body><h1>` + html.EscapeString(p.title) + `</h1>
<p>` + html.EscapeString(p.message) + `</p>
` + try + `<p><small>` + strconv.Itoa(p.status) + ` · request ` + html.EscapeString(id) + `</small></p></body></html>
`
}
