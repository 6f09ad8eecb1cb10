package api

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"naru/internal/client"
	"naru/internal/observe/logs"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

type logsInput struct {
	Follow   bool      `query:"follow" doc:"go on as lines come"`
	Tail     int       `query:"tail" minimum:"-1" doc:"so many of the last lines first; -1: none; absent: the server's default, or all with since"`
	Since    time.Time `query:"since" doc:"not older than this"`
	Process  string    `query:"process" maxLength:"30" doc:"process type; absent: all"`
	Instance int       `query:"instance" minimum:"-1" default:"-1" doc:"index; absent or -1: all"`
	Source   string    `query:"source" enum:"APP,STG,RTR,TASK" doc:"absent: all"`
	Cursor   string    `query:"cursor" maxLength:"64" doc:"go on after this line, in place of tail and since"`
}

func (s *server) followLogs(ctx context.Context, in *logsInput, st *stream) error {
	q := logs.Query{App: at(ctx).app.ID, Since: in.Since, Process: in.Process, Source: in.Source}
	if in.Instance >= 0 {
		q.Index = &in.Instance
	}
	// Listening begins before reading, so that no line falls between.
	news, stop := s.Logs.Changed(q.App)
	defer stop()
	if err := s.firstLines(ctx, in, &q, st); err != nil {
		return err
	}
	for {
		if err := s.restOfLines(ctx, &q, st); err != nil || !in.Follow {
			return err
		}
		if err := st.flush(); err != nil {
			return err
		}
		silent, err := s.wait(ctx, news)
		if err != nil {
			return err
		}
		if silent {
			// The cursor travels along: who reconnects goes on from here.
			if err := st.line(client.LogLine{Cursor: q.After.String(), Time: time.Now().UTC(), Alive: true}); err != nil {
				return err
			}
		}
	}
}

// firstLines sends what the stream begins with and leaves the place after it in
// q.After.
func (s *server) firstLines(ctx context.Context, in *logsInput, q *logs.Query, st *stream) (err error) {
	if in.Cursor != "" {
		q.After, err = logs.ParseCursor(in.Cursor)
		return err
	}
	if in.Tail == 0 && !in.Since.IsZero() {
		return nil // all since then
	}
	if q.After, err = s.Logs.End(ctx); err != nil || in.Tail < 0 {
		return err
	}
	tail := *q
	tail.After, tail.Limit = logs.Cursor{}, cmp.Or(in.Tail, s.cfg.LogTail)
	lines, err := s.Logs.Tail(ctx, tail)
	if err != nil {
		return err
	}
	return sendLines(lines, q, st)
}

// restOfLines sends what there is after q.After.
func (s *server) restOfLines(ctx context.Context, q *logs.Query, st *stream) error {
	for {
		q.Limit = maxBatch
		lines, err := s.Logs.Read(ctx, *q)
		if err != nil {
			return err
		}
		if err := sendLines(lines, q, st); err != nil || len(lines) < maxBatch {
			return err
		}
	}
}

func sendLines(lines []logs.Line, q *logs.Query, st *stream) error {
	for _, l := range lines {
		if err := st.line(lineOf(l)); err != nil {
			return err
		}
		if cmp.Or(cmp.Compare(l.Cursor.Day, q.After.Day), cmp.Compare(l.Cursor.ID, q.After.ID)) > 0 {
			q.After = l.Cursor
		}
	}
	return nil
}
