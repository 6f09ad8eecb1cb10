package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"
)

// LogLine is one line of what an app or a part of naru said about it.
type LogLine struct {
	Cursor   string    `json:"cursor" doc:"where the stream goes on after this line"`
	Time     time.Time `json:"time"`
	Source   string    `json:"source" doc:"APP, STG, RTR, TASK or NARU"`
	Process  string    `json:"process,omitempty" doc:"web, worker, ..."`
	Index    int       `json:"index" doc:"of the instance"`
	Instance string    `json:"instance,omitempty" doc:"instance id"`
	Stream   string    `json:"stream,omitempty" enum:"stdout,stderr" doc:"where it was written"`
	Text     string    `json:"text" doc:"the line, without newline"`
	Partial  bool      `json:"partial,omitempty" doc:"the line goes on in the next one of this instance and stream"`
	Dropped  int64     `json:"dropped,omitempty" doc:"so many lines were lost here; text says why"`
	Trace    string    `json:"trace,omitempty" doc:"id of the trace that the line names: naru trace ID"`
	Note     string    `json:"note,omitempty" doc:"no line: something to know about the stream, as where a search ended"`
	Alive    bool      `json:"alive,omitempty" doc:"no line: sent so that a dead connection is noticed"`
}

// LogQuery says which lines are wanted.
type LogQuery struct {
	Follow   bool      // go on as lines come
	Tail     int       // that many of the last lines first; 0: the server's default; -1: none
	Since    time.Time // not older; zero: any
	Process  string    // process type; "": all
	Instance int       // index; -1: all
	Source   string    // APP, STG, RTR, TASK; "": all
	Until    time.Time // older than this; zero: any
	Search   string    // only lines that hold this; "": all
	Cursor   string    // after this line, in place of Tail and Since
}

func (q LogQuery) query() url.Values {
	v := url.Values{}
	if q.Follow {
		v.Set("follow", "true")
	}
	switch {
	case q.Cursor != "":
		v.Set("cursor", q.Cursor)
	default:
		if q.Tail != 0 {
			v.Set("tail", strconv.Itoa(max(q.Tail, -1)))
		}
		if !q.Since.IsZero() {
			v.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
		}
	}
	if !q.Until.IsZero() {
		v.Set("until", q.Until.UTC().Format(time.RFC3339Nano))
	}
	set(v, "search", q.Search)
	set(v, "process", q.Process)
	set(v, "source", q.Source)
	if q.Instance >= 0 {
		v.Set("instance", strconv.Itoa(q.Instance))
	}
	return v
}

// Logs goes through lines of the app, oldest first. With Follow it does not end
// by itself and reconnects where the connection breaks, so that no line is
// missing and none comes twice.
func (a *InApp) Logs(ctx context.Context, q LogQuery) iter.Seq2[LogLine, error] {
	return func(yield func(LogLine, error) bool) {
		err := follow(ctx, a.c, a.path+"/logs", func() url.Values { return q.query() }, func(l LogLine) (bool, error) {
			if l.Cursor != "" {
				q.Cursor = l.Cursor
			}
			if l.Alive {
				return true, nil
			}
			return yield(l, nil), nil
		}, func() bool { return !q.Follow })
		if err != nil {
			yield(LogLine{}, err)
		}
	}
}
