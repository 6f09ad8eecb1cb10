//go:build unix && !linux

package main

import "syscall"

func adoptOrphans() error { return nil }

// childAttr puts the command in a group of its own.
func childAttr(tty bool) *syscall.SysProcAttr {
	if tty {
		return &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	return &syscall.SysProcAttr{Setpgid: true}
}

func loggerAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killAll kills the command's group; what left it lives on here.
func killAll(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
