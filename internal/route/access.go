package route

import (
	"fmt"
	"strings"
	"time"
)

// Access is what the gateway records about one request, once it has ended.
// Durations are nanoseconds in JSON.
type Access struct {
	Time      time.Time     `json:"time"` // when the request's header had been read
	RequestID string        `json:"request_id"`
	Client    string        `json:"client"` // IP:PORT of the connection
	Method    string        `json:"method"`
	Host      string        `json:"host"`
	URI       string        `json:"uri"`
	Proto     string        `json:"proto"`
	Agent     string        `json:"agent,omitempty"`
	Referer   string        `json:"referer,omitempty"`
	Status    int           `json:"status"`   // 0: the client left before an answer
	Received  int64         `json:"received"` // bytes of the request's body
	Sent      int64         `json:"sent"`     // bytes of the answer's body
	Took      time.Duration `json:"took"`     // until the last byte
	Header    time.Duration `json:"header"`   // until the answer's header; 0 where there was none
	Route     string        `json:"route,omitempty"`
	App       App           `json:"app"`
	Group     string        `json:"group,omitempty"`    // group id
	Instance  string        `json:"instance,omitempty"` // instance id
	Index     int           `json:"index"`
	Upstream  string        `json:"upstream,omitempty"` // address
	Attempts  int           `json:"attempts"`           // instances tried
	Upgrade   bool          `json:"upgrade,omitempty"`  // a WebSocket or another protocol
	Problem   string        `json:"problem,omitempty"`  // why it ended badly, "" if it did not
	Trace     string        `json:"trace,omitempty"`    // id of the trace it is part of, as traceparent has it

	ForwardedFor   string `json:"-"` // as the instance was told; only where the gateway writes a log of its own
	ForwardedProto string `json:"-"`
}

// maxField bounds each field of a line that a client wrote.
const maxField = 1024

// Line is the record as one line of an app's log, in the order people know
// from Cloud Foundry's router. It never holds a line break or a control
// character.
func (a Access) Line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - [%s] %s %d %d %d %s %s %q %q", quoteless(a.Host), a.Time.UTC().Format(time.RFC3339Nano),
		clip(a.Method+" "+a.URI+" "+a.Proto), a.Status, a.Received, a.Sent, clip(dash(a.Referer)), clip(dash(a.Agent)),
		a.Client, dash(a.Upstream))
	fmt.Fprintf(&b, " request_id:%q response_time:%.6f gateway_time:%.6f app_id:%q app_index:%q",
		a.RequestID, a.Took.Seconds(), a.Header.Seconds(), a.App.ID, fmt.Sprint(a.Index))
	if a.Trace != "" {
		fmt.Fprintf(&b, " trace_id:%q", a.Trace)
	}
	if a.Problem != "" {
		fmt.Fprintf(&b, " problem:%s", clip(a.Problem))
	}
	return b.String()
}

func clip(s string) string {
	if len(s) > maxField {
		s = s[:maxField] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// quoteless is a client's host without characters that need quotes.
func quoteless(s string) string {
	q := clip(s)
	return q[1 : len(q)-1]
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Counter is the requests of one group behind one route since the gateway
// process started; differences are the reader's business, so that a lost
// message loses nothing. Group is "" for answers of the gateway itself.
type Counter struct {
	Route   string        `json:"route"` // "" for hosts nobody mapped
	Group   string        `json:"group"`
	Name    string        `json:"name,omitempty"` // of the group, for whoever does not know it any more
	Classes [6]uint64     `json:"classes"`        // ended requests by status / 100; 0: no answer was sent
	Took    time.Duration `json:"took"`           // sum over all ended requests
	Sent    int64         `json:"sent"`           // bytes of answers' bodies

	Received  int64                          `json:"received,omitempty"`  // bytes of requests' bodies
	Active    int64                          `json:"active,omitempty"`    // requests in flight now
	Retries   uint64                         `json:"retries,omitempty"`   // requests that were sent to another instance, or again
	Ejections uint64                         `json:"ejections,omitempty"` // how often an instance was left alone: connects that failed, answers far worse than its siblings'
	Latency   [len(LatencyBounds) + 1]uint64 `json:"latency,omitzero"`    // ended requests by LatencyBounds; the last: slower
}

// LatencyBounds are the upper bounds of Counter.Latency.
var LatencyBounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 4 * time.Millisecond, 8 * time.Millisecond, 16 * time.Millisecond,
	32 * time.Millisecond, 64 * time.Millisecond, 128 * time.Millisecond, 256 * time.Millisecond, 512 * time.Millisecond,
	time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, 64 * time.Second,
}

// LatencyBucket is the place of a duration in Counter.Latency.
func LatencyBucket(took time.Duration) int {
	for i, bound := range LatencyBounds {
		if took <= bound {
			return i
		}
	}
	return len(LatencyBounds)
}

// Requests is the sum over all classes.
func (c Counter) Requests() uint64 {
	var n uint64
	for _, class := range c.Classes {
		n += class
	}
	return n
}

// Load is what a gateway process has open, and counted since its start.
type Load struct {
	Connections int64  `json:"connections"`        // of clients, open now
	Upgraded    int64  `json:"upgraded,omitempty"` // of them, those that were switched to another protocol
	Accepted    uint64 `json:"accepted"`           // connections of clients
	LogLost     uint64 `json:"log_lost,omitempty"` // lines that the access log had no place for
}

// Ejection tells that the gateway stopped (or began again) to send requests to
// an instance because of what it saw itself.
type Ejection struct {
	Time     time.Time `json:"time"`
	Instance string    `json:"instance"`
	Address  string    `json:"address"`
	Back     bool      `json:"back,omitempty"`   // it answers again
	Reason   string    `json:"reason,omitempty"` // why it was ejected
}

// BreakerState is what a breaker does with requests.
type BreakerState string

// States of a breaker.
const (
	BreakerClosed   BreakerState = "closed"    // it lets them through
	BreakerOpen     BreakerState = "open"      // it keeps them away
	BreakerHalfOpen BreakerState = "half-open" // it lets a few try
)

// Copies is what stands behind a group's id where copies of requests are counted.
const Copies = ":mirror"

// Pairs is what stands behind a group's id where copies are counted that it was
// sent together with its pair. They belong to a comparison, and to no metric of
// visitors.
const Pairs = ":pair"

// Breaking tells that the breaker of a group behind a route changed its state.
type Breaking struct {
	Time   time.Time    `json:"time"`
	Route  string       `json:"route"`
	Group  string       `json:"group"` // group id
	State  BreakerState `json:"state"`
	Reason string       `json:"reason,omitempty"`
}
