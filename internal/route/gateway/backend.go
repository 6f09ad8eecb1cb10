package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/route"
)

// backend is one address of one instance, the same object in every table that
// holds it.
type backend struct {
	instance route.Instance
	tables   *tables

	load    atomic.Int64 // requests in flight; gone is set in the same word
	ejected atomic.Int64 // unix nanoseconds until it may be tried again; 0: in service
	fails   atomic.Int32 // connects in a row that failed

	dial      sync.Once
	transport *http.Transport
}

// gone marks a backend that left the table. It shares a word with the count, so
// that "left" and "one more request" cannot miss each other.
const gone = int64(1) << 62

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
func (b *backend) release() {
	if b.load.Add(-1) == gone {
		b.tables.idle(b)
	}
}

// leave marks the backend as out of the table and returns whether requests are
// still in flight.
func (b *backend) leave() (busy bool) { return b.load.Or(gone)&^gone != 0 }

// enter takes the mark back.
func (b *backend) enter() { b.load.And(^gone) }

// busy is the number of requests in flight.
func (b *backend) busy() int64 { return b.load.Load() &^ gone }

// ready reports whether the backend may take a request now. An ejected one
// becomes ready for a single request each time its term is over; whoever asks
// first carries that one.
func (b *backend) ready(now int64, cfg *Config) bool {
	until := b.ejected.Load()
	if until == 0 {
		return true
	}
	return now >= until && b.ejected.CompareAndSwap(until, now+int64(b.term(cfg)))
}

// serving is ready without taking the turn.
func (b *backend) serving() bool { return b.ejected.Load() == 0 }

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

// worked notes that the instance accepted a connection or answered.
func (b *backend) worked() {
	if b.ejected.Load() == 0 && b.fails.Load() == 0 {
		return
	}
	b.fails.Store(0)
	if b.ejected.Swap(0) != 0 {
		b.tables.reports.ejected(route.Ejection{
			Time: time.Now(), Instance: b.instance.ID, Address: b.instance.Address, Back: true,
		})
	}
}

// connectError is a connection that was not made: nothing was sent.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// conn is the transport of this backend alone, so that its connections end with
// it and never serve whoever gets its address next.
func (b *backend) conn(cfg *Config) *http.Transport {
	b.dial.Do(func() {
		dialer := net.Dialer{}
		b.transport = &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				limit := cfg.Connect
				if own, ok := ctx.Value(connectLimit{}).(time.Duration); ok {
					limit = own
				}
				ctx, cancel := context.WithTimeout(ctx, limit)
				defer cancel()
				c, err := dialer.DialContext(ctx, network, b.instance.Address)
				if err != nil {
					return nil, &connectError{attempt(b.instance.Address, err)}
				}
				return c, nil
			},
			DisableCompression:     true,
			MaxIdleConns:           0,
			MaxIdleConnsPerHost:    cfg.UpstreamKept,
			IdleConnTimeout:        cfg.UpstreamIdle,
			ExpectContinueTimeout:  time.Second, // for apps that never heard of it
			MaxResponseHeaderBytes: 256 << 10,
			WriteBufferSize:        4 << 10,
			ReadBufferSize:         4 << 10,
		}
	})
	return b.transport
}

// connectLimit is the context key of a table's own connect timeout.
type connectLimit struct{}

// close ends the idle connections; those in use end with their requests.
func (b *backend) close() {
	b.dial.Do(func() {}) // a transport that was never made stays nil
	if b.transport != nil {
		b.transport.CloseIdleConnections()
	}
}
