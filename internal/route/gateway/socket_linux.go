//go:build linux && (amd64 || arm64)

package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direct says that sockets are read and written here without a detour: none of
// these calls ever waits, so the scheduler need not be told about them, which
// costs more than they do.
const direct = true

var errAgain = syscall.EAGAIN

// receive reads what a socket has; errAgain where it has nothing, io.EOF where
// the peer has ended.
func receive(fd uintptr, p []byte) (int, error) {
	return result(transfer(syscall.SYS_RECVFROM, fd, p, unix.MSG_DONTWAIT))
}

// peek reports whether an idle socket is as it was left: open and silent.
func peek(fd uintptr) bool {
	var one [1]byte
	_, errno := transfer(syscall.SYS_RECVFROM, fd, one[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
	return errno == syscall.EAGAIN
}

// transmit writes as much as a socket takes now.
func transmit(fd uintptr, p []byte) (int, error) {
	n, errno := transfer(syscall.SYS_SENDTO, fd, p, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if errno != 0 {
		return 0, failure("send", errno)
	}
	return n, nil
}

func transfer(call, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

func result(n int, errno syscall.Errno) (int, error) {
	switch {
	case errno != 0:
		return 0, failure("receive", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func failure(act string, errno syscall.Errno) error {
	if errno == syscall.EAGAIN {
		return errAgain
	}
	return os.NewSyscallError(act, errno)
}

// silent asks a connection, without reading, whether it has nothing to be read.
func silent(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	waiting := false
	err = raw.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(polled, 0)
		waiting = n > 0 && err == nil
	})
	return err != nil || !waiting
}

// ended asks a connection, without reading, whether its peer has ended its
// direction, and whether the connection is gone altogether.
func ended(c net.Conn) (half, gone bool) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true, true
	}
	err = raw.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(polled, 0); n < 1 || err != nil {
			return
		}
		half = polled[0].Revents&unix.POLLRDHUP != 0
		gone = polled[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	})
	if errors.Is(err, net.ErrClosed) {
		return true, true
	}
	return half, gone
}
