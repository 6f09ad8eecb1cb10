package spool

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

// Options bound a Copier. Zero fields mean the defaults.
type Options struct {
	Bound    int64         // bytes of all files, default 128 MiB
	Rate     int64         // bytes a second kept in the long run, default unlimited
	Line     int           // bytes of text in one record, default 16 KiB; longer lines become parts
	Patience time.Duration // how long a disk that does not answer may hold up the app, default 1 s
	Now      func() time.Time
}

const (
	defaultBound = 128 << 20
	defaultLine  = 16 << 10
	burstSeconds = 4        // of the rate may come at once
	chunk        = 32 << 10 // read at a time; the size of a pipe is 64 KiB
	queued       = 8        // batches between the app and the disk
)

func (o Options) filled() Options {
	if o.Bound <= 0 {
		o.Bound = defaultBound
	}
	if o.Line <= 0 {
		o.Line = defaultLine
	}
	o.Line = min(o.Line, maxText)
	if o.Patience <= 0 {
		o.Patience = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Copy moves lines from an instance's standard output and error into its spool
// until both have ended, and marks the end. It never stops reading: what the
// rate, the disk or the bound forbids is counted and dropped. Either reader may
// be nil.
func Copy(dir string, stdout, stderr io.Reader, o Options) error {
	o = o.filled()
	w, seq, ns, err := OpenWriter(dir, o.Bound)
	if err != nil {
		// The app must not notice: read on and keep nothing.
		return errors.Join(err, discard(stdout, stderr))
	}
	c := &copier{o: o, seq: seq, ns: ns, tokens: float64(o.Rate * burstSeconds), filled: o.Now(), batches: make(chan batch, queued)}
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write(w)
	}()
	var readers sync.WaitGroup
	for stream, r := range map[Stream]io.Reader{Stdout: stdout, Stderr: stderr} {
		if r != nil {
			readers.Go(func() { c.read(stream, r) })
		}
	}
	readers.Wait()
	close(c.batches)
	<-written
	c.end(w)
	return w.Close()
}

func discard(readers ...io.Reader) error {
	var wg sync.WaitGroup
	for _, r := range readers {
		if r != nil {
			wg.Go(func() { io.Copy(io.Discard, r) }) // whatever ends it, there is nothing left to do
		}
	}
	wg.Wait()
	return nil
}

// batch is what one read of a stream became.
type batch struct {
	records []byte
	first   uint64 // sequence number of its first record
	lines   uint64 // sequence numbers it used
}

type copier struct {
	o       Options
	batches chan batch

	mu     sync.Mutex // guards what stamps records, and the order of batches
	seq    uint64
	ns     int64
	tokens float64
	filled time.Time
	stuck  bool // the disk did not answer in time; wait no more until it does

	lost tally // has a lock of its own: the disk must never wait for a reader
}

// tally counts lines that were lost and are not written down yet, by reason.
type tally struct {
	mu sync.Mutex
	n  map[string]uint64
}

func (t *tally) add(reason string, n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]uint64{}
	}
	t.n[reason] += n
}

func (t *tally) take(reason string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.n[reason]
	delete(t.n, reason)
	return n
}

// read cuts a stream into lines until it ends.
func (c *copier) read(stream Stream, r io.Reader) {
	buf := make([]byte, 0, c.o.Line+chunk)
	for {
		n, err := r.Read(buf[len(buf):min(len(buf)+chunk, cap(buf))])
		buf = buf[:len(buf)+n]
		rest := c.take(stream, buf, err != nil)
		buf = buf[:copy(buf[:cap(buf)], rest)]
		if err != nil {
			return
		}
	}
}

// take turns the whole lines of buf into a batch, and what is too long to become
// a line, and at the end what is left. It returns what waits for more.
func (c *copier) take(stream Stream, buf []byte, end bool) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := batch{first: c.seq + 1}
	for len(buf) > 0 {
		i := bytes.IndexByte(buf, '\n')
		switch {
		case i >= 0 && i <= c.o.Line:
			c.put(&b, Line, stream, bytes.TrimSuffix(buf[:i], []byte{'\r'}))
			buf = buf[i+1:]
			continue
		case len(buf) > c.o.Line:
			c.put(&b, Part, stream, buf[:c.o.Line])
			buf = buf[c.o.Line:]
			continue
		case end:
			c.put(&b, Line, stream, buf)
			buf = nil
			continue
		}
		break
	}
	if len(b.records) > 0 {
		c.send(b)
	}
	return buf
}

// put stamps a record and adds it to the batch, or counts it as lost.
func (c *copier) put(b *batch, kind Kind, stream Stream, text []byte) {
	c.seq++
	now := c.o.Now()
	c.ns = max(c.ns+1, now.UnixNano())
	if c.o.Rate > 0 {
		c.tokens = min(float64(c.o.Rate*burstSeconds), c.tokens+now.Sub(c.filled).Seconds()*float64(c.o.Rate))
		c.filled = now
		if c.tokens < float64(len(text)) {
			c.lost.add(ReasonRate, 1)
			return
		}
		c.tokens -= float64(len(text)) + 1
	}
	if len(b.records) == 0 {
		b.first = c.seq
	}
	b.records = c.confess(b.records)
	b.records = appendRecord(b.records, kind, stream, c.seq, c.ns, text)
	b.lines++
}

// confess writes down what was lost before the record that is about to follow.
func (c *copier) confess(records []byte) []byte {
	for _, reason := range []string{ReasonRate, ReasonDisk} {
		if n := c.lost.take(reason); n > 0 {
			records = appendRecord(records, Dropped, 0, c.seq-1, c.ns, droppedText(n, reason))
			c.ns++
		}
	}
	return records
}

// send queues a batch for the disk. A disk that has been given its chance is not
// waited for again until it has answered.
func (c *copier) send(b batch) {
	select {
	case c.batches <- b:
		c.stuck = false
		return
	default:
	}
	if !c.stuck {
		timer := time.NewTimer(c.o.Patience)
		defer timer.Stop()
		select {
		case c.batches <- b:
			return
		case <-timer.C:
			c.stuck = true
		}
	}
	c.lost.add(ReasonDisk, b.lines)
}

// write gives batches to the disk.
func (c *copier) write(w *Writer) {
	for b := range c.batches {
		if err := w.Append(b.records, b.first); err != nil {
			c.lost.add(ReasonDisk, b.lines)
		}
	}
}

// end writes down what was lost last, and that nothing follows.
func (c *copier) end(w *Writer) {
	c.seq++
	c.ns = max(c.ns+1, c.o.Now().UnixNano())
	records := c.confess(nil)
	records = appendRecord(records, End, 0, c.seq, c.ns, nil)
	w.Append(records, c.seq) // a full disk here costs the mark; Finish sets it later
}
