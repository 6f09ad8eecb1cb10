//go:build unix

// Package ward is what naru-init and the process driver tell each other through
// an instance's folder.
package ward

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"naru/internal/atomicfile"
)

// State is an instance that runs.
type State struct {
	Init    int       `json:"init"` // process of naru-init
	PID     int       `json:"pid"`  // of the command
	Started time.Time `json:"started"`
}

// Exit is how the command ended.
type Exit struct {
	Code   int       `json:"code"`
	Signal int       `json:"signal"`
	At     time.Time `json:"at"`
}

// Lock takes the lock that naru-init holds while it lives.
func Lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("the instance in %s runs already: %w", dir, err), f.Close())
	}
	return f, nil
}

// Alive reports whether naru-init lives. Unlike a process number, a lock is never
// somebody else's.
func Alive(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// WriteState says that the command runs.
func WriteState(dir string, s State) error { return write(dir, "state", s) }

// WriteExit says how it ended.
func WriteExit(dir string, e Exit) error { return write(dir, "exit", e) }

// ReadState returns the state; false before there is one.
func ReadState(dir string) (s State, ok bool, err error) {
	ok, err = read(dir, "state", &s)
	return s, ok, err
}

// ReadExit returns the end; false before there is one.
func ReadExit(dir string) (e Exit, ok bool, err error) {
	ok, err = read(dir, "exit", &e)
	return e, ok, err
}

func write(dir, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, name), text, 0o600)
}

func read(dir, name string, v any) (bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", filepath.Join(dir, name), err)
	}
	return true, nil
}
