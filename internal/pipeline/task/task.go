// Package task runs one-off commands in an app's release: a migration, a shell,
// a report. A task is an instance without group, health or restart.
package task

import (
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/release"
	"naru/internal/run"
)

// ID identifies a task.
type ID string

// State of a task.
type State string

// A task waits, runs, and ends in one of the last three.
const (
	Pending   State = "pending"
	Running   State = "running"
	Succeeded State = "succeeded" // exit code 0
	Failed    State = "failed"    // another exit code, or it could not start
	Canceled  State = "canceled"
)

var next = map[State][]State{
	Pending: {Running, Failed, Canceled},
	Running: {Succeeded, Failed, Canceled},
}

// CanBecome reports whether a move is legal.
func (s State) CanBecome(to State) bool { return slices.Contains(next[s], to) }

// Ended reports that nothing more will happen.
func (s State) Ended() bool { return len(next[s]) == 0 }

// Task is one run of one command.
type Task struct {
	ID        ID
	App       app.ID
	Release   release.ID
	Number    int // 1, 2, ... per app
	Name      string
	Command   []string
	MemoryMiB int
	DiskMiB   int
	Attach    bool           // it waits for somebody to attach, and ends when they leave
	TTY       bool           // with Attach: it has a terminal
	Instance  run.InstanceID // the attempt; a task is never tried twice
	State     State
	ExitCode  int
	Reason    string // why it failed
	By        string
	Created   time.Time
	Started   time.Time
	Ended     time.Time
}
