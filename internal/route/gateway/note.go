package gateway

import (
	"sync"
	"time"

	"naru/internal/route"
	"naru/internal/route/h1"
	"naru/internal/route/wire"
)

// note is a record on its way to the control plane. Its strings are in its own
// memory, and it is used again once it was sent, so that records cost the
// requests no allocation.
type note struct {
	access route.Access
	text   texts
}

var notes = sync.Pool{New: func() any { return new(note) }}

// texts is where the strings of a note are.
type texts struct{ buf []byte }

// maxText bounds each string a client wrote.
const maxText = 2048

// of copies a string. The ones before stay where they are even if the buffer has
// to grow.
func (t *texts) of(b []byte) string {
	b = b[:min(len(b), maxText)]
	from := len(t.buf)
	t.buf = append(t.buf, b...)
	return stringOf(t.buf[from:])
}

// wanted reports whether anybody takes records.
func (r *reports) wanted() bool { return r.keep || r.recorder != nil }

// record makes a record of an exchange that has ended.
func (r *reports) record(x *exchange, took time.Duration) {
	logged := r.recorder != nil && r.recorder.Wants(x.status)
	if !logged && !r.keep {
		return
	}
	n, _ := notes.Get().(*note)
	n.text.buf = n.text.buf[:0]
	x.describe(&n.access, &n.text, took)
	if logged {
		a := owned(n.access)
		a.ForwardedFor, a.ForwardedProto = x.behalf()
		r.recorder.Record(a)
	}
	if !r.keep {
		notes.Put(n)
		return
	}
	select {
	case r.records <- n:
		r.filled(len(r.records))
	default:
		r.dropped.Add(1)
		notes.Put(n)
	}
}

// behalf is what an instance is told of the client and of how it came.
func (x *exchange) behalf() (client, proto string) {
	if client, proto = x.origin.ip, "http"; x.origin.secure {
		proto = "https"
	}
	if x.req == nil || !x.origin.trusted {
		return client, proto
	}
	if said := x.req.Get(h1.ForwardedProto); len(said) > 0 {
		proto = string(said[:min(len(said), maxText)])
	}
	var chain []byte
	for i := range x.req.Fields {
		if f := &x.req.Fields[i]; f.Kind == h1.ForwardedFor && len(x.req.Value(f)) > 0 && len(chain) < maxText {
			said := x.req.Value(f)
			chain = append(append(chain, said[:min(len(said), maxText)]...), ", "...)
		}
	}
	return string(chain) + client, proto
}

// owned is a record whose strings nobody will write over; they share memory.
func owned(a route.Access) route.Access {
	of := [...]*string{&a.RequestID, &a.Method, &a.Host, &a.URI, &a.Agent, &a.Referer, &a.Trace}
	size := 0
	for _, s := range of {
		size += len(*s)
	}
	all := make([]byte, 0, size)
	for _, s := range of {
		from := len(all)
		all = append(all, *s...)
		*s = stringOf(all[from:])
	}
	return a
}

// batch puts up to most waiting records into a message, and returns how many, and
// how many were lost before.
func (r *reports) batch(b *wire.Batch, most int) (n int, dropped uint64) {
	for b.Len() < most {
		select {
		case one := <-r.records:
			b.Access(&one.access)
			notes.Put(one)
			continue
		default:
		}
		break
	}
	return b.Len(), r.dropped.Swap(0)
}
