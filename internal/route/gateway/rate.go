package gateway

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/bucket"
)

// rate lets in as many requests as a route says, of all or of each visitor or
// value.
type rate struct {
	spec    route.Rate
	name    string
	of      func(r *rate, x *exchange) []byte // the key of a request; nil: all together
	buckets *bucket.Buckets
}

func newRate(spec route.Rate) *rate {
	r := &rate{spec: spec}
	kind, name, _ := strings.Cut(spec.By, ":")
	r.name = name
	switch kind {
	case "client":
		r.of = (*rate).client
	case "header":
		r.of = (*rate).header
	case "cookie":
		r.of = (*rate).cookie
	}
	return r
}

// ready makes the buckets of one that is to be used.
func (r *rate) ready() *rate {
	if r.buckets == nil {
		r.buckets = bucket.New(r.spec.Requests, cmp.Or(r.spec.Per.Std(), time.Second), r.spec.Burst, r.of != nil)
	}
	return r
}

func (r *rate) rule() any { return r.spec }

// pass answers 429 where there is no token.
func (r *rate) pass(x *exchange) (*page, error) {
	wait := r.take(x, x.start.Sub(began).Nanoseconds())
	if wait == 0 {
		return nil, nil
	}
	x.problem = "over the rate"
	return &page{
		status: http.StatusTooManyRequests, kind: fault.TooLarge, title: "Too many requests",
		message: "There were too many requests. Ask again a little later.", retry: seconds(wait),
	}, nil
}

// seconds is what Retry-After says for a wait: whole ones, at least one.
func seconds(wait time.Duration) int {
	return int(max(1, (wait+time.Second-1)/time.Second))
}

// take takes a token for a request, or says how long it takes until there is one.
// Whatever has no key shares the bucket of all.
func (r *rate) take(x *exchange, now int64) time.Duration {
	if r.of != nil {
		if key := r.of(r, x); len(key) > 0 {
			return r.buckets.TakeOf(key, now)
		}
	}
	return r.buckets.Take(now)
}

// client is the visitor's address. Whoever has one of IPv6 has the whole /64.
func (r *rate) client(x *exchange) []byte {
	addr := x.visitor()
	if !addr.IsValid() {
		return nil
	}
	if addr.Is4() {
		four := addr.As4()
		return append(x.key[:0], four[:]...)
	}
	sixteen := addr.As16()
	return append(x.key[:0], sixteen[:8]...)
}

func (r *rate) header(x *exchange) []byte { return headerOf(x.req, r.name) }

func (r *rate) cookie(x *exchange) []byte { return cookieOf(x.req, r.name) }
