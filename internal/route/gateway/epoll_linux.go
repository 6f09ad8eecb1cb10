package gateway

import (
	"context"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// epoll waits for many descriptors with one goroutine, and tells what came,
// neither of which the runtime's poller does.
type epoll struct {
	fd   int
	file *os.File
	raw  syscall.RawConn
}

func openEpoll(name string) (epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return epoll{}, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return epoll{}, os.NewSyscallError("fcntl", err)
	}
	e := epoll{fd: fd, file: os.NewFile(uintptr(fd), name)}
	if e.raw, err = e.file.SyscallConn(); err != nil {
		_ = e.file.Close()
	}
	return e, err
}

// run passes events on until ctx ends, and closes.
func (e *epoll) run(ctx context.Context, tell func(*unix.EpollEvent)) {
	stop := context.AfterFunc(ctx, func() { _ = e.file.SetReadDeadline(past) })
	defer stop()
	events := make([]unix.EpollEvent, 128)
	_ = e.raw.Read(func(uintptr) bool { // ends by the deadline
		for {
			n, err := unix.EpollWait(e.fd, events, 0)
			if err == unix.EINTR {
				continue
			}
			for i := range events[:max(n, 0)] {
				tell(&events[i])
			}
			if n < len(events) {
				return false
			}
		}
	})
	_ = e.file.Close()
}

// add has events of a descriptor told.
func (e *epoll) add(fd uintptr, event unix.EpollEvent) error {
	return unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, int(fd), &event)
}

// remove ends that; it may have ended already, where the descriptor was closed.
func (e *epoll) remove(fd uintptr) { _ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, int(fd), nil) }
