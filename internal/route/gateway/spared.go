package gateway

import (
	"errors"
	"net/http"
	"reflect"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/breaker"
)

// breaker returns the breaker of one of the entry's groups; nil where the route
// wants none. One that was asked for in the same words goes on.
func (p *policy) breaker(id, group string, before *policy, r *reports) *breaker.Breaker {
	if p == nil || p.spec.Breaker == nil {
		return nil
	}
	if p.breakers == nil {
		p.breakers = map[string]*breaker.Breaker{}
	}
	if before != nil {
		if b := before.breakers[group]; b != nil && reflect.DeepEqual(b.Asked(), *p.spec.Breaker) {
			p.breakers[group] = b
			return b
		}
	}
	b := breaker.New(*p.spec.Breaker, func(s route.BreakerState, why string) {
		r.broke(route.Breaking{Time: time.Now(), Route: id, Group: group, State: s, Reason: why})
	})
	p.breakers[group] = b
	return b
}

// retire tells of breakers that are not in use any more, as nobody will close
// them.
func (p *policy) retire(next *policy) {
	if p == nil {
		return
	}
	for group, b := range p.breakers {
		if next != nil && next.breakers[group] == b {
			continue
		}
		b.Retire("it is not asked for any more")
	}
}

// admissible and admits are the group's breaker's.
func (g *group) admissible() bool { return g.breaker == nil || g.breaker.Admissible(now()) }

func (g *group) admits() bool { return g.breaker == nil || g.breaker.Admits(now()) }

// settled notes what became of an attempt. What was not the instance's doing
// tells nothing.
func (x *exchange) settled(g *group, b *backend, err, client error) {
	if client != nil || errors.Is(err, errLeft) {
		if g.breaker != nil {
			g.breaker.Void(x.term)
		}
		return
	}
	failed := err != nil || x.answer.Status >= http.StatusInternalServerError
	if !refused(err) { // which is seen by itself
		at := x.g.watcher.now()
		if b.fit.Saw(failed, at); failed {
			g.compare(b, at, &x.g.cfg)
		}
	}
	if g.breaker != nil {
		g.breaker.Ended(x.term, failed, now())
	}
}

// refused reports whether no connection was made.
func refused(err error) bool {
	if err == nil {
		return false
	}
	why := new(connectError)
	return errors.As(err, &why)
}

// errSpared is a request all of whose groups are spared.
var errSpared = errors.New("all groups are spared")

// spared is how long it takes until one of the groups may be tried again; 0 where
// one is not spared.
func (e *entry) spared() time.Duration {
	least := time.Duration(0)
	at := now()
	for _, g := range e.groups {
		if g.admissible() {
			return 0
		}
		if wait := max(time.Millisecond, time.Duration(g.breaker.Wait(at))*time.Millisecond); least == 0 || wait < least {
			least = wait
		}
	}
	return least
}

// failing answers where all groups are spared.
func (x *exchange) failing() *page {
	name := x.app()
	x.problem = "spared: the breaker is open"
	return &page{
		status: http.StatusServiceUnavailable, kind: fault.Unavailable, title: "Not available",
		message: name + " failed too often and is left alone for a moment.", retry: seconds(x.entry.spared()),
		try: "If this is your app: naru logs " + name + " shows what it says.",
	}
}

// broke notes what a breaker did.
func (r *reports) broke(b route.Breaking) {
	r.mu.Lock()
	key := counterKey{b.Route, b.Group}
	if b.State == route.BreakerClosed {
		delete(r.broken, key)
	} else {
		r.broken[key] = b
	}
	if r.breakings = append(r.breakings, b); len(r.breakings) > maxEjections {
		r.breakings = r.breakings[1:]
	}
	r.mu.Unlock()
	r.nudge()
}

// takeBreakings returns what was not said yet.
func (r *reports) takeBreakings() []route.Breaking {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.breakings
	r.breakings = nil
	return out
}

// standing lists the breakers that are not closed.
func (r *reports) standing() []route.Breaking {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]route.Breaking, 0, len(r.broken))
	for _, b := range r.broken {
		out = append(out, b)
	}
	return out
}
