package gateway

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/turnstile"
)

// bulkhead bounds how many requests of a route are in flight.
type bulkhead struct {
	spec route.Bulkhead
	wait time.Duration
	turn *turnstile.Turnstile
}

// waitOf is how long a request waits at most where a bulkhead does not say.
const waitOf = 10 * time.Second

func newBulkhead(spec route.Bulkhead) *bulkhead {
	return &bulkhead{spec: spec, wait: cmp.Or(spec.Wait.Std(), waitOf), turn: turnstile.New(spec.Requests, spec.Queue)}
}

func (b *bulkhead) rule() any { return b.spec }

// pass takes a place, and waits for one where that is possible. It is given back
// when the exchange has ended.
func (b *bulkhead) pass(x *exchange) (*page, error) {
	if b.turn.Enter() {
		x.place = b.turn
		return nil, nil
	}
	w := b.turn.Queue()
	if w == nil {
		return x.crowded("there is no room in the queue", b.spec.Queue > 0), nil
	}
	err := x.await(w.Turn(), b.wait)
	if err == nil {
		x.place = b.turn
		return nil, nil
	}
	b.turn.Abandon(w)
	if errors.Is(err, errLate) {
		return x.crowded("its turn did not come in time", true), nil
	}
	return nil, err
}

// crowded answers a request that gets no place.
func (x *exchange) crowded(why string, waits bool) *page {
	x.problem = "the route is full: " + why
	if !waits {
		x.problem = "the route is full"
	}
	return &page{
		status: http.StatusServiceUnavailable, kind: fault.Unavailable, title: "Busy",
		message: x.app() + " has as many requests as it takes at once.", retry: seconds(x.g.cfg.RetryAfter),
	}
}
