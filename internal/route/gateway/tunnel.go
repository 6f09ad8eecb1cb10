package gateway

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"

	"naru/internal/route/h1"
)

// join connects both ends after the protocol was switched, until each has ended
// its direction or one of them breaks. It reports false: there is nothing left
// to go on with.
func (x *exchange) join(t *trip) (whole bool) {
	asked, got := x.req.Get(h1.Upgrade), x.answer.Get(h1.Upgrade)
	if !x.switches() || !x.answer.Switches() || !h1.EqualFold(asked, got) {
		err := fmt.Errorf("it switched to %q where %q was asked for", got, asked)
		t.drop(x)
		return x.failed(err, nil)
	}
	x.watch.rest()
	x.relaxed()
	x.switched = true
	x.streams()
	x.answered(x.answer.Status)
	err := x.client.join(x, t.u, t.buf[t.from:t.to])
	t.drop(x)
	switch {
	case errors.Is(err, errAlone):
		x.problem = err.Error()
	case !x.watch.rest() && x.watch.why == byTime:
		x.problem = "both ends were silent"
	case errors.Is(err, errLeft):
		x.problem = "the client left"
	case err != nil:
		x.problem = "the connection broke: " + err.Error()
	}
	return false
}

// join passes on the answer that switched, and then whatever comes.
func (c *conn) join(x *exchange, u *upstream, early []byte) error {
	b := append(x.out[:0], "HTTP/1.1 "...)
	b = append(append(b, x.answer.Line...), "\r\n"...)
	b = fields(b, &x.answer, true)
	b = line(b, "Connection: ", []byte("Upgrade"))
	b = line(b, "Upgrade: ", x.answer.Get(h1.Upgrade))
	if x.answer.Count(h1.RequestID) == 0 {
		b = line(b, "X-Request-Id: ", x.id)
	}
	if e := x.edits(); e != nil {
		b = e.apply(b, x)
	}
	if x.entry.sticky != nil {
		b = x.stay(b)
	}
	b = append(append(b, "\r\n"...), early...)
	x.out = b
	c.bottom.upgraded()
	if _, err := c.nc.Write(b); err != nil {
		return errLeft
	}
	x.sent += int64(len(early))
	client := end{nc: c.nc}
	if c.turn != nil {
		client.raw = c.sock
	}
	if c.r < c.w { // what the client sent before it was answered
		client.early = append([]byte(nil), c.in[c.r:c.w]...)
		c.r = c.w
	}
	up, down, err := c.g.tunnel(c.bottom, &client, &end{nc: u.nc, raw: u.raw}, &flow{watch: x.watch, silence: x.entry.silence(), half: c.g.cfg.HalfOpen})
	x.upload.received.Add(up)
	x.sent += down
	return err
}

// end is one side of a tunnel. raw may be nil.
type end struct {
	nc    net.Conn
	raw   syscall.RawConn
	early []byte
}

// tunnel connects a client with an instance.
type tunnel struct {
	client, instance *end
	flow             *flow
	hangups          *hangups
	torn             atomic.Pointer[error] // why both directions are to end; nil: they are not
}

// tunnel moves bytes both ways until each end has ended its direction, or one of
// them breaks. bottom is the client's connection.
func (g *Gateway) tunnel(bottom *socket, client, instance *end, f *flow) (up, down int64, err error) {
	t := &tunnel{client: client, instance: instance, flow: f, hangups: &g.hangups}
	bottom.tunnel.Store(t)
	f.begin()
	there, back := &mover{t: t, src: client, dst: instance}, &mover{t: t, src: instance, dst: client}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.move(there)
	}()
	t.move(back)
	<-ended
	if why := t.torn.Load(); why != nil {
		err = *why
	}
	if f.left.Load() && interrupted(err) {
		err = errAlone
	}
	return there.n, back.n, err
}

// move moves one direction. Where it breaks, the other one has nobody left to
// speak to.
func (t *tunnel) move(m *mover) {
	if err := m.move(); err != nil {
		t.interrupt(err) // a connection can be closed only when nobody is at it any more
		_ = t.client.nc.Close()
		_ = t.instance.nc.Close()
		return
	}
	t.flow.halve()
}

// errAlone is a tunnel of which one direction had ended, and the other one was
// silent for too long.
var errAlone = errors.New("one end had ended its direction, the other one was silent")

// interrupt ends the waits of both directions. Any goroutine may call it.
func (t *tunnel) interrupt(why error) {
	t.torn.CompareAndSwap(nil, &why)
	_ = t.client.nc.SetDeadline(past)
	_ = t.instance.nc.SetDeadline(past)
}

// over reports whether both directions are to end.
func (t *tunnel) over() bool { return t.torn.Load() != nil || t.flow.watch.over() }
