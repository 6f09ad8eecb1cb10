package gateway

import (
	"sync/atomic"

	"naru/internal/route"
	"naru/internal/route/fitness"
)

// backend is one address of one instance, the same object in every table that
// holds it.
type backend struct {
	instance route.Instance
	http2    bool   // it speaks nothing else
	seed     uint64 // of the instance, for values that choose one
	tables   *tables

	load atomic.Int64 // requests in flight; how many of them are streams, and gone, are in the same word
	fit  fitness.Fitness
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

// close ends the idle connections; those in use end with their requests.
func (b *backend) close() { b.pool.close() }
