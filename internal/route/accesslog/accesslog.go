// Package accesslog writes a line for each request of a gateway into a file or
// to standard output, without ever holding a request up.
package accesslog

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
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
	o    Options
	out  sink
	log  *slog.Logger
	pens sync.Pool
	some chan struct{} // one token: lines begin to wait
	many chan struct{} // one token: many do
	lost atomic.Uint64

	mu      sync.Mutex // guards what follows
	text    []byte     // lines that wait
	waiting int        // their number
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
	l := &Log{o: o, out: out, log: log, some: make(chan struct{}, 1), many: make(chan struct{}, 1)}
	l.pens.New = func() any { return new(pen) }
	return l, nil
}

// Wants draws whether a request with a status is written: then it is to be given
// to Record.
func (l *Log) Wants(status int) bool {
	return status >= 500 || l.o.Sample >= 1 || l.o.Sample > 0 && rand.Float64() < l.o.Sample
}

// Record has a request written, or dropped where too many wait.
func (l *Log) Record(a *route.Access) {
	p, _ := l.pens.Get().(*pen)
	if l.o.Format == CF {
		p.line = p.cf(p.line[:0], a)
	} else {
		p.line = p.json(p.line[:0], a)
	}
	p.line = append(p.line, '\n')
	l.keep(p.line)
	l.pens.Put(p)
}

// keep has a line wait.
func (l *Log) keep(line []byte) {
	l.mu.Lock()
	if l.waiting >= l.o.Queue || len(l.text) > mostText {
		l.mu.Unlock()
		l.lost.Add(1)
		return
	}
	before := len(l.text)
	l.text = append(l.text, line...)
	l.waiting++
	now, full := len(l.text), l.waiting == l.o.Queue
	l.mu.Unlock()
	switch {
	case before < together && now >= together, full:
		token(l.many)
	case before == 0:
		token(l.some)
	}
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Lost is how many lines were dropped since the start, because they came too
// fast or could not be written.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Lines are written when there are so many bytes of them, or a time after the first
// one: each by itself would be a system call for each request.
const (
	together = 128 << 10
	pause    = 100 * time.Millisecond
)

// mostText bounds what waits whatever the queue is: lines may be long.
const mostText = 32 << 20

// Run writes until ctx ends, then what waits, and closes the file.
func (l *Log) Run(ctx context.Context) error {
	defer func() { _ = l.out.Close() }()
	w := &writer{log: l}
	late, look := time.NewTimer(pause), time.NewTicker(time.Second)
	defer late.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			w.rest()
			return nil
		case <-l.some:
			late.Reset(pause)
		case <-l.many:
			w.rest()
		case <-late.C:
			w.rest()
		case <-look.C:
			if err := l.out.look(); err != nil {
				w.failed(err)
			}
		}
	}
}

// writer puts lines into the file.
type writer struct {
	log  *Log
	text []byte // memory to be used again
	told time.Time
}

// rest writes what waits.
func (w *writer) rest() {
	l := w.log
	l.mu.Lock()
	text := l.text
	l.text, l.waiting = w.text[:0], 0
	l.mu.Unlock()
	for rest := text; len(rest) > 0; {
		some := whole(rest, min(together, l.o.Bytes/4)) // a file is to end near its limit
		if _, err := l.out.Write(some); err != nil {
			l.lost.Add(uint64(bytes.Count(some, []byte{'\n'})))
			w.failed(err)
		}
		rest = rest[len(some):]
	}
	if w.text = text; cap(text) > 8*together {
		w.text = nil
	}
}

// whole is what is written at once: whole lines.
func whole(text []byte, most int64) []byte {
	if int64(len(text)) <= most {
		return text
	}
	if end := bytes.LastIndexByte(text[:most], '\n'); end >= 0 {
		return text[:end+1]
	}
	return text[:bytes.IndexByte(text, '\n')+1]
}

// failed tells once a minute.
func (w *writer) failed(err error) {
	if now := time.Now(); now.Sub(w.told) >= time.Minute {
		w.told = now
		w.log.log.Error("access log not written", "error", err, "lost", w.log.lost.Load())
	}
}
