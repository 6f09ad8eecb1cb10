package hub

import (
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a unix socket.
type peer struct {
	known    bool // false on connections that carry no credentials
	uid, pid int
	proc     *os.File // pidfd, nil where the kernel has none
	close    *sync.Once
}

// peerOf asks the kernel who dialed.
func peerOf(conn net.Conn) (peer, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return peer{}, nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || cerr != nil {
		return peer{uid: -1}, fmt.Errorf("peer credentials: %w", firstError(err, cerr))
	}
	p := peer{known: true, uid: int(cred.Uid), pid: int(cred.Pid), close: new(sync.Once)}
	if p.pid > 0 && p.pid != os.Getpid() {
		// Taken while the connection lives, so the number cannot have been reused.
		if fd, err := unix.PidfdOpen(p.pid, unix.PIDFD_NONBLOCK); err == nil {
			p.proc = os.NewFile(uintptr(fd), "pidfd")
		}
	}
	return p, nil
}

// outlives reports whether the process may live on without its stream, and its
// end can be seen.
func (p peer) outlives() bool { return p.proc != nil }

// exited blocks until the process has ended.
func (p peer) exited() {
	raw, err := p.proc.SyscallConn()
	if err == nil {
		_ = raw.Read(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(poll, 0)
			return n > 0 || err != nil && err != unix.EINTR
		})
	}
	p.release()
}

// release gives the handle on the process back; exited returns.
func (p peer) release() {
	if p.proc != nil {
		p.close.Do(func() { _ = p.proc.Close() })
	}
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
