package gateway

import (
	"errors"
	"io"

	"naru/internal/route/h1"
)

// download is an answer's body on its way to the client.
type download struct {
	x      *exchange
	u      *upstream
	left   int64
	chunks h1.Chunks
	extra  bool // bytes came that nobody asked for
	end    []byte
	pace   pace
	whole  bool // the body has been read to its end
}

// errLeft is a client that does not take its answer.
var errLeft = errors.New("the client left")

// relay passes an answer on as it comes, beginning with what came with its head,
// buf[from:to]. An answer that breaks off is an error; the client sees it break
// off too, so that nobody takes a part for the whole.
func (x *exchange) relay(u *upstream, buf []byte, from, to int) (clean bool, err error) {
	d := download{x: x, u: u, left: x.answer.Body.Length}
	d.chunks.Bare = x.bare
	from, to, err = d.take(buf, from, to)
	if err != nil {
		return false, err
	}
	x.answered(x.answer.Status)
	if !d.whole && !x.upload.done.Load() {
		x.upload.talk.Store(true)
	}
	x.watch.begin(onWrite, x.g.watcher.now(), x.g.cfg.WriteIdle) // the answer may have taken longer than that
	if err := x.client.respond(x, buf, from, to, d.over()); err != nil {
		return false, errLeft
	}
	if !d.whole {
		x.streams()
	}
	silence := x.entry.silence()
	for !d.whole {
		x.quiet(silence)
		n, rerr := u.read(buf[room : len(buf)-spare])
		from, to, err = room, room+n, nil
		if n > 0 {
			from, to, err = d.take(buf, from, to)
		}
		if rerr == io.EOF && x.answer.Body.Kind == h1.UntilClose && err == nil {
			d.close()
			rerr = nil
		}
		if err == nil && (to > from || d.whole) {
			begun := now()
			x.watch.begin(onWrite, begun, x.g.cfg.WriteIdle)
			if x.client.more(x, buf[from:to], d.over()) != nil {
				return false, errLeft
			}
			if d.pace.slow(&x.g.cfg, since(begun), to-from) && !d.whole && !x.talks() {
				return false, errSlow
			}
		}
		if err = errors.Join(err, rerr); err != nil && !d.whole {
			return false, err
		}
	}
	return !d.extra, d.finish()
}

// over reports whether nothing follows the bytes just taken.
func (d *download) over() bool { return d.whole && len(d.end) == 0 }

// take makes of bytes as they came, at buf[from:to], those the client is sent.
func (d *download) take(buf []byte, from, to int) (int, int, error) {
	x := d.x
	switch body := &x.answer.Body; body.Kind {
	case h1.Sized:
		n := int(min(d.left, int64(to-from)))
		d.left -= int64(n)
		d.whole, d.extra = d.left == 0, n < to-from
		x.sent += int64(n)
		return from, from + n, nil
	case h1.Chunked:
		return d.takeChunks(buf, from, to)
	case h1.UntilClose:
		x.sent += int64(to - from)
		if !x.bare {
			from, to = chunk(buf, from, to)
		}
		return from, to, nil
	}
	d.whole, d.extra = true, to > from
	return from, from, nil
}

func (d *download) takeChunks(buf []byte, from, to int) (int, int, error) {
	out, used, done, err := d.chunks.Next(buf[from:to])
	d.x.sent = d.chunks.Data
	if err != nil {
		return from, from, err
	}
	if d.extra = done && used < to-from; !done {
		return from, from + len(out), nil
	}
	d.whole = true
	if d.x.bare {
		return from, from + len(out), nil
	}
	if d.end, err = lastChunk(&d.chunks); err != nil {
		return from, from, err
	}
	to = from + len(out)
	if len(d.end) <= spare { // there is always room for the plain end
		to += copy(buf[to:], d.end)
		d.end = nil
	}
	return from, to, nil
}

// close ends a body that ends with its connection.
func (d *download) close() {
	if d.whole = true; !d.x.bare {
		d.end = endOfChunks
	}
}

// finish sends what follows the last bytes.
func (d *download) finish() error {
	x := d.x
	if len(d.end) > 0 {
		if x.client.more(x, d.end, true) != nil {
			return errLeft
		}
		return nil
	}
	if x.bare && x.answer.Body.Kind == h1.Chunked {
		var f h1.Fields
		if why := d.chunks.Trailers(&f); why != nil {
			return why
		}
		if len(f.Fields) > 0 {
			x.client.trailers(x, &f)
		}
	}
	return nil
}
