package rule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"naru/internal/client"
)

// Line is a rule as it is set, and what it means.
type Line struct {
	Key   string // "rate.client"; "" for what keys cannot say
	Value string // "10/s"
	Words string // "at most 10 requests a second of each address"
}

// Lines are all rules of a route, in the order in which a request meets them.
func Lines(t client.Terms) []Line {
	w := &writer{}
	if p := t.Policy; p != nil {
		w.who(p)
		w.load(p)
		w.app(p)
		w.fields("request", "requests to the app", p.Request)
		w.mirror(p.Mirror)
		w.fields("response", "answers", p.Response)
		if p.Tracing != nil {
			w.add("tracing.sample", float(p.Tracing.Sample), "%s of the requests are traced, where visitors do not say", percent(p.Tracing.Sample))
		}
	}
	if o := t.Timeouts; o != nil {
		w.span("timeout.connect", o.Connect, "an instance has %s to accept a connection")
		w.span("timeout.response", o.Response, "an answer has %s to begin")
		w.span("timeout.idle", o.Idle, "%s of silence end an answer or a WebSocket")
		w.span("timeout.total", o.Total, "a request has %s for all of it")
	}
	if t.Limits != nil && t.Limits.Body > 0 {
		w.add("body", bytesText(t.Limits.Body), "bodies of requests above %s are refused", bytesText(t.Limits.Body))
	}
	return w.lines
}

type writer struct{ lines []Line }

func (w *writer) add(key, value, format string, args ...any) {
	w.lines = append(w.lines, Line{key, value, fmt.Sprintf(format, args...)})
}

func (w *writer) span(key string, d client.Duration, format string) {
	if d > 0 {
		text := spanText(time.Duration(d))
		w.add(key, text, format, text)
	}
}

func (w *writer) number(key string, n int, format string) {
	if n > 0 {
		w.add(key, fmt.Sprint(n), format, n)
	}
}

// who are the rules about who comes, and where to.
func (w *writer) who(p *client.Policy) {
	if p.HTTPS {
		w.add("https", "true", "plain requests are sent to https://")
	}
	w.span("hsts", p.HSTS, "browsers use https:// only for %s")
	if m := p.Maintenance; m != nil {
		if m.Message != "" {
			w.add("maintenance", m.Message, "visitors read this in place of the app (503)")
		} else {
			w.add("maintenance", "on", "visitors see a page in place of the app (503)")
		}
		if m.Page != "" {
			w.add("maintenance.page", m.Page, "the page: %d bytes of HTML", len(m.Page))
		}
		w.span("maintenance.retry", m.Retry, "they are told to come again in %s")
		if len(m.Except) > 0 {
			w.add("maintenance.except", strings.Join(m.Except, ","), "these addresses reach the app nevertheless")
		}
	}
	if a := p.Addresses; a != nil {
		if len(a.Allow) > 0 {
			w.add("allow", strings.Join(a.Allow, ","), "only these addresses may come")
		}
		if len(a.Deny) > 0 {
			w.add("deny", strings.Join(a.Deny, ","), "these addresses may not come")
		}
	}
	if a := p.Auth; a != nil {
		for _, name := range slices.Sorted(maps.Keys(a.Users)) {
			w.add("auth.user", name, "%s may come, with a password", name)
		}
		if a.Realm != "" {
			w.add("auth.realm", a.Realm, "what browsers say the password is for")
		}
	}
	if r := p.Redirect; r != nil {
		w.add("redirect", r.To, "visitors are sent there")
		w.number("redirect.status", r.Status, "with status %d")
	}
}

// load are the rules about how much comes.
func (w *writer) load(p *client.Policy) {
	for _, r := range p.Rates {
		key, of := "rate", "of all visitors together"
		kind, name, _ := strings.Cut(r.By, ":")
		switch kind {
		case "client":
			key, of = "rate.client", "of each address"
		case "header", "cookie":
			key, of = "rate."+kind+"."+name, "with each value of the "+kind+" "+name
		}
		w.add(key, rateText(r), "at most %s requests %s %s", float(r.Requests), perText(time.Duration(r.Per)), of)
	}
	for _, f := range p.Faults {
		w.fault(f, len(p.Faults) == 1)
	}
	if b := p.Bulkhead; b != nil {
		w.number("bulkhead", b.Requests, "%d requests at once are with the app")
		w.number("bulkhead.queue", b.Queue, "%d more wait for their turn")
		w.span("bulkhead.wait", b.Wait, "for at most %s")
	}
}

func perText(d time.Duration) string {
	switch d {
	case 0, time.Second:
		return "a second"
	case time.Minute:
		return "a minute"
	case time.Hour:
		return "an hour"
	case 24 * time.Hour:
		return "a day"
	}
	return "in " + spanText(d)
}

func (w *writer) fault(f client.Trouble, only bool) {
	of := "all requests"
	if f.Match != nil {
		of = "requests with " + matchText(*f.Match)
	}
	if f.Share > 0 {
		of = percent(f.Share) + " of " + of
	}
	var what []string
	if f.Delay > 0 {
		what = append(what, "wait "+spanText(time.Duration(f.Delay)))
		if only {
			w.add("fault.delay", spanText(time.Duration(f.Delay)), "%s wait so long, on purpose", of)
		}
	}
	if f.Abort > 0 {
		what = append(what, fmt.Sprintf("are answered %d", f.Abort))
		if only {
			w.add("fault.abort", fmt.Sprint(f.Abort), "%s are answered so, on purpose", of)
		}
	}
	if !only { // keys speak of one
		w.add("", "", "%s %s, on purpose", of, strings.Join(what, " and "))
		return
	}
	if f.Share > 0 {
		w.add("fault.share", float(f.Share), "how many are meant")
	}
	if m := f.Match; m != nil {
		key, name := "fault.header", m.Header
		if m.Cookie != "" {
			key, name = "fault.cookie", m.Cookie
		}
		if m.Value != "" {
			name += "=" + m.Value
		}
		w.add(key, name, "which are meant")
	}
}

func matchText(m client.Match) string {
	text := "header " + m.Header
	if m.Cookie != "" {
		text = "cookie " + m.Cookie
	}
	if m.Value != "" {
		text += "=" + m.Value
	}
	return text
}

// app are the rules about how the app is asked.
func (w *writer) app(p *client.Policy) {
	if s := p.Sticky; s != nil {
		switch {
		case s.Header != "":
			w.add("sticky", "header:"+s.Header, "requests with an equal %s go to the same instance", s.Header)
		case s.Cookie != "":
			w.add("sticky", "cookie:"+s.Cookie, "visitors stay with their instance, by the cookie %s", s.Cookie)
		default:
			w.add("sticky", "cookie", "visitors stay with their instance, by a cookie")
		}
		w.span("sticky.max_age", s.MaxAge, "for %s")
	}
	if b := p.Breaker; b != nil {
		w.add("breaker", "on", "a group that fails is spared for a while")
		if b.Failed > 0 {
			w.add("breaker.failed", float(b.Failed), "where %s of the requests failed", percent(b.Failed))
		}
		w.number("breaker.requests", b.Requests, "of at least %d")
		w.span("breaker.window", b.Window, "in %s")
		w.span("breaker.open", b.Open, "for %s, then it is tried again")
		w.number("breaker.probes", b.Probes, "with %d requests that must be well")
	}
	if r := p.Retries; r != nil {
		if r.Attempts > 0 {
			w.add("retries", fmt.Sprint(r.Attempts-1), "a request is sent again at most %d times", r.Attempts-1)
		}
		if r.Budget > 0 {
			w.add("retries.budget", float(r.Budget), "retries are at most %s of all answers", percent(r.Budget))
		}
	}
	if h := p.Health; h != nil {
		w.add("health", h.Path, "instances are asked there how they are")
		w.span("health.every", h.Every, "every %s")
		w.span("health.timeout", h.Timeout, "and have %s to answer")
		w.number("health.fails", h.Fails, "%d failures in a row, and an instance gets no requests")
		w.number("health.passes", h.Passes, "%d successes in a row, and it gets them again")
	}
}

func (w *writer) fields(key, of string, r *client.FieldRules) {
	if r == nil {
		return
	}
	if len(r.Remove) > 0 {
		w.add(key+".remove", strings.Join(r.Remove, ","), "%s lose these header fields", of)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Set)) {
		w.add(key+".set."+name, r.Set[name], "%s have this in %s", of, name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Add)) {
		for _, value := range r.Add[name] {
			at := key + ".add." + name
			if len(r.Add[name]) > 1 { // keys speak of one
				at = ""
			}
			w.add(at, value, "%s have this added in %s", of, name)
		}
	}
}

func (w *writer) mirror(m *client.Mirror) {
	if m == nil {
		return
	}
	w.add("mirror", m.Group, "copies of requests go to %s, whose answers nobody sees", m.Group)
	if m.Share > 0 {
		w.add("mirror.share", float(m.Share), "of %s of the requests", percent(m.Share))
	}
	if m.Body > 0 {
		w.add("mirror.body", bytesText(m.Body), "with bodies up to %s", bytesText(m.Body))
	}
}

// WhenText says in words which requests a condition is about: "POST or PUT,
// header X-Beta=1". "" is all.
func WhenText(w *client.When) string {
	if w == nil {
		return ""
	}
	var parts []string
	if len(w.Methods) > 0 {
		parts = append(parts, strings.Join(w.Methods, " or "))
	}
	for _, m := range w.Match {
		parts = append(parts, matchText(m))
	}
	return strings.Join(parts, ", ")
}
