// Package operation makes long work durable: an Operation is stored before it
// starts, remembers how far it came, and goes on after a crash; whoever asked
// follows its progress by sequence number and may come back at any time.
package operation

import (
	"encoding/json"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
)

// ID identifies an operation.
type ID string

// Kind says which handler carries an operation out: "push", "scale", ...
type Kind string

// State of an operation.
type State string

// An operation is queued until nothing else works on its subject, runs, and
// ends in one of the last three.
const (
	Queued   State = "queued"
	Running  State = "running"
	Done     State = "done"
	Failed   State = "failed"
	Canceled State = "canceled"
)

var next = map[State][]State{
	Queued:  {Running, Canceled, Failed},
	Running: {Done, Failed, Canceled},
}

// CanBecome reports whether a move is legal. Running may be entered again: that
// is how an operation goes on after a crash.
func (s State) CanBecome(to State) bool {
	return slices.Contains(next[s], to) || s == Running && to == Running
}

// Ended reports that nothing more will happen.
func (s State) Ended() bool { return len(next[s]) == 0 }

// Operation is one piece of long work.
type Operation struct {
	ID       ID
	Kind     Kind
	Space    app.SpaceID // "" for the platform
	App      app.ID      // "" for none
	Subject  string      // what it works on, one at a time: an app id, "foundation/node"
	Actor    string      // who asked
	Key      string      // Idempotency-Key of the request; "" for none
	Request  json.RawMessage
	Memory   json.RawMessage // what the handler must not do twice
	State    State
	Error    *fault.Error // why it failed, without cause
	Result   json.RawMessage
	Cancel   bool // somebody asked to stop
	Attempts int  // how often it was taken up
	Created  time.Time
	Started  time.Time
	Ended    time.Time
}

// Status is what a progress line says about its step.
type Status string

// A step begins, says things and log lines, and ends well or not.
const (
	StepStarted Status = "started"
	StepInfo    Status = "info"
	StepLog     Status = "log"
	StepDone    Status = "done"
	StepFailed  Status = "failed"
	StepSkipped Status = "skipped" // nothing had to be done
)

// Progress is one line of what an operation reports. Seq rises by one from 1
// within an operation.
type Progress struct {
	Operation ID              `json:"operation"`
	Seq       int64           `json:"seq"`
	Time      time.Time       `json:"time"`
	Step      string          `json:"step"`           // source, build, artifact, release, run, route, live
	Status    Status          `json:"status"`         //
	Text      string          `json:"text"`           // for people, one line
	Took      app.Duration    `json:"took,omitempty"` // of a step that ended
	Data      json.RawMessage `json:"data,omitempty"` // for programs
}
