package build

import "time"

// EventKind says what an Event reports.
type EventKind string

// The kinds of events. Every step that starts ends with one of Done, Cached or
// StepFailed.
const (
	Started    EventKind = "started"
	Done       EventKind = "done"
	Cached     EventKind = "cached" // the step was remembered and did not run
	StepFailed EventKind = "failed"
	Line       EventKind = "line"    // one line of a step's output
	Warning    EventKind = "warning" // something a person should know
)

// Event is one thing that happened in a build, in the order it was seen.
type Event struct {
	Kind EventKind     `json:"kind"`
	Step string        `json:"step,omitempty"` // title: "install dependencies: npm ci"
	Text string        `json:"text,omitempty"` // of Line, Warning, StepFailed; without newline, valid UTF-8
	Took time.Duration `json:"took,omitempty"` // of Done
	At   time.Time     `json:"at"`
}
