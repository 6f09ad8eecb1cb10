package route

import "time"

// Span is the gateway's own part of a trace: one request, from its header to the
// last byte of the answer. What an instance sees is its child. Durations are
// nanoseconds in JSON.
type Span struct {
	Trace    string        `json:"trace"`            // 32 lower-case hexadecimal digits
	Parent   string        `json:"parent,omitempty"` // 16 of the client's span; "": the trace began here
	ID       string        `json:"id"`               // 16, as the instance is told
	Start    time.Time     `json:"start"`
	Took     time.Duration `json:"took"`
	App      App           `json:"app"` // zero: of no app, nobody is shown it
	Route    string        `json:"route,omitempty"`
	Group    string        `json:"group,omitempty"`    // group id
	Instance string        `json:"instance,omitempty"` // instance id; "": the gateway answered itself
	Index    int           `json:"index"`              // of the instance
	Method   string        `json:"method"`
	Host     string        `json:"host"`
	Path     string        `json:"path"`              // without a query
	Status   int           `json:"status"`            // 0: the client left before an answer
	Error    string        `json:"error,omitempty"`   // why it ended badly, "" if it did not
	Retries  int           `json:"retries,omitempty"` // instances tried after the first
}
