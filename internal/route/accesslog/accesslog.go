// Package accesslog writes a line for each request of a gateway into a file or
// to standard output, without ever holding a request up.
package accesslog

import (
	"bufio"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"naru/internal/route"
)

// Format is the form of the lines.
type Format string

// The formats.
const (
	JSON Format = "json" // an object
	CF   Format = "cf"   // as the router of Cloud Foundry writes it
)

// Options of a log; zero fields take the defaults named beside them.
type Options struct {
	Format Format
	Path   string  // of the file; "-": standard output
	Sample float64 // share of the requests that are written; those answered with 5xx always are
	Bytes  int64   // size from which a file becomes PATH.1, in the place of the one before: 128 MiB
	Queue  int     // lines that wait to be written, more are dropped and counted: 8192
}

// Log is an access log. It is a gateway's Recorder.
type Log struct {
	o     Options
	out   sink
	log   *slog.Logger
	queue chan route.Access
	many  chan struct{} // one token: many lines wait
	lost  atomic.Uint64
}

// sink is where lines go. Write gets whole lines.
type sink interface {
	Write(lines []byte) (int, error)
	// look is called now and then, when nothing is being written.
	look() error
	Close() error
}

// New opens a log; Run writes it.
func New(o Options, log *slog.Logger) (*Log, error) {
	if o.Bytes <= 0 {
		o.Bytes = 128 << 20
	}
	if o.Queue <= 0 {
		o.Queue = 8192
	}
	out, err := open(o)
	if err != nil {
		return nil, err
	}
	return &Log{o: o, out: out, log: log, queue: make(chan route.Access, o.Queue), many: make(chan struct{}, 1)}, nil
}

// Wants draws whether a request with a status is written: then it is to be given
// to Record.
func (l *Log) Wants(status int) bool {
	return status >= 500 || l.o.Sample >= 1 || l.o.Sample > 0 && rand.Float64() < l.o.Sample
}

// Record has a request written, or dropped where too many wait.
func (l *Log) Record(a route.Access) {
	select {
	case l.queue <- a:
		if len(l.queue)%min(together, l.o.Queue) == 0 {
			select {
			case l.many <- struct{}{}:
			default:
			}
		}
	default:
		l.lost.Add(1)
	}
}

// Lost is how many lines were dropped since the start, because they came too
// fast or could not be written.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Lines are written so many at once, or those there are after a time: each by
// itself would be a system call for each request.
const (
	together = 256
	pause    = 100 * time.Millisecond
)

// Run writes until ctx ends, then what waits, and closes the file.
func (l *Log) Run(ctx context.Context) error {
	defer func() { _ = l.out.Close() }()
	w := &writer{log: l, buffer: bufio.NewWriterSize(nil, 64<<10)}
	w.buffer.Reset(l.out)
	tick, look := time.NewTicker(pause), time.NewTicker(time.Second)
	defer tick.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			w.rest()
			return nil
		case <-l.many:
			w.rest()
		case <-tick.C:
			w.rest()
		case <-look.C:
			if err := l.out.look(); err != nil {
				w.failed(err)
			}
		}
	}
}

// writer puts lines together.
type writer struct {
	log    *Log
	buffer *bufio.Writer
	text   []byte
	lines  uint64 // in the buffer
	told   time.Time
}

// rest writes what waits.
func (w *writer) rest() {
	for {
		select {
		case a := <-w.log.queue:
			w.line(a)
			continue
		default:
		}
		w.flush()
		return
	}
}

func (w *writer) line(a route.Access) {
	if w.log.o.Format == CF {
		w.text = AppendCF(w.text[:0], a)
	} else {
		w.text = AppendJSON(w.text[:0], a)
	}
	w.text = append(w.text, '\n')
	if w.buffer.Available() < len(w.text) {
		w.flush() // so that what is written are whole lines
	}
	w.lines++
	_, _ = w.buffer.Write(w.text) // flush says what went wrong
}

func (w *writer) flush() {
	if w.lines == 0 {
		return
	}
	if err := w.buffer.Flush(); err != nil {
		w.log.lost.Add(w.lines)
		w.buffer.Reset(w.log.out) // it would refuse everything from now on
		w.failed(err)
	}
	w.lines = 0
}

// failed tells once a minute.
func (w *writer) failed(err error) {
	if now := time.Now(); now.Sub(w.told) >= time.Minute {
		w.told = now
		w.log.log.Error("access log not written", "error", err, "lost", w.log.lost.Load())
	}
}
