// Package event is the record of what happened: types only, so that every step
// can append in its own transaction and observe can read.
package event

import "time"

// Kind names what happened, noun first: "app.created", "release.cut".
type Kind string

// Event is one line of the append-only log: who did what to what, when.
type Event struct {
	Seq     int64          `json:"seq"` // strictly rising; assigned by the store
	Time    time.Time      `json:"time"`
	Kind    Kind           `json:"kind"`
	Actor   string         `json:"actor"`            // a user's name, or "naru"
	Space   string         `json:"space,omitempty"`  // space id, "" for the platform
	App     string         `json:"app,omitempty"`    // app id
	Subject string         `json:"subject"`          // what it happened to, as people name it
	Detail  map[string]any `json:"detail,omitempty"` // before, after, reasons; never a secret
}

// System is the actor of what naru does by itself.
const System = "naru"
