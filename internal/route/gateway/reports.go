package gateway

import (
	"sync"
	"time"

	"naru/internal/route"
	"naru/internal/route/wire"
)

// reports collects what the control plane is to hear, bounded, whether one
// listens or not.
type reports struct {
	wake     chan struct{} // one token: something is to be said at once
	full     chan struct{} // one token: many records or spans wait
	records  outbox
	spans    outbox
	recorder Recorder
	stray    *counter // requests for hosts nobody mapped, and refused ones

	mu        sync.Mutex // guards what follows
	round     uint64     // tables put in use
	ack       *wire.Ack
	left      map[string]wire.Left // by instance: what is to be said of those that left the table
	said      map[string]wire.Left // and what was, while they have requests
	ejections []route.Ejection
	trips     []route.Trip
	breakings []route.Breaking
	broken    map[counterKey]route.Breaking // breakers that are not closed
	counters  map[counterKey]*counter
	toured    map[tourKey]*tour
}

type counterKey struct{ route, group string }

// forget is how long a counter outlives its route, for requests that still end.
const forget = 15 * time.Minute

// maxEjections bounds what waits for a control plane that is away; older ones go.
const maxEjections = 1024

func newReports(cfg Config) *reports {
	stray := &counter{}
	r := &reports{
		wake: make(chan struct{}, 1), full: make(chan struct{}, 1), stray: stray,
		recorder: cfg.Recorder, counters: map[counterKey]*counter{{}: stray}, toured: map[tourKey]*tour{}, left: map[string]wire.Left{}, broken: map[counterKey]route.Breaking{}, said: map[string]wire.Left{},
	}
	r.records.full, r.spans.full = r.full, r.full
	if cfg.Control != "" {
		r.records.most, r.spans.most = cfg.Records, cfg.Spans
	}
	return r
}

// counter returns the counter of a route and group; the same one each time.
func (r *reports) counter(id, group string) *counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := counterKey{id, group}
	c := r.counters[key]
	if c == nil {
		c = &counter{}
		c.budget.Store(retryBegin)
		r.counters[key] = c
	}
	c.round.Store(r.round)
	c.used.Store(time.Now().Unix())
	return c
}

// applied notes that new requests use a table.
func (r *reports) applied(version uint64, busy []wire.Left) {
	ack := &wire.Ack{Version: version, Left: busy}
	r.mu.Lock()
	clear(r.left)
	clear(r.said)
	for _, l := range busy {
		ack.Busy = append(ack.Busy, l.Instance)
		r.said[l.Instance] = l
	}
	r.ack = ack
	r.mu.Unlock()
	r.nudge()
}

// refused notes that a table could not be used.
func (r *reports) refused(version uint64, why error) {
	r.mu.Lock()
	r.ack = &wire.Ack{Version: version, Refused: why.Error()}
	r.mu.Unlock()
	r.nudge()
}

// begin starts a new table: counters it does not name grow old.
func (r *reports) begin() {
	r.mu.Lock()
	r.round++
	r.mu.Unlock()
}

// urgent takes what is to be said at once; the fields are empty where there is
// nothing.
func (r *reports) urgent() (ack *wire.Ack, idle *wire.Idle, ejections []route.Ejection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ack, ejections = r.ack, r.ejections
	r.ack, r.ejections = nil, nil
	for _, l := range r.left {
		if idle == nil {
			idle = &wire.Idle{}
		}
		if l.Requests || l.Streams {
			idle.Left = append(idle.Left, l)
		} else {
			idle.Instances = append(idle.Instances, l.Instance)
		}
	}
	clear(r.left)
	return ack, idle, ejections
}

// remain notes what is left at an instance outside the table.
func (r *reports) remain(l wire.Left) {
	r.mu.Lock()
	news := r.said[l.Instance] != l
	if news {
		r.left[l.Instance], r.said[l.Instance] = l, l
		if !l.Requests && !l.Streams {
			delete(r.said, l.Instance)
		}
	}
	r.mu.Unlock()
	if news {
		r.nudge()
	}
}

func (r *reports) ejected(e route.Ejection) {
	r.mu.Lock()
	if r.ejections = append(r.ejections, e); len(r.ejections) > maxEjections {
		r.ejections = r.ejections[1:]
	}
	r.mu.Unlock()
	r.nudge()
}

func (r *reports) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// totals lists the counters that changed since they were last in seen, and
// forgets those whose route is long gone.
func (r *reports) totals(seen map[counterKey]route.Counter) []route.Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []route.Counter
	now := time.Now().Unix()
	for key, c := range r.counters {
		total := c.total(key)
		if total != seen[key] {
			seen[key] = total
			if total.Requests() > 0 || total.Active > 0 {
				out = append(out, total)
			}
		} else if c != r.stray && total.Active == 0 && c.round.Load() != r.round && now-c.used.Load() > int64(forget/time.Second) {
			delete(r.counters, key)
			delete(seen, key)
		}
	}
	return out
}
