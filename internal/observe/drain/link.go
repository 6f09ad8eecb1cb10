package drain

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// link is a connection to a receiver that says nothing.
type link struct {
	net.Conn
	gone chan struct{} // closed when the receiver has closed
	end  time.Time     // when that was seen
}

func newLink(c net.Conn) *link {
	l := &link{Conn: c, gone: make(chan struct{})}
	go func() {
		_, _ = io.Copy(io.Discard, c) // its end is what is waited for
		l.end = time.Now()
		close(l.gone)
	}()
	return l
}

// closed reports that the receiver has closed the connection.
func (l *link) closed() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

var errClosed = errors.New("the receiver closed the connection")

const longestLook = 20 * time.Millisecond

// write returns when the receiver's kernel has acknowledged b, where this machine
// can tell, within ctx's deadline.
func (l *link) write(ctx context.Context, b []byte) error {
	deadline, _ := ctx.Deadline()
	_ = l.SetWriteDeadline(deadline) // a connection without deadlines fails at its write
	stop := context.AfterFunc(ctx, func() { _ = l.SetWriteDeadline(time.Now()) })
	defer stop()
	if _, err := l.Write(b); err != nil {
		return err
	}
	for look := 100 * time.Microsecond; waiting(l.Conn) > 0; look = min(2*look, longestLook) {
		t := time.NewTimer(look)
		select {
		case <-ctx.Done():
			t.Stop()
			return errors.New("the receiver did not acknowledge the lines in time")
		case <-l.gone:
			t.Stop()
			return errClosed
		case <-t.C:
		}
	}
	return nil
}
