//go:build linux

package containerd

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// daemon names the containerd process that answers now; "" where that cannot be
// told. One that is killed while it makes a shim leaves a shim that waits for it
// for ever. The next containerd would find that shim by its group and wait for it
// in turn, so what it starts gets groups of its own.
func (d *Driver) daemon() string {
	conn, err := net.Dial("unix", strings.TrimPrefix(d.cfg.Socket, "unix://"))
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return ""
	}
	var peer *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil || err != nil {
		return ""
	}
	return fmt.Sprintf("%d.%s", peer.Pid, startOf(int(peer.Pid)))
}

// startOf is when a process began, in the kernel's ticks: with its number a name
// that is given once. See proc(5), field 22 of stat.
func startOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the program's name may hold anything but this, as ours do not
	fields := bytes.Fields(rest)
	if len(fields) < 20 {
		return ""
	}
	return string(fields[19])
}
