package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/certificate"
)

// Config of a gateway; zero fields take the default named beside them. Every
// limit is described in docs/gateway-table.md.
type Config struct {
	Control   string          // unix socket of the control plane; "": stand alone
	TableFile string          // stand alone: the table to serve; else: where the last table is kept ("": nowhere)
	Boot      string          // this boot of the machine; "": as the kernel says
	Balancers []netip.Prefix  // peers whose connections begin with a PROXY header: none
	Trusted   []netip.Prefix  // peers whose X-Forwarded-* fields are kept: none
	Recorder  Recorder        // takes records of requests; nil: none
	Reload    <-chan struct{} // stand alone: read the table file again now (SIGHUP)

	// Ready is called once, when the kept table, if there is one, is in use and
	// connections are about to be accepted; an error ends Run. Nil: nobody waits.
	Ready func(ctx context.Context) error

	Certificates *certificate.Shelf // takes the certificates that the control plane sends; nil: they are dropped

	Connections int // clients' connections at once, more wait to be accepted: 50000

	AddressConnections int           // those of one address (IPv6: a /64) among them, more are closed; Trusted and Balancers are not counted: half
	TCPConnections     int           // those of TCP routes among them, more are closed: half
	TCPIdle            time.Duration // a connection of a TCP route, silent in both directions: 1h

	HeaderBytes   int           // one request's header: 32 KiB
	BodyBytes     int64         // one request's body, where the table does not say: no limit
	HeaderTimeout time.Duration // until a request's header is complete: 10s
	IdleTimeout   time.Duration // a kept-alive connection without a request: 60s
	BodyIdle      time.Duration // silence of a client inside a body: 60s
	BodyRate      int           // bytes a second that a client has to move at least while a body waits for it; negative: none: 100
	BodyWindow    time.Duration // of such waiting, over which that is counted: 1m
	WriteIdle     time.Duration // a client that reads nothing of its answer: 120s
	HalfOpen      time.Duration // a WebSocket or the like of which one end has ended its direction, and the other one is silent: 10m
	Handshake     time.Duration // TLS: 10s
	Streams       int           // HTTP/2 requests at once on a connection: 250
	EmptyFrames   int           // frames of HTTP/2 that carry nothing of a request, at once on a connection; 10s forgive as many: 1000

	Connect      time.Duration // until an instance accepts: 3s
	Response     time.Duration // until an instance's answer begins: 15m
	UpstreamIdle time.Duration // an unused connection to an instance: 4s
	UpstreamKept int           // unused connections kept per instance: 256
	Attempts     int           // instances tried until one accepts a connection: 3
	EjectFirst   time.Duration // an instance that did not accept is left alone this long: 1s
	EjectMax     time.Duration // doubling up to: 30s
	RetryAfter   time.Duration // what 503 tells the client: 5s

	Drain        time.Duration // at the end, for requests in flight: 60s
	DrainUpgrade time.Duration // at the end, for WebSockets and the like: 5m
	Report       time.Duration // between batches of counters and records: 250ms
	Records      int           // records kept for a control plane that is away: 8192
	Spans        int           // spans kept for it: 8192
	TraceShare   float64       // share of the requests that have a span, where neither their clients nor their routes say: 0.05; negative: none
	TraceFirst   int           // requests of a route in each second that have one whatever the share is: 5; negative: none
	Poll         time.Duration // stand alone: between looks at the table file: 1s
}

func (c Config) withDefaults() Config {
	or(&c.Connections, 50_000)
	or(&c.TCPConnections, max(1, c.Connections/2))
	or(&c.AddressConnections, max(1, c.Connections/2))
	or(&c.TCPIdle, time.Hour)
	or(&c.HeaderBytes, 32<<10)
	or(&c.HeaderTimeout, 10*time.Second)
	or(&c.IdleTimeout, time.Minute)
	or(&c.BodyIdle, time.Minute)
	or(&c.BodyRate, 100)
	or(&c.BodyWindow, time.Minute)
	or(&c.WriteIdle, 2*time.Minute)
	or(&c.HalfOpen, 10*time.Minute)
	or(&c.Handshake, 10*time.Second)
	or(&c.Streams, 250)
	or(&c.EmptyFrames, 1000)
	or(&c.Connect, 3*time.Second)
	or(&c.Response, 15*time.Minute)
	// Below the 5s after which Node closes an idle connection: a request must not
	// be written into one that is just being closed.
	or(&c.UpstreamIdle, 4*time.Second)
	or(&c.UpstreamKept, 256)
	or(&c.Attempts, 3)
	or(&c.EjectFirst, time.Second)
	or(&c.EjectMax, 30*time.Second)
	or(&c.RetryAfter, 5*time.Second)
	or(&c.Drain, time.Minute)
	or(&c.DrainUpgrade, 5*time.Minute)
	or(&c.Report, 250*time.Millisecond)
	or(&c.Records, 8192)
	or(&c.Spans, 8192)
	or(&c.TraceShare, 0.05)
	or(&c.TraceFirst, 5)
	or(&c.Poll, time.Second)
	if c.Boot == "" {
		c.Boot = bootID()
	}
	return c
}

func or[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate names every field that cannot work.
func (c Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"header-timeout", c.HeaderTimeout}, {"idle-timeout", c.IdleTimeout}, {"body-idle", c.BodyIdle}, {"body-window", c.BodyWindow},
		{"write-idle", c.WriteIdle}, {"half-open", c.HalfOpen}, {"handshake", c.Handshake}, {"connect", c.Connect}, {"response", c.Response},
		{"upstream-idle", c.UpstreamIdle}, {"eject-first", c.EjectFirst}, {"eject-max", c.EjectMax},
		{"retry-after", c.RetryAfter}, {"drain", c.Drain}, {"drain-upgrade", c.DrainUpgrade}, {"report", c.Report}, {"poll", c.Poll}, {"tcp-idle", c.TCPIdle},
	} {
		if d.value <= 0 {
			errs = append(errs, fault.New(fault.Invalid, d.name, "must be above zero (got %s)", d.value))
		}
	}
	for _, n := range []struct {
		name       string
		value, min int
	}{
		{"connections", c.Connections, 1}, {"tcp-connections", c.TCPConnections, 1}, {"address-connections", c.AddressConnections, 1}, {"header-bytes", c.HeaderBytes, 1024}, {"streams", c.Streams, 1}, {"empty-frames", c.EmptyFrames, 10}, {"upstream-kept", c.UpstreamKept, 1},
		{"attempts", c.Attempts, 1}, {"records", c.Records, 1}, {"spans", c.Spans, 1},
	} {
		if n.value < n.min {
			errs = append(errs, fault.New(fault.Invalid, n.name, "must be at least %d (got %d)", n.min, n.value))
		}
	}
	if c.BodyBytes < 0 {
		errs = append(errs, fault.New(fault.Invalid, "body-bytes", "must not be negative (got %d)", c.BodyBytes))
	}
	if c.Control == "" && c.TableFile == "" {
		errs = append(errs, fault.New(fault.Invalid, "table", "a table file is needed where there is no control plane").
			WithTry("naru gateway --table FILE --listen 127.0.0.1:8080"))
	}
	return errors.Join(errs...)
}

// Recorder takes what is known about requests once they have ended. Its methods
// are called from many goroutines and must not block.
type Recorder interface {
	// Wants reports whether it is to be given a request that ended with a status; it
	// is asked once for each.
	Wants(status int) bool
	// Record takes a record. It is used again afterwards, and so are the texts that
	// are not of the table.
	Record(a *route.Access)
	// Lost is how many records it had no place for.
	Lost() uint64
}

// bootID is the kernel's name for this boot; "" where it has none.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// attempt names which try failed, for records and errors.
func attempt(address string, err error) error { return fmt.Errorf("connect to %s: %w", address, err) }
