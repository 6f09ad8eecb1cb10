package gateway

import (
	"net"
	"syscall"
)

// quick is a connection under TLS or HTTP/2 that is read and written directly:
// one goroutine at a time reads, one writes.
type quick struct {
	net.Conn
	raw syscall.RawConn

	pull, push func(fd uintptr) bool // made once
	in, out    []byte
	n          int
	rerr, werr error
}

// quicken makes a connection quick where that is possible.
func quicken(c net.Conn) net.Conn {
	s, ok := c.(syscall.Conn)
	if !ok || !direct {
		return c
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return c
	}
	q := &quick{Conn: c, raw: raw}
	q.pull, q.push = q.receive, q.transmit
	return q
}

// SyscallConn is the connection's own.
func (q *quick) SyscallConn() (syscall.RawConn, error) { return q.raw, nil }

// CloseWrite ends our direction only.
func (q *quick) CloseWrite() error {
	if half, ok := q.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

func (q *quick) Read(p []byte) (int, error) {
	if len(p) == 0 { // which would look like the end
		return 0, nil
	}
	q.in, q.n, q.rerr = p, 0, nil
	err := q.raw.Read(q.pull)
	q.in = nil
	if err == nil {
		err = q.rerr
	}
	return q.n, err
}

func (q *quick) receive(fd uintptr) bool {
	q.n, q.rerr = receive(fd, q.in)
	return q.rerr != errAgain
}

func (q *quick) Write(p []byte) (int, error) {
	q.out, q.werr = p, nil
	err := q.raw.Write(q.push)
	n := len(p) - len(q.out)
	q.out = nil
	if err == nil {
		err = q.werr
	}
	return n, err
}

func (q *quick) transmit(fd uintptr) bool {
	for len(q.out) > 0 {
		n, err := transmit(fd, q.out)
		if err == errAgain {
			return false
		}
		if err != nil {
			q.werr = err
			return true
		}
		q.out = q.out[n:]
	}
	return true
}
