package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/route"
	"naru/internal/route/wire"
)

// reports collects what the control plane is to hear, bounded, whether one
// listens or not.
type reports struct {
	wake     chan struct{} // one token: something is to be said at once
	records  chan *note
	dropped  atomic.Uint64
	recorder Recorder
	stray    *counter // requests for hosts nobody mapped, and refused ones
	keep     bool     // records are wanted by a control plane

	mu        sync.Mutex // guards what follows
	round     uint64     // tables put in use
	ack       *wire.Ack
	idle      []string
	ejections []route.Ejection
	trips     []route.Trip
	counters  map[counterKey]*counter
}

type counterKey struct{ route, group string }

// forget is how long a counter outlives its route, for requests that still end.
const forget = 15 * time.Minute

// maxEjections bounds what waits for a control plane that is away; older ones go.
const maxEjections = 1024

func newReports(cfg Config) *reports {
	stray := &counter{}
	return &reports{
		wake: make(chan struct{}, 1), records: make(chan *note, cfg.Records), stray: stray,
		recorder: cfg.Recorder, keep: cfg.Control != "", counters: map[counterKey]*counter{{}: stray},
	}
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
func (r *reports) applied(version uint64, busy []string) {
	r.mu.Lock()
	r.ack, r.idle = &wire.Ack{Version: version, Busy: busy}, nil
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
func (r *reports) urgent() (ack *wire.Ack, idle []string, ejections []route.Ejection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ack, idle, ejections = r.ack, r.idle, r.ejections
	r.ack, r.idle, r.ejections = nil, nil, nil
	return ack, idle, ejections
}

// drained notes that an instance outside the table has no request any more.
func (r *reports) drained(instance string) {
	r.mu.Lock()
	r.idle = append(r.idle, instance)
	r.mu.Unlock()
	r.nudge()
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
			if total.Requests() > 0 {
				out = append(out, total)
			}
		} else if c != r.stray && c.round.Load() != r.round && now-c.used.Load() > int64(forget/time.Second) {
			delete(r.counters, key)
			delete(seen, key)
		}
	}
	return out
}
