package drain

import (
	"crypto/tls"
	"net"

	"golang.org/x/sys/unix"
)

// waiting is how many bytes of what was written to a TCP connection the other
// side has not acknowledged; 0 where that cannot be told.
func waiting(c net.Conn) (n int) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	plain, ok := c.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // a connection that is closed has nothing to wait for
		n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	})
	if err != nil {
		return 0
	}
	return n
}
