package spool

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
	"unicode/utf8"
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
	chunk        = 64 << 10 // read at a time: what a pipe holds
	queued       = 4        // batches between the app and the disk
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
	c := &copier{o: o, seq: seq, ns: ns, tokens: float64(o.Rate * burstSeconds), filled: o.Now(), batches: make(chan batch, queued), free: make(chan []byte, queued), lost: map[string]uint64{}}
	written := make(chan uint64)
	go func() { written <- c.write(w) }()
	var readers sync.WaitGroup
	for stream, r := range map[Stream]io.Reader{Stdout: stdout, Stderr: stderr} {
		if r != nil {
			readers.Go(func() { c.read(stream, r) })
		}
	}
	readers.Wait()
	close(c.batches)
	c.end(w, <-written)
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
	lines   uint64 // in it
	news    uint64 // lines that were lost before, as its records tell
	ns      int64  // time of its first record
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

	lost map[string]uint64 // lines, by reason, that no record tells of yet

	free chan []byte // buffers that were written
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
	c.tick()
	for len(buf) > 0 {
		i := bytes.IndexByte(buf, '\n')
		switch {
		case i >= 0 && i <= c.o.Line:
			c.put(&b, Line, stream, bytes.TrimSuffix(buf[:i], []byte{'\r'}))
			buf = buf[i+1:]
			continue
		case len(buf) > c.o.Line:
			cut := whole(buf, c.o.Line)
			c.put(&b, Part, stream, buf[:cut])
			buf = buf[cut:]
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

// whole is the place at or before most where no character of UTF-8 is cut in two.
func whole(text []byte, most int) int {
	for cut := most; cut > most-utf8.UTFMax && cut > 0; cut-- {
		if utf8.RuneStart(text[cut]) {
			return cut
		}
	}
	return most // it is none
}

// tick looks at the clock, once for all that was read at once.
func (c *copier) tick() {
	now := c.o.Now()
	c.ns = max(c.ns, now.UnixNano()-1)
	if c.o.Rate > 0 {
		c.tokens = min(float64(c.o.Rate*burstSeconds), c.tokens+now.Sub(c.filled).Seconds()*float64(c.o.Rate))
		c.filled = now
	}
}

// put stamps a record and adds it to the batch, or counts it as lost.
func (c *copier) put(b *batch, kind Kind, stream Stream, text []byte) {
	c.seq++
	c.ns++
	if c.o.Rate > 0 {
		if c.tokens < float64(len(text)) {
			c.lost[ReasonRate]++
			return
		}
		c.tokens -= float64(len(text)) + 1
	}
	if len(b.records) == 0 {
		b.first, b.ns = c.seq, c.ns
		if b.records = c.spare(); b.records == nil {
			b.records = make([]byte, 0, 2*chunk)
		}
	}
	c.confess(b)
	b.records = appendRecord(b.records, kind, stream, c.seq, c.ns, text)
	b.lines++
}

// confess writes down what was lost before the record that is about to follow.
func (c *copier) confess(b *batch) {
	for _, reason := range []string{ReasonRate, ReasonDisk} {
		if n := c.lost[reason]; n > 0 {
			b.records = appendRecord(b.records, Dropped, 0, c.seq-1, c.ns, droppedText(n, reason))
			b.news += n
			c.ns++
			delete(c.lost, reason)
		}
	}
}

// spare returns a buffer that was written and can be used again, nil for none.
func (c *copier) spare() []byte {
	select {
	case b := <-c.free:
		return b
	default:
		return nil
	}
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
	c.lost[ReasonDisk] += b.lines + b.news
}

// write gives batches to the disk. What could not be written is told of before
// what follows it, and returned where nothing does.
func (c *copier) write(w *Writer) (lost uint64) {
	for b := range c.batches {
		records := b.records
		if lost > 0 {
			records = append(appendRecord(nil, Dropped, 0, b.first-1, b.ns, droppedText(lost, ReasonDisk)), records...)
		}
		if err := w.Append(records, b.first); err != nil {
			lost += b.lines + b.news
		} else {
			lost = 0
		}
		select {
		case c.free <- b.records[:0]:
		default:
		}
	}
	return lost
}

// end writes down what was lost last, and that nothing follows.
func (c *copier) end(w *Writer, lost uint64) {
	c.seq++
	c.ns = max(c.ns+1, c.o.Now().UnixNano())
	b := batch{}
	if lost > 0 {
		c.lost[ReasonDisk] += lost
	}
	c.confess(&b)
	b.records = appendRecord(b.records, End, 0, c.seq, c.ns, nil)
	_ = w.append(b.records, c.seq) // a full disk here costs the mark; Finish sets it later
}
