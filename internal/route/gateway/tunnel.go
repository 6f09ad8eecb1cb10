package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
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
	return tunnel(x, &client, &end{nc: u.nc, raw: u.raw})
}

// end is one side of a tunnel. raw may be nil.
type end struct {
	nc    net.Conn
	raw   syscall.RawConn
	early []byte
}

// tunnel moves bytes both ways.
func tunnel(x *exchange, client, instance *end) error {
	broken := sync.OnceFunc(func() { // the other direction has nobody left to speak to
		_ = client.nc.Close()
		_ = instance.nc.Close()
	})
	flow := flow{x.watch, x.entry.silence()}
	flow.begin()
	up := make(chan error, 1)
	go func() {
		n, err := move(instance, client, flow)
		x.upload.received.Add(n)
		if err != nil {
			broken()
		}
		up <- err
	}()
	n, err := move(client, instance, flow)
	x.sent += n
	if err != nil {
		broken()
	}
	if uerr := <-up; err == nil {
		err = uerr
	}
	return err
}

// move copies one direction and passes its end on.
func move(dst, src *end, f flow) (int64, error) {
	m := &mover{dst: dst.nc, flow: f}
	err := m.put(src.early)
	if err == nil {
		if direct && src.raw != nil {
			if err = src.raw.Read(m.step); err == nil {
				err = m.err
			}
		} else {
			err = m.copy(src.nc)
		}
	}
	if err != io.EOF {
		return m.n, err
	}
	if half, ok := dst.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return m.n, nil
	}
	// No way to end one direction: end both, as the peer expects its end to be seen.
	return m.n, dst.nc.Close()
}

// mover is one direction of a tunnel. A silent one holds no buffer.
type mover struct {
	dst  net.Conn
	flow flow
	n    int64
	err  error
}

func (m *mover) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	m.n += int64(len(b))
	m.flow.goes()
	_, err := m.dst.Write(b)
	return err
}

// step is called whenever something may have come; false waits for more.
func (m *mover) step(fd uintptr) bool {
	buf := getLarge()
	defer larges.Put(buf)
	for {
		n, err := receive(fd, buf[:])
		if err == errAgain {
			return false
		}
		if err == nil {
			err = m.put(buf[:n])
		}
		if err != nil {
			m.err = err
			return true
		}
		// On until there is nothing: the end may have been told together with the
		// bytes before it, and is not told again.
	}
}

// copy is for connections that are not read directly.
func (m *mover) copy(src net.Conn) error {
	buf := getSmall()
	defer smalls.Put(buf)
	for {
		n, err := src.Read(buf[:])
		if n > 0 {
			if werr := m.put(buf[:n]); werr != nil {
				return werr
			}
		}
		if err != nil {
			return err
		}
	}
}
