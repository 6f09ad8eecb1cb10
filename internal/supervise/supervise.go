// Package supervise keeps the processes of one platform running: it holds their
// listening sockets, starts them, restarts what dies, and finds them again when
// it was killed itself. It keeps no state of its own; all it needs to know is in
// the pid files beside the sockets.
package supervise

import (
	"context"
	"io"
	"log/slog"
	"time"
)

// Spec says what to keep running. It is data, so that a test's three small
// programs and a whole platform are the same to this package.
type Spec struct {
	DataDir  string // has the lock file and the logs
	RunDir   string // has sockets and pid files
	Name     string // tells this platform's processes from another's: eight hex digits
	Sockets  []Socket
	Children []Child // in the order of their start; stopped in reverse
	LogBytes int64   // at which a child's log file is turned over

	// Remove takes everything away at the end, as naru up --ephemeral and naru
	// down do; otherwise children marked Outlives stay.
	Remove bool
	// Teardown removes what children made outside themselves while they still
	// run, such as instances. May be nil. Used with Remove only.
	Teardown func(ctx context.Context) error
	// Sweep removes what is left after the last child has gone. May be nil.
	// Used with Remove only.
	Sweep func(ctx context.Context) error

	// Hurry, when closed, cuts short whatever the stop waits for. May be nil.
	Hurry <-chan struct{}
	// LetGo, when closed, ends the supervisor and leaves every child running
	// for the next one. May be nil.
	LetGo <-chan struct{}

	// Ready is called once, when every child has become ready. May be nil.
	Ready func(ctx context.Context)
	Out   io.Writer // one line per event, for the person at the terminal
	Log   *slog.Logger
}

// Socket is a listening socket that outlives the process that accepts on it.
type Socket struct {
	Name string // what children ask for
	Addr string // HOST:PORT; port 0 takes a free one
}

// Child is a process to keep running.
type Child struct {
	Name    string
	Argv    []string // Argv[0] is a path
	Env     []string // on top of the supervisor's own
	Dir     string   // where it works; empty means DataDir
	Sockets []string // the sockets it gets, by name
	After   []string // children that must be ready before it starts
	User    *User    // nil means the supervisor's own

	Ready        Readiness
	Dial         string        // for ReadyOnDial: the path of a unix socket
	StartTimeout time.Duration // not ready by then: killed and counted as a failure
	StopTimeout  time.Duration // between TERM and KILL

	// Outlives leaves it running when the supervisor is stopped.
	Outlives bool
	// Handover replaces it by starting the new one on the same sockets before
	// the old one is told to stop.
	Handover bool
	// Prepare is called before each start, for configuration files. May be nil.
	Prepare func(ctx context.Context) error
	// Version is part of what makes a running process the wanted one; its
	// program, arguments and environment are always. Optional.
	Version string
}

// User is whom a child runs as.
type User struct{ UID, GID int }

// Readiness is how a child shows that it does its work.
type Readiness int

// The ways to become ready.
const (
	ReadyOnNotify Readiness = iota // it says so (package notify)
	ReadyOnDial                    // its unix socket takes connections
)

// State of a child, for people.
type State string

// The states. A child moves starting -> ready -> (dead) -> starting; failing
// means that it died several times in a row and is waited for.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Failing  State = "failing"
	Stopped  State = "stopped"
	Left     State = "left running"
)

// Status is what a supervisor knows, as ReadStatus gives it.
type Status struct {
	PID      int               `json:"pid"`
	Sockets  map[string]string `json:"sockets"` // name to address
	Children []ChildStatus     `json:"children"`
}

// ChildStatus is one line of a Status.
type ChildStatus struct {
	Name     string    `json:"name"`
	State    State     `json:"state"`
	PID      int       `json:"pid,omitempty"`
	Since    time.Time `json:"since"` // of the state
	Text     string    `json:"text,omitempty"`
	Restarts int       `json:"restarts"`
	Reason   string    `json:"reason,omitempty"` // why it died last
	Log      string    `json:"log"`
}
