package route

import (
	"strconv"
	"time"

	"naru/internal/route/encode"
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
func (a *Access) Line() string { return string(a.AppendLine(nil, &encode.Clock{})) }

// AppendLine appends what Line returns, with a clock that many lines may share.
func (a *Access) AppendLine(b []byte, c *encode.Clock) []byte {
	from := len(b)
	b = clip(b, a.Host)
	b = append(b[:from], b[from+1:len(b)-1]...) // without its quotes
	b = append(c.Append(append(b, " - ["...), a.Time), "] "...)
	if len(a.Method)+len(a.URI)+len(a.Proto)+2 <= maxField {
		b = quoted(b, a.Method, a.URI, a.Proto)
	} else {
		b = clip(b, a.Method+" "+a.URI+" "+a.Proto)
	}
	b = strconv.AppendInt(append(b, ' '), int64(a.Status), 10)
	b = strconv.AppendInt(append(b, ' '), a.Received, 10)
	b = strconv.AppendInt(append(b, ' '), a.Sent, 10)
	b = clip(append(b, ' '), dash(a.Referer))
	b = clip(append(b, ' '), dash(a.Agent))
	b = encode.Quoted(append(b, ' '), a.Client)
	b = encode.Quoted(append(b, ' '), dash(a.Upstream))
	b = encode.Quoted(append(b, " request_id:"...), a.RequestID)
	b = encode.Micros(append(b, " response_time:"...), a.Took)
	b = encode.Micros(append(b, " gateway_time:"...), a.Header)
	b = encode.Quoted(append(b, " app_id:"...), a.App.ID)
	b = append(strconv.AppendInt(append(b, ` app_index:"`...), int64(a.Index), 10), '"')
	if a.Trace != "" {
		b = encode.Quoted(append(b, " trace_id:"...), a.Trace)
	}
	if a.Problem != "" {
		b = clip(append(b, " problem:"...), a.Problem)
	}
	return b
}

// quoted appends texts with spaces between them, in quotes.
func quoted(b []byte, texts ...string) []byte {
	for i, s := range texts {
		at := len(b)
		if b = encode.Quoted(b, s); i > 0 {
			b[at-1] = ' '
			b = append(b[:at], b[at+1:]...)
		}
	}
	return b
}

// clip appends a text in quotes, as far as it is not too long.
func clip(b []byte, s string) []byte {
	if len(s) > maxField {
		s = s[:maxField] + "…"
	}
	return encode.Quoted(b, s)
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
