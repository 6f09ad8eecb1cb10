package client

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// Trace is one request's way through services, in short.
type Trace struct {
	ID        string         `json:"id" doc:"32 hexadecimal digits"`
	Service   string         `json:"service" doc:"of its first span"`
	Operation string         `json:"operation" doc:"of its first span"`
	Start     time.Time      `json:"start"`
	Took      Duration       `json:"took" doc:"from its first start to its last end"`
	Spans     int            `json:"spans"`
	Errors    int            `json:"errors" doc:"spans that failed"`
	Services  []TraceService `json:"services" doc:"by their number of spans"`
}

// TraceService is how much of a trace is of one service.
type TraceService struct {
	Service string `json:"service"`
	Spans   int    `json:"spans"`
	Errors  int    `json:"errors"`
}

// TraceList is what a search for traces found.
type TraceList struct {
	Items []Trace   `json:"items" doc:"newest first"`
	More  bool      `json:"more" doc:"there may be more"`
	Back  time.Time `json:"back,omitzero" doc:"how far back the search looked, where it ended at its limit (traces.search)"`
}

// TraceDetail is a trace with its spans.
type TraceDetail struct {
	Trace
	Tree []Span `json:"tree" doc:"by their start"`
	Over bool   `json:"over,omitempty" doc:"there are more spans than are shown"`
}

// Span is one piece of work in a trace.
type Span struct {
	ID        string            `json:"id" doc:"16 hexadecimal digits"`
	Parent    string            `json:"parent,omitempty" doc:"span that it is part of"`
	Service   string            `json:"service"`
	Operation string            `json:"operation"`
	Kind      string            `json:"kind" enum:"internal,server,client,producer,consumer"`
	Remote    string            `json:"remote,omitempty" doc:"the other side, where the span says it"`
	Instance  string            `json:"instance,omitempty" doc:"id of the instance that reported it"`
	Start     time.Time         `json:"start"`
	Took      Duration          `json:"took"`
	Error     bool              `json:"error,omitempty"`
	Message   string            `json:"message,omitempty" doc:"what the error was"`
	Shared    bool              `json:"shared,omitempty" doc:"the server's half of a span with this id"`
	Tags      map[string]string `json:"tags,omitempty"`
	Events    []SpanEvent       `json:"events,omitempty"`
	Links     []SpanLink        `json:"links,omitempty"`
}

// SpanEvent is something that happened during a span.
type SpanEvent struct {
	Time time.Time         `json:"time"`
	Name string            `json:"name"`
	Tags map[string]string `json:"tags,omitempty"`
}

// SpanLink names a span of another trace that has to do with this one.
type SpanLink struct {
	Trace string `json:"trace"`
	Span  string `json:"span"`
}

// TraceQuery says which traces are wanted: those with a span for which all of it
// is true.
type TraceQuery struct {
	Service   string
	Operation string
	Least     time.Duration
	Most      time.Duration
	Error     bool
	Tags      []string // KEY=VALUE, or KEY for any value
	Since     time.Time
	Until     time.Time
	Limit     int // 0: the server's default
}

func (q TraceQuery) query() url.Values {
	v := url.Values{}
	set(v, "service", q.Service)
	set(v, "operation", q.Operation)
	if q.Least > 0 {
		v.Set("min_duration", q.Least.String())
	}
	if q.Most > 0 {
		v.Set("max_duration", q.Most.String())
	}
	if q.Error {
		v.Set("error", "true")
	}
	for _, t := range q.Tags {
		v.Add("tag", t)
	}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	if !q.Until.IsZero() {
		v.Set("until", q.Until.UTC().Format(time.RFC3339Nano))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// Traces finds traces that the app took part in.
func (a *InApp) Traces(ctx context.Context, q TraceQuery) (l TraceList, err error) {
	err = a.c.get(ctx, a.path+"/traces", q.query(), &l)
	return l, err
}

// Trace gets a trace, as far as its spans are of spaces whose logs one may read.
func (c *Client) Trace(ctx context.Context, id string) (t TraceDetail, err error) {
	err = c.get(ctx, join("/v1/traces", id), nil, &t)
	return t, err
}

// Dependency is how one service called another.
type Dependency struct {
	From    string   `json:"from"`
	To      string   `json:"to"`
	Calls   int64    `json:"calls" doc:"that were traced"`
	Errors  int64    `json:"errors"`
	Share   float64  `json:"error_share" doc:"of the calls that failed, from 0 to 1"`
	Rate    float64  `json:"rate" doc:"traced calls per second"`
	Mean    Duration `json:"mean" doc:"duration of a call"`
	Slowest Duration `json:"slowest"`
}

// Dependencies says which services call which.
type Dependencies struct {
	Since time.Time    `json:"since"`
	Until time.Time    `json:"until"`
	Spans int          `json:"spans" doc:"that it was made of"`
	Over  bool         `json:"over,omitempty" doc:"there were more than are looked at: it was made of the newest"`
	Items []Dependency `json:"items"`
}

// Dependencies returns the calls from and to services of the space, or of one of
// its apps, in a time.
func (s *InSpace) Dependencies(ctx context.Context, app string, since, until time.Time) (d Dependencies, err error) {
	q := url.Values{}
	set(q, "app", app)
	if !since.IsZero() {
		q.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	if !until.IsZero() {
		q.Set("until", until.UTC().Format(time.RFC3339Nano))
	}
	err = s.c.get(ctx, s.path+"/dependencies", q, &d)
	return d, err
}
