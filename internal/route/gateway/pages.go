package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"

	"naru/internal/fault"
	"naru/internal/route/h1"
)

// page is an answer the gateway gives itself: to people, to curl and to
// programs alike.
type page struct {
	status  int
	kind    fault.Kind
	title   string
	message string
	try     string // what the owner of the app would do, "" for nothing
	retry   int    // seconds after which to ask again, 0 for nothing
	fields  []field
	content string // HTML in place of the page; "": none
}

// field is a header field of an answer of the gateway's own.
type field struct{ name, value string }

// unknownHost answers where nothing is mapped. It names no other app.
func (x *exchange) unknownHost() *page {
	x.problem = "no such route"
	return &page{
		status: http.StatusNotFound, kind: fault.NotFound, title: "Nothing here",
		message: "No app answers at " + string(x.req.Host()) + shortPath(strings.ToValidUTF8(x.path, "?")) + ".",
		try:     "If this is your app: naru routes lists what is mapped, naru map-route APP HOST adds to it.",
	}
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

func (x *exchange) unavailable(why absence) *page {
	p := &page{
		status: http.StatusServiceUnavailable, kind: fault.Unavailable, title: "Starting",
		message: "This platform has just started and does not know yet where its apps are.",
		retry:   max(1, int(x.g.cfg.RetryAfter.Seconds())),
	}
	x.problem = "no table yet"
	if why == unhealthy {
		name := x.app()
		p.title, p.message = "Not available", "No instance of "+name+" is healthy at the moment."
		p.try = "If this is your app: naru app " + name + " shows its state, naru logs " + name + " what it says."
		x.problem = "no healthy instance"
	}
	return p
}

// failed answers for an exchange that ended without an answer. client is why the
// client's side of it failed, nil if it did not.
func (x *exchange) failed(err, client error) (whole bool) {
	switch {
	case errors.Is(client, errTooLarge):
		return x.page(x.tooLarge())
	case interrupted(client), errors.Is(client, errSlow):
		x.problem = "the client stopped sending"
		if errors.Is(client, errSlow) {
			x.problem = "the client sends too slowly"
		}
		return x.page(&page{
			status: http.StatusRequestTimeout, kind: fault.Invalid, title: "Too slow", message: "The request's body did not arrive in time.",
		})
	case errors.Is(client, h1.ErrMalformed):
		return x.page(x.malformed(client))
	case errors.Is(err, errLeft):
		x.problem = "the client left"
		return false // nobody is there to read an answer
	case client != nil:
		x.problem = "the client left inside its body: " + client.Error()
		return false
	case errors.Is(err, errSlowAnswer):
		x.problem = errSlowAnswer.Error()
		return x.page(x.broken(http.StatusGatewayTimeout, "did not answer in time"))
	case errors.Is(err, errSpared):
		return x.page(x.failing())
	case errors.Is(err, errNoInstance):
		return x.page(x.unavailable(unhealthy))
	}
	x.problem = err.Error()
	x.g.log.Warn("instance failed", "app", x.app(), "instance", x.back.instance.ID, "error", err)
	what := "broke off before it answered"
	refusal := new(h1.Refusal)
	switch refused := new(connectError); {
	case errors.As(err, &refused):
		what = "cannot be reached"
	case errors.As(err, &refusal):
		what = "sent an answer that is not HTTP (" + refusal.Reason + ")"
	case errors.Is(err, errLargeHead), errors.Is(err, errInterims):
		what = "sent an answer that cannot be passed on"
	}
	return x.page(x.broken(http.StatusBadGateway, what))
}

// brokeOff notes why an answer that had begun did not come to its end.
func (x *exchange) brokeOff(err error) {
	x.problem = "the answer broke off: " + err.Error()
	switch cause := x.cause(err); {
	case errors.Is(cause, errLeft):
		x.problem = "the client left"
	case x.overdue():
		x.problem = "the answer took longer than the route allows"
	case errors.Is(err, errSlow):
		x.problem = "the client reads too slowly"
	case errors.Is(cause, errSlowAnswer) && !errors.Is(err, errLeft):
		x.problem = "the instance fell silent inside its answer"
	}
}

func (x *exchange) broken(status int, what string) *page {
	name := x.app()
	return &page{
		status: status, kind: fault.Failed, title: "App failed", message: name + " " + what + ".",
		try: "If this is your app: naru logs " + name + " shows what it says.",
	}
}

func (x *exchange) tooLarge() *page {
	x.problem = errTooLarge.Error()
	return &page{
		status: http.StatusRequestEntityTooLarge, kind: fault.TooLarge, title: "Too large",
		message: fmt.Sprintf("The request's body is over the limit of %d bytes.", x.upload.limit),
	}
}

func (x *exchange) malformed(why error) *page {
	x.problem = "bad body: " + why.Error()
	return &page{status: http.StatusBadRequest, kind: fault.Invalid, title: "Bad request", message: "The request's body is malformed."}
}

// refuse answers a request that is not let in.
func (x *exchange) refuse(why *h1.Refusal) {
	defer x.ended()
	x.problem = "refused: " + why.Reason
	x.page(&page{
		status: why.Status, kind: fault.Invalid, title: "Bad request", message: "The request was not let in: " + why.Reason + ".",
	})
}

// page sends a page; false means that the client is to see its connection break
// off.
func (x *exchange) page(p *page) (whole bool) {
	x.answered(p.status)
	x.relaxed()
	x.watch.begin(onWrite, now(), x.g.cfg.WriteIdle)
	if x.client.page(x, p) != nil {
		return false // a client that left is seen by its connection
	}
	return true
}

// statusText names a status for the status line.
func statusText(status int) string { return http.StatusText(status) }

// body gives the page in the form the client asks for.
func (p *page) body(x *exchange) (kind, body string) {
	if p.content != "" {
		return "text/html; charset=utf-8", p.content
	}
	accept := ""
	if x.req != nil {
		accept = string(x.req.Get(h1.Accept))
	}
	id := string(x.id)
	switch {
	case strings.Contains(accept, "text/html"):
		return "text/html; charset=utf-8", p.html(id)
	case strings.Contains(accept, "application/json"), strings.Contains(accept, "+json"):
		return "application/json", p.json(id)
	}
	return "text/plain; charset=utf-8", p.text(id)
}

func (p *page) text(id string) string {
	out := p.message + "\n"
	if p.try != "" {
		out += p.try + "\n"
	}
	return out + "Request " + id + "\n"
}

func (p *page) json(id string) string {
	body, err := json.Marshal(map[string]any{
		"error": map[string]any{"kind": p.kind, "message": p.message, "try": p.try, "request_id": id},
	})
	if err != nil {
		return "{}"
	}
	return string(body) + "\n"
}

func (p *page) html(id string) string {
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
