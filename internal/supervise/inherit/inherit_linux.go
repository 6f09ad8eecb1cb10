package inherit

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// firstFD is where systemd, and os/exec's ExtraFiles, begin.
const firstFD = 3

// maxSockets bounds one message: the kernel takes 253 descriptors.
const maxSockets = 250

// handoffTimeout is long enough for a role that is still starting to answer.
const handoffTimeout = 5 * time.Second

// Take takes over the sockets that were given to this process. Call it once,
// first thing in main: it removes the variables, so that no grandchild believes
// the sockets are its own.
func Take() (*Sockets, error) {
	count, pid, names := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("take sockets: %w", err)
		}
	}
	s := &Sockets{fds: map[string]int{}, systemd: pid == strconv.Itoa(os.Getpid())}
	// naru up cannot know the pid before it has started us; systemd can.
	if count == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return s, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("take sockets: LISTEN_FDS is %q", count)
	}
	name := strings.Split(names, ":")
	for i := range n {
		fd := firstFD + i
		unix.CloseOnExec(fd)
		label := "fd" + strconv.Itoa(fd)
		if i < len(name) && name[i] != "" {
			label = name[i]
		}
		if _, twice := s.fds[label]; twice {
			return nil, fmt.Errorf("take sockets: two are named %s; give each a FileDescriptorName of its own", label)
		}
		s.fds[label] = fd
	}
	return s, nil
}

// give sends every socket but the handoff one over the connection.
func (s *Sockets) give(conn *net.UnixConn) error {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(handoffTimeout)); err != nil {
		return err
	}
	if err := checkPeer(conn); err != nil {
		return err
	}
	names := s.Names()
	var fds []int
	for _, name := range names {
		fds = append(fds, s.fds[name])
	}
	text, err := json.Marshal(names)
	if err != nil {
		return err
	}
	_, _, err = conn.WriteMsgUnix(text, unix.UnixRights(fds...), nil)
	return err
}

// Fetch asks the process behind the handoff socket at path for its sockets.
// The caller closes the descriptors.
func Fetch(path string) (map[string]int, error) {
	raw, err := net.DialTimeout("unix", path, handoffTimeout)
	if err != nil {
		return nil, fmt.Errorf("fetch sockets: %w", err)
	}
	conn := raw.(*net.UnixConn)
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(handoffTimeout)); err != nil {
		return nil, fmt.Errorf("fetch sockets from %s: %w", path, err)
	}
	text := make([]byte, 8<<10)
	rights := make([]byte, unix.CmsgSpace(4*maxSockets))
	n, rn, _, _, err := conn.ReadMsgUnix(text, rights)
	if err != nil {
		return nil, fmt.Errorf("fetch sockets from %s: %w", path, err)
	}
	fds, err := receivedFDs(rights[:rn])
	if err != nil {
		return nil, fmt.Errorf("fetch sockets from %s: %w", path, err)
	}
	var names []string
	if err := json.Unmarshal(text[:n], &names); err != nil || len(names) != len(fds) {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		return nil, fmt.Errorf("fetch sockets from %s: %d names for %d sockets", path, len(names), len(fds))
	}
	sockets := map[string]int{}
	for i, name := range names {
		sockets[name] = fds[i]
	}
	return sockets, nil
}

// File copies a descriptor into an os.File, for passing to a child or to
// package net. The copy keeps the mode of the original, which others share: a
// descriptor from net's own File method would be set to blocking for all.
func File(fd int, name string) (*os.File, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("copy socket %s: %w", name, err)
	}
	return os.NewFile(uintptr(dup), name), nil
}

func listener(fd int) (net.Listener, error) {
	// net.FileListener asks for this mode too, but through a moment of the
	// other one, in which a successor's accept would block.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	f, err := File(fd, "listener")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileListener(f)
}

func receivedFDs(rights []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	var all []int
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
		}
		all = append(all, fds...)
	}
	return all, nil
}

// checkPeer lets root and our own user through.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if credErr != nil {
		return credErr
	}
	if cred.Uid != 0 && cred.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("user %d may not have our sockets", cred.Uid)
	}
	return nil
}
