package gateway

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"naru/internal/route"
	"naru/internal/route/h1"
)

// mirrorField marks a copy, so that apps can tell. A request that carries it is
// not copied again.
const mirrorField = "X-Naru-Mirror"

// Bounds of copies.
const (
	copiesAtOnce = 64               // of one route; more are dropped
	copyBody     = 64 << 10         // bytes of a body, where a route does not say
	copyLimit    = 30 * time.Second // until the answer to a copy is through
	copyAnswer   = 1 << 20          // bytes of it that are read, so that the connection can be kept
)

// mirror sends copies of an entry's requests to one of its groups. It belongs to
// one view.
type mirror struct {
	share  float64
	body   int64
	group  *group
	slots  chan struct{} // one for each copy on its way
	copies *copies
}

// newMirror makes the rule of an entry ready; nil where none is wanted or its
// group has no instance.
func (t *tables) newMirror(e *entry, before *policy, next *view) *mirror {
	if e.policy == nil || e.policy.spec.Mirror == nil {
		return nil
	}
	if e.policy.copies = make(chan struct{}, copiesAtOnce); before != nil && before.copies != nil {
		e.policy.copies = before.copies
	}
	spec := e.policy.spec.Mirror
	for i := range e.spec.Groups {
		g := &e.spec.Groups[i]
		if g.ID != spec.Group && g.Name != spec.Group || len(g.Instances) == 0 {
			continue
		}
		// A group of its own: what becomes of copies is no evidence for guards and
		// breakers.
		made := &group{id: g.ID, name: g.Name, app: e.spec.App, count: t.reports.counter(e.spec.ID, g.ID+route.Copies).named(g.Name + route.Copies)}
		for _, in := range g.Instances {
			made.backends = append(made.backends, next.backends[backendKey{in.ID, in.Address, g.Protocol == route.HTTP2}])
		}
		m := &mirror{share: spec.Share, body: spec.Body, group: made, slots: e.policy.copies, copies: t.copies}
		or(&m.share, 1)
		or(&m.body, copyBody)
		return m
	}
	return nil
}

// replica is a copy of a request that is being made. It is used by one goroutine
// at a time: the exchange's, then the one that moves the body.
type replica struct {
	mirror *mirror
	text   []byte
	head   int // bytes of text
}

// copied begins to make a copy of a request that is just being sent, where its
// route wants one. head is what the instance is sent.
func (x *exchange) copied(head []byte) {
	m := x.entry.mirror
	if m == nil || x.replica != nil || x.attempts > 1 || x.group.id == m.group.id || x.switches() || headerOf(x.req, mirrorField) != nil ||
		rand.Float64() >= m.share {
		return
	}
	if x.upload.framing.Kind == h1.Sized && x.upload.framing.Length > m.body {
		m.dropped()
		return
	}
	text := make([]byte, 0, len(head)+len(x.upload.first)+len(x.upload.end))
	x.replica = &replica{m, append(text, head...), len(head)}
	if x.replica.add(x.upload.first) && x.upload.done.Load() && x.replica.add(x.upload.end) {
		x.replica.send()
	}
}

// add adds bytes of the body. It reports whether they fit.
func (r *replica) add(b []byte) bool {
	if r == nil || r.text == nil {
		return false
	}
	if int64(len(r.text)-r.head+len(b)) > r.mirror.body {
		r.text = nil
		r.mirror.dropped()
		return false
	}
	r.text = append(r.text, b...)
	return true
}

// send sends the copy, if there is room for it.
func (r *replica) send() {
	if r == nil || r.text == nil {
		return
	}
	m, text := r.mirror, r.text
	r.text = nil
	select {
	case m.slots <- struct{}{}:
	default:
		m.dropped()
		return
	}
	m.copies.running.Go(func() {
		defer func() { <-m.slots }()
		begun := time.Now()
		status, got := m.deliver(text)
		m.group.count.ended(status, time.Since(begun), got, int64(len(text)-r.head))
	})
}

// dropped counts a copy that was not made, as a request without an answer.
func (m *mirror) dropped() { m.group.count.ended(0, 0, 0, 0) }

// deliver sends a copy to an instance that is in service and drops the answer. It
// returns the answer's status, 0 for none.
func (m *mirror) deliver(text []byte) (status int, got int64) {
	b := m.group.acquire()
	if b == nil {
		return 0, 0
	}
	defer b.release()
	return m.copies.deliver(text, b, copyLimit)
}

// deliver sends a copy to a backend that it is counted in at, and drops the answer.
// It returns the answer's status, 0 for a copy that is none.
func (c *copies) deliver(text []byte, b *backend, limit time.Duration) (status int, got int64) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		return 0, 0
	}
	ctx, cancel := context.WithTimeout(b.spoken(c.base), limit)
	defer cancel()
	req = req.WithContext(ctx)
	req.URL.Scheme, req.URL.Host, req.RequestURI = "http", b.instance.Address, ""
	req.Header.Del("Expect")
	req.Header.Set(mirrorField, "1")
	if req.Header["User-Agent"] == nil {
		req.Header["User-Agent"] = nil // else there would be one of net/http's
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return http.StatusBadGateway, 0
	}
	defer func() { _ = res.Body.Close() }()
	got, _ = io.CopyN(io.Discard, res.Body, copyAnswer)
	return res.StatusCode, got
}

// copies are the copies of all routes on their way.
type copies struct {
	transport *either
	base      context.Context // ends with the gateway
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

func newCopies(idle time.Duration) *copies {
	base, cancel := context.WithCancel(context.Background())
	return &copies{base: base, cancel: cancel, transport: eitherOf(&http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: copiesAtOnce, IdleConnTimeout: idle, MaxResponseHeaderBytes: maxAnswerHead,
	})}
}

// stop breaks off what is on its way. Nothing may be sent any more.
func (c *copies) stop() {
	c.cancel()
	c.running.Wait()
	c.transport.CloseIdleConnections()
}
