package notify

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Keep has the supervisor hold a copy of a descriptor and give it to the next
// process of this service under its name (sd_pid_notify_with_fds(3), FDSTORE).
func (n Notifier) Keep(name string, fd int) error {
	return n.sendWith("FDSTORE=1\nFDNAME="+oneLine(name), unix.UnixRights(fd))
}

// Drop has the supervisor let go of what it keeps under a name.
func (n Notifier) Drop(name string) error {
	return n.send("FDSTOREREMOVE=1\nFDNAME=" + oneLine(name))
}

func (n Notifier) sendWith(state string, rights []byte) error {
	if n.path == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // net's sends no rights over a connected one
	if err != nil {
		return fmt.Errorf("reach the supervisor: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing is buffered
	if err := unix.Sendmsg(fd, []byte(state), rights, &unix.SockaddrUnix{Name: n.path}, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("tell the supervisor: %w", err)
	}
	return nil
}
