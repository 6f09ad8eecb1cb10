package gateway

import (
	"sync/atomic"
	"time"

	"naru/internal/route"
	"naru/internal/route/window"
)

// backend is one address of one instance, the same object in every table that
// holds it.
type backend struct {
	instance route.Instance
	http2    bool   // it speaks nothing else
	seed     uint64 // of the instance, for values that choose one
	tables   *tables

	load    atomic.Int64 // requests in flight; how many of them are streams, and gone, are in the same word
	ejected atomic.Int64 // unix nanoseconds until it may be tried again; 0: in service
	fails   atomic.Int32 // connects in a row that failed
	unwell  atomic.Int32 // questions about it that are answered badly

	expelled atomic.Int32 // how often its answers were worse than its siblings', not long ago
	since    atomic.Int64 // when that was last, as now tells it
	full     atomic.Int64 // when it has its full share again after that, as now tells it; 0: it has
	seen     window.Window

	pool pool
}

// gone marks a backend that left the table. It shares a word with the counts, so
// that "left" and "one more request" cannot miss each other. Below it stand the
// streams among the requests, and below those all requests.
const (
	gone      = int64(1) << 62
	oneStream = int64(1) << 31
)

// inFlight splits a word: requests that are no streams, and streams.
func inFlight(load int64) (ordinary, streams int64) {
	load &^= gone
	streams = load / oneStream
	return load%oneStream - streams, streams
}

// acquire counts a request in. False means the backend has left the table: look
// at the table again.
func (b *backend) acquire() bool {
	if b.load.Add(1)&gone == 0 {
		return true
	}
	b.release()
	return false
}

// release counts a request out.
func (b *backend) release() { b.changed(b.load.Add(-1)) }

// streams makes one of the requests in flight a stream, streamed counts one out.
func (b *backend) streams() { b.changed(b.load.Add(oneStream)) }

func (b *backend) streamed() { b.changed(b.load.Add(-oneStream - 1)) }

// changed tells of what is left at a backend that left the table.
func (b *backend) changed(load int64) {
	if load&gone != 0 {
		b.tables.left(b, load)
	}
}

// leave marks the backend as out of the table and returns whether requests are
// still in flight.
func (b *backend) leave() (busy bool) { return b.load.Or(gone)&^gone != 0 }

// enter takes the mark back.
func (b *backend) enter() {
	b.pool.open()
	b.load.And(^gone)
}

// busy is the number of requests in flight.
func (b *backend) busy() int64 { return b.load.Load() % oneStream }

// ready reports whether the backend may take a request now. An ejected one
// becomes ready for a single request each time its term is over; whoever asks
// first carries that one.
func (b *backend) ready(now int64, cfg *Config) bool {
	until := b.ejected.Load()
	if b.unwell.Load() > 0 {
		return false
	}
	if until == 0 {
		return true
	}
	return now >= until && b.ejected.CompareAndSwap(until, now+int64(b.term(cfg)))
}

// available is ready without asking for the time where that is not needed.
func (b *backend) available(cfg *Config, now *int64) bool {
	if b.serving() {
		return true
	}
	if *now == 0 {
		*now = time.Now().UnixNano()
	}
	return b.ready(*now, cfg)
}

// serving is ready without taking the turn.
func (b *backend) serving() bool { return b.ejected.Load() == 0 && b.unwell.Load() == 0 }

func (b *backend) term(cfg *Config) time.Duration {
	n := min(b.fails.Load(), 16)
	return min(cfg.EjectFirst<<max(n-1, 0), cfg.EjectMax)
}

// failed notes a connect that did not succeed.
func (b *backend) failed(cfg *Config, err error) {
	b.fails.Add(1)
	if b.ejected.Swap(time.Now().UnixNano()+int64(b.term(cfg))) == 0 {
		b.tables.reports.ejected(route.Ejection{
			Time: time.Now(), Instance: b.instance.ID, Address: b.instance.Address, Reason: err.Error(),
		})
	}
}

// worked notes that the instance answered a request that began at a time. One that
// is left alone because of its answers does not come back with one that failed,
// or with one from before.
func (b *backend) worked(begun int64, failed bool) {
	if b.ejected.Load() == 0 && b.fails.Load() == 0 {
		return
	}
	bad := b.expelled.Load() > 0
	if bad && b.ejected.Load() != 0 {
		if begun <= b.since.Load() {
			return
		}
		if failed {
			b.fails.Add(1)
			return
		}
		b.returned(now())
	}
	b.fails.Store(0)
	if b.ejected.Swap(0) != 0 {
		b.tables.reports.ejected(route.Ejection{
			Time: time.Now(), Instance: b.instance.ID, Address: b.instance.Address, Back: true,
		})
	}
}

// close ends the idle connections; those in use end with their requests.
func (b *backend) close() { b.pool.close() }
