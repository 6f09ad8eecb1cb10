package bake

import "time"

// EventKind says what an Event reports.
type EventKind string

// The kinds of events. Begun and Ended frame a Step; the others come between.
const (
	Begun      EventKind = "begun"      // Step
	Ended      EventKind = "ended"      // Step, Took
	Downloaded EventKind = "downloaded" // some bytes of Name arrived; Bytes of TotalBytes, Done of Total files
	Unpacked   EventKind = "unpacked"   // Name is in its layer; Done of Total packages
	Warned     EventKind = "warned"     // Name says what was substituted or left out
)

// Event is progress for people. Events of one bake come one at a time, in order.
type Event struct {
	Kind       EventKind
	Step       string // "suites", "resolve", "waiting" (for an equal bake), "layers", "image", "remembered"
	Name       string
	Bytes      int64 // downloaded so far
	TotalBytes int64 // to be downloaded in this step; 0 where unknown
	Done       int
	Total      int
	Took       time.Duration
}

// StepTime is how long a step took.
type StepTime struct {
	Name string
	Took time.Duration
}
