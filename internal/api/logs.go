package api

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/observe/logs"
	"naru/internal/observe/logs/search"
	"naru/internal/size"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

type logsInput struct {
	Follow   bool      `query:"follow" doc:"go on as lines come"`
	Tail     int       `query:"tail" minimum:"-1" doc:"so many of the last lines first; -1: none; absent: the server's default, or all with since"`
	Since    time.Time `query:"since" doc:"not older than this"`
	Until    time.Time `query:"until" doc:"older than this"`
	Search   string    `query:"search" maxLength:"4096" doc:"only lines that hold this: words, \"phrases\", time*, AND, OR, NOT, ( ), status=500, took>=250"`
	Process  string    `query:"process" maxLength:"30" doc:"process type; absent: all"`
	Instance int       `query:"instance" minimum:"-1" default:"-1" doc:"index; absent or -1: all"`
	Source   string    `query:"source" enum:"APP,STG,RTR,TASK,NARU" doc:"absent: all"`
	Cursor   string    `query:"cursor" maxLength:"64" doc:"go on after this line, in place of tail and since"`
}

func (s *server) followLogs(ctx context.Context, in *logsInput, st *stream) error {
	q := logs.Query{App: at(ctx).app.ID, Since: in.Since, Process: in.Process, Source: in.Source}
	if in.Instance >= 0 {
		q.Index = &in.Instance
	}
	if q.Until = in.Until; in.Follow && !in.Until.IsZero() {
		return fault.New(fault.Invalid, "until", "what is followed has no end").WithTry("leave follow or until away")
	}
	if in.Search != "" {
		var err error
		if q.Search, err = search.Parse(in.Search); err != nil {
			return err
		}
	}
	left := s.cfg.LogSearch
	// Listening begins before reading, so that no line falls between.
	news, stop := s.Logs.Changed(q.App)
	defer stop()
	if err := s.firstLines(ctx, in, &q, &left, st); err != nil {
		return err
	}
	for {
		if err := s.restOfLines(ctx, &q, &left, st); err != nil || !in.Follow || left <= 0 {
			return err
		}
		left = s.cfg.LogSearch // what comes is looked through once
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
func (s *server) firstLines(ctx context.Context, in *logsInput, q *logs.Query, left *int64, st *stream) (err error) {
	if in.Cursor != "" {
		q.After, err = logs.ParseCursor(in.Cursor)
		return err
	}
	if in.Tail == 0 && !in.Since.IsZero() {
		return nil // all since then
	}
	tail := *q
	tail.Limit, tail.Bytes = cmp.Or(in.Tail, s.cfg.LogTail), *left
	if in.Tail < 0 {
		q.After, err = s.Logs.End(ctx, q.App)
		return err
	}
	page, err := s.Logs.Tail(ctx, tail)
	if err != nil {
		return err
	}
	*left -= page.Bytes
	if !page.Back.IsZero() && len(page.Lines) < tail.Limit {
		if err := st.line(note("the search went back to %s: %s of text is the most it looks through (logs.search); for what was before, end it there (until)", page.Back.Format(time.RFC3339), size.Text(s.cfg.LogSearch))); err != nil {
			return err
		}
	}
	q.After = page.Next
	return sendLines(page.Lines, st)
}

// restOfLines sends what there is after q.After, and takes what was looked
// through from left, which bounds a search.
func (s *server) restOfLines(ctx context.Context, q *logs.Query, left *int64, st *stream) error {
	for {
		q.Limit = maxBatch
		if q.Search != nil {
			q.Bytes = *left
		}
		page, err := s.Logs.Read(ctx, *q)
		if err != nil {
			return err
		}
		q.After = page.Next
		if err := sendLines(page.Lines, st); err != nil || !page.More {
			return err
		}
		if q.Search == nil {
			continue
		}
		if *left -= page.Bytes; *left <= 0 {
			end := note("the search ended after %s of text, the most it looks through (logs.search): search a shorter time, or go on behind cursor %s", size.Text(s.cfg.LogSearch), page.Next)
			end.Cursor = page.Next.String()
			return st.line(end)
		}
	}
}

// note is a line about the stream.
func note(format string, args ...any) client.LogLine {
	return client.LogLine{Time: time.Now().UTC(), Note: fmt.Sprintf(format, args...)}
}

func sendLines(lines []logs.Line, st *stream) error {
	for _, l := range lines {
		if err := st.line(lineOf(l)); err != nil {
			return err
		}
	}
	return nil
}
