package gateway

import (
	"sync"

	"naru/internal/route"
	"naru/internal/route/wire"
)

// outbox keeps records, or spans, for a control plane, packed as it is sent them and
// in their order. There is one for all requests, whose lock is held for as long as
// it takes to copy one.
type outbox struct {
	most int           // that wait; 0: nobody takes any
	full chan struct{} // gets a token when there is enough to be sent

	mu      sync.Mutex // guards what follows
	waiting int
	lost    uint64
	open    *wire.Batch   // is being filled; nil: none is
	closed  []*wire.Batch // the ones before it
	spare   []*wire.Batch
}

// enough is how many bytes are sent without waiting for more: what waits is read
// again while it is still near the processor.
const enough = 64 << 10

// spares is how many batches are kept to be used again.
const spares = 4

// record takes a record; the texts in it are copied, but for those of the table.
func (o *outbox) record(a *route.Access) {
	o.mu.Lock()
	if b := o.room(); b != nil {
		b.Access(a)
		o.filled(b)
	}
	o.mu.Unlock()
}

// span takes a span in the same way.
func (o *outbox) span(s *route.Span) {
	o.mu.Lock()
	if b := o.room(); b != nil {
		b.Span(s)
		o.filled(b)
	}
	o.mu.Unlock()
}

// room returns the batch that is being filled; nil where too many wait.
func (o *outbox) room() *wire.Batch {
	if o.waiting >= o.most {
		o.lost++
		return nil
	}
	if o.open == nil {
		if n := len(o.spare); n > 0 {
			o.open, o.spare = o.spare[n-1], o.spare[:n-1]
		} else {
			o.open = &wire.Batch{}
		}
	}
	return o.open
}

func (o *outbox) filled(b *wire.Batch) {
	o.waiting++
	if b.Size() < enough {
		return
	}
	o.closed, o.open = append(o.closed, b), nil
	select {
	case o.full <- struct{}{}:
	default:
	}
}

// take returns the oldest batch, and how many were lost before. It is given back,
// or failed, when it was sent; nil is an empty one.
func (o *outbox) take() (b *wire.Batch, lost uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	lost, o.lost = o.lost, 0
	if len(o.closed) > 0 {
		b = o.closed[0]
		o.closed = append(o.closed[:0], o.closed[1:]...)
	} else {
		b, o.open = o.open, nil
	}
	if b != nil {
		o.waiting -= b.Len()
	}
	return b, lost
}

// give takes a batch back to be used again.
func (o *outbox) give(b *wire.Batch) {
	b.Clear()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.spare) < spares {
		o.spare = append(o.spare, b)
	}
}

// failed counts what could not be sent as lost.
func (o *outbox) failed(n uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost += n
}

// send gives away all that waits, batch by batch.
func (o *outbox) send(frame func(b *wire.Batch, lost uint64) error) error {
	for {
		b, lost := o.take()
		if b == nil && lost == 0 {
			return nil
		}
		if b == nil {
			b = &wire.Batch{}
		}
		n := uint64(b.Len())
		err := frame(b, lost)
		o.give(b)
		if err != nil {
			o.failed(n + lost)
			return err
		}
	}
}
