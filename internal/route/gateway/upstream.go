package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// duplex is a connection of which one direction can be ended.
type duplex interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// upstream is a connection to an instance. One exchange at a time uses it.
type upstream struct {
	nc      duplex
	raw     syscall.RawConn
	backend *backend
	since   int64 // when it was last used, as now tells it
	served  bool  // it has answered before
	doubt   bool  // the last answer may be followed by bytes nobody asked for
	look    bool  // it is to be asked whether it is as it was left before anything is sent

	turn func(fd uintptr) bool // takes a step of ask; made once
	out  []byte                // to be sent
	sent bool
	in   *large
	n    int
	err  error
}

// errStale is a kept connection that the instance ended while it was unused.
// Nothing was sent on it.
var errStale = errors.New("the kept connection was closed")

func newUpstream(c duplex, b *backend) (*upstream, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	u := &upstream{nc: c, raw: raw, backend: b}
	u.turn = u.step
	return u, nil
}

// ask sends out and waits for the first bytes of an answer, which come in a
// buffer of the caller's from position room on. Where out is sent already it is
// empty. The buffer is borrowed no sooner than there is something to read.
func (u *upstream) ask(out []byte) (*large, int, error) {
	u.out, u.sent, u.in, u.n, u.err = out, len(out) == 0, nil, 0, nil
	if !direct {
		return u.askSlowly()
	}
	err := u.raw.Read(u.turn)
	if err == nil && u.err == nil && len(u.out) > 0 {
		return u.askSlowly() // more than the socket takes at once
	}
	u.out = nil
	if err == nil {
		err = u.err
	}
	if err != nil && u.in != nil {
		larges.Put(u.in)
		u.in = nil
	}
	return u.in, u.n, err
}

// step is called when the connection may have something to read, and once
// before. What arrives after that first time is told by another call, so it
// need not be looked for.
func (u *upstream) step(fd uintptr) bool {
	if !u.sent {
		u.sent = true
		if u.look && !peek(fd) {
			u.err = errStale
			return true
		}
		n, err := transmit(fd, u.out)
		if err != nil && err != errAgain {
			u.err = err
			return true
		}
		u.out = u.out[n:]
		return len(u.out) > 0
	}
	if u.in == nil {
		u.in = getLarge()
	}
	n, err := receive(fd, u.in[room:len(u.in)-spare])
	if err == errAgain {
		larges.Put(u.in)
		u.in = nil
		return false
	}
	u.n, u.err = n, err
	return true
}

func (u *upstream) askSlowly() (*large, int, error) {
	if len(u.out) > 0 {
		if _, err := u.nc.Write(u.out); err != nil {
			return nil, 0, err
		}
	}
	in := getLarge()
	n, err := u.nc.Read(in[room : len(in)-spare])
	if n == 0 && err != nil {
		larges.Put(in)
		return nil, 0, err
	}
	return in, n, nil
}

// read reads more of an answer.
func (u *upstream) read(p []byte) (int, error) { return u.nc.Read(p) }

// write sends more of a request.
func (u *upstream) write(p []byte) error {
	_, err := u.nc.Write(p)
	return err
}

// alive reports whether an unused connection is as it was left.
func (u *upstream) alive() (ok bool) {
	err := u.raw.Control(func(fd uintptr) { ok = peek(fd) })
	return err == nil && ok
}

// interrupt makes reads and writes fail, also those that are waiting.
func (u *upstream) interrupt() { _ = u.nc.SetDeadline(past) }

// past is a deadline that is over.
var past = time.Unix(1, 0)

// close ends the connection. What the instance still sends is of no interest.
func (u *upstream) close() { _ = u.nc.Close() }

// interrupted reports whether an error is the work of interrupt.
func interrupted(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// cut reports whether an error means that the peer ended the connection.
func cut(err error) bool {
	return err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
