package cf

import (
	"context"
	"encoding/base64"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/observe/logs"
)

func logRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /api/v1/info", open: true, do: func(_ *Door, c *call) error {
			return c.ok(map[string]string{"version": "3.0.0", "vm_uptime": "0"})
		}},
		{pattern: "GET /api/v1/read/{guid}", do: (*Door).readLogs},
	}
}

// Bounds of a read.
const (
	usualLines = 100
	maxLines   = 1000
)

// envelope is a line as log-cache has it. Its clients read it by a strict schema:
// a key more, and they read nothing.
type envelope struct {
	Timestamp  string            `json:"timestamp"` // nanoseconds
	SourceID   string            `json:"source_id"`
	InstanceID string            `json:"instance_id"`
	Tags       map[string]string `json:"tags"`
	Log        struct {
		Payload string `json:"payload"`
		Type    string `json:"type"`
	} `json:"log"`
	at int64
}

// window is what a reader asks for.
type window struct {
	from, to int64 // nanoseconds; from included, to not
	limit    int
	newest   bool // first
	lines    bool // log lines are among what is wanted
}

func windowOf(q url.Values) (w window, err error) {
	w = window{from: math.MinInt64, to: math.MaxInt64, limit: usualLines, newest: q.Get("descending") == "true"}
	for name, to := range map[string]*int64{"start_time": &w.from, "end_time": &w.to} {
		if q.Get(name) == "" {
			continue
		}
		if *to, err = strconv.ParseInt(q.Get(name), 10, 64); err != nil {
			return w, badRequest.saying(name + " must be nanoseconds since 1970")
		}
	}
	if text := q.Get("limit"); text != "" {
		if w.limit, err = strconv.Atoi(text); err != nil || w.limit < 1 || w.limit > maxLines {
			return w, badRequest.saying("limit must be between 1 and 1000")
		}
	}
	kinds := q["envelope_types"]
	w.lines = len(kinds) == 0 || slices.Contains(kinds, "LOG") || slices.Contains(kinds, "ANY")
	return w, nil
}

// asQuery is the window in the book's own terms, whose clock counts microseconds.
func (w window) asQuery(a app.ID) logs.Query {
	q := logs.Query{App: a, Limit: w.limit}
	if w.from > 0 {
		q.Since = time.Unix(0, w.from).Truncate(time.Microsecond)
	}
	if w.to < math.MaxInt64 {
		q.Until = time.Unix(0, w.to).Add(time.Microsecond - 1).Truncate(time.Microsecond)
	}
	if !w.newest {
		q.Limit += spare
	}
	return q
}

// spare is how many lines more are read than asked for: those of the first
// microsecond that a reader has already.
const spare = 256

func (d *Door) readLogs(c *call) error {
	a, err := d.app(c, c.guid(), auth.LogRead)
	if err != nil {
		return err
	}
	w, err := windowOf(c.r.URL.Query())
	if err != nil {
		return err
	}
	found := []envelope{}
	if w.lines && w.to > 0 {
		read := d.Logs.Read
		if w.newest {
			read = d.Logs.Tail
		}
		p, err := read(c.ctx(), w.asQuery(a.ID))
		if err != nil {
			return err
		}
		lines, err := d.ofTasks(c.ctx(), a.ID, p.Lines)
		if err != nil {
			return err
		}
		found = w.choose(lines)
	}
	return c.ok(map[string]any{"envelopes": map[string]any{"batch": found}})
}

// recentTasks is of how many tasks of an app the lines bear the names.
const recentTasks = 200

// ofTasks gives lines of tasks their tasks' names, by which clients tell them apart.
func (d *Door) ofTasks(ctx context.Context, a app.ID, lines []logs.Line) ([]logs.Line, error) {
	if !slices.ContainsFunc(lines, func(l logs.Line) bool { return l.Source == logs.Task }) {
		return lines, nil
	}
	tasks, err := d.Tasks.TasksBefore(ctx, a, 0, recentTasks)
	names := make(map[string]string, len(tasks))
	for _, t := range tasks {
		names[string(t.Instance)] = t.Name
	}
	lines = slices.Clone(lines)
	for i, l := range lines {
		if name := names[l.Instance]; l.Source == logs.Task && name != "" {
			lines[i].Process = name
		}
	}
	return lines, err
}

// choose makes envelopes of lines, each with a time of its own: readers go on
// behind the time of the last one, and lines of one microsecond must not be lost
// nor come again.
func (w window) choose(lines []logs.Line) []envelope {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(x, y logs.Line) int { return x.Time.Compare(y.Time) })
	out, last, nth := []envelope{}, int64(0), int64(0)
	for _, l := range lines {
		at := l.Time.UnixMicro() * 1000
		if nth++; at != last {
			last, nth = at, 0
		}
		e := envelopeOf(l, at+min(nth, 999))
		if e.at >= w.from && e.at < w.to {
			out = append(out, e)
		}
	}
	if w.newest {
		slices.Reverse(out)
	}
	return out[:min(len(out), w.limit)]
}

// sourceType is the word that clients show before a line.
func sourceType(l logs.Line) string {
	switch l.Source {
	case logs.App:
		return "APP/PROC/" + strings.ToUpper(l.Process)
	case logs.Task:
		return "APP/TASK/" + l.Process
	case logs.Platform:
		return "API"
	}
	return l.Source
}

func envelopeOf(l logs.Line, at int64) envelope {
	e := envelope{
		Timestamp: strconv.FormatInt(at, 10), SourceID: string(l.App), InstanceID: strconv.Itoa(l.Index), at: at,
		Tags: map[string]string{"source_type": sourceType(l), "process_type": l.Process},
	}
	e.Log.Payload, e.Log.Type = base64.StdEncoding.EncodeToString([]byte(l.Text)), "OUT"
	if l.Stream == "stderr" {
		e.Log.Type = "ERR"
	}
	return e
}
