package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of all its descendants whose own
// parent ends.
func adoptOrphans() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// childAttr puts the command in a group of its own and lets it die with us.
func childAttr(tty bool) *syscall.SysProcAttr {
	if tty {
		return &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// loggerAttr keeps the log helper out of the command's group.
func loggerAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killAll kills the command's group and every other descendant but the log
// helper, which is a group of its own that never forks: it is told from the
// others by its program. It goes on until nothing new was found.
func killAll(pid int) {
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	for range 100 {
		found := false
		for _, child := range descendants(os.Getpid()) {
			if isLogger(child) {
				continue
			}
			found = true
			_ = syscall.Kill(child, syscall.SIGKILL)
			if child != pid { // the command itself is waited for elsewhere
				_, _ = syscall.Wait4(child, nil, syscall.WNOHANG, nil)
			}
		}
		if !found {
			return
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil && len(descendants(os.Getpid())) <= 2 {
			return // only the command, whose end is waited for, and the logger are left
		}
		unix.Nanosleep(&unix.Timespec{Nsec: 2_000_000}, nil)
	}
}

func isLogger(pid int) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && string(bytes.TrimSpace(name)) == "naru-log"
}

// descendants are all processes below pid.
func descendants(pid int) []int {
	var out []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			continue
		}
		for _, f := range bytes.Fields(text) {
			if child, err := strconv.Atoi(string(f)); err == nil {
				out = append(append(out, child), descendants(child)...)
			}
		}
	}
	return out
}
