package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// identity names a process for good: a pid alone is soon another's.
type identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot, from /proc/PID/stat
	Boot  string `json:"boot"`  // the boot it belongs to
}

// identify returns the identity of a living process; a zombie is dead.
func identify(pid int) (identity, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return identity{}, err
	}
	// The name of the program, in parentheses, may hold anything.
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 20 {
		return identity{}, fmt.Errorf("read /proc/%d/stat: too few fields", pid)
	}
	if f[0] == "Z" || f[0] == "X" {
		return identity{}, os.ErrProcessDone
	}
	start, err := strconv.ParseUint(f[19], 10, 64) // field 22, counted from the state as 3
	if err != nil {
		return identity{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
	}
	boot, err := bootID()
	return identity{PID: pid, Start: start, Boot: boot}, err
}

func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
}

// alive reports whether the process still is the same one.
func (id identity) alive() bool {
	now, err := identify(id.PID)
	return err == nil && now == id
}

var (
	past  = time.Unix(1, 0)
	never time.Time
)

// handle is an open reference to a process: the kernel cannot give its number
// to another while we signal it or wait for it.
type handle struct {
	identity
	pidfd *os.File
	// child is set for processes that we started: only a parent learns how a
	// process ended.
	child *os.Process

	reaping sync.Mutex // guards how
	how     string     // set once the process was waited for
}

// open refers to a living process.
func (id identity) open() (*handle, error) {
	fd, err := unix.PidfdOpen(id.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", id.PID, err)
	}
	if !id.alive() { // checked after opening, so it holds for what was opened
		_ = unix.Close(fd)
		return nil, os.ErrProcessDone
	}
	return &handle{identity: id, pidfd: os.NewFile(uintptr(fd), "pidfd")}, nil
}

// signal sends sig; a process that is gone is no error.
func (h *handle) signal(sig syscall.Signal) error {
	raw, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) {
		sent = unix.PidfdSendSignal(int(fd), sig, nil, 0)
	}); err != nil {
		return err
	}
	if errors.Is(sent, unix.ESRCH) {
		return nil
	}
	return sent
}

// gone blocks until the process has ended, or ctx has.
func (h *handle) gone(ctx context.Context) error {
	raw, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = h.pidfd.SetReadDeadline(past) // wakes Read
		close(woken)
	})
	defer func() {
		if !stop() {
			<-woken
			_ = h.pidfd.SetReadDeadline(never)
		}
	}()
	err = raw.Read(ended)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", h.PID, err)
	}
	return nil
}

// wait is gone, and says how the process ended, in words.
func (h *handle) wait(ctx context.Context) (how string, err error) {
	if err := h.gone(ctx); err != nil {
		return "", err
	}
	if h.child == nil {
		return "ended (how is unknown, a supervisor before this one had started it)", nil
	}
	h.reaping.Lock() // it has ended: nobody waits here for long
	defer h.reaping.Unlock()
	if h.how == "" {
		state, err := h.child.Wait()
		if err != nil {
			return "", fmt.Errorf("wait for process %d: %w", h.PID, err)
		}
		h.how = describe(state)
	}
	return h.how, nil
}

// ended asks a pidfd whether its process is gone, without waiting.
func ended(fd uintptr) bool {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(polled, 0)
	return err == nil && n == 1
}

func describe(state *os.ProcessState) string {
	ws, ok := state.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return "killed by " + unix.SignalName(ws.Signal())
	}
	return "exit " + strconv.Itoa(state.ExitCode())
}

func (h *handle) close() { _ = h.pidfd.Close() }
