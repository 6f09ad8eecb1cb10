// Package chronicle writes what happened to an app into its log: rollouts,
// crashes, what was changed.
package chronicle

import (
	"context"
	"log/slog"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/observe/logs"
	"naru/internal/run/spool"
)

// Events are the record of what happened.
type Events interface {
	// EventsAfter lists events of some kinds with a higher Seq, oldest first, as
	// many as it likes.
	EventsAfter(ctx context.Context, after int64, kinds []event.Kind) ([]event.Event, error)
	// LastEvent is the Seq of the newest event; 0 when there is none.
	LastEvent(ctx context.Context) (int64, error)
}

// Book is the log; *logs.Book is one.
type Book interface {
	Append(ctx context.Context, lines []logs.Line, offsets map[string]spool.Offset) error
	Offset(ctx context.Context, name string) (spool.Offset, error)
}

// place is the name under which the book keeps how far the events were written,
// in one transaction with the lines: each is there once, whenever naru ends.
const place = "events"

// Writer writes events down as lines.
type Writer struct {
	events Events
	book   Book
	log    *slog.Logger
}

// New makes a writer.
func New(events Events, book Book, log *slog.Logger) *Writer { return &Writer{events, book, log} }

// again is how often it looks by itself: a wake-up may be missed, and a full disk
// may have room again.
const again = 10 * time.Second

// Run writes until ctx ends. changed gets a value after events were appended. It
// begins where it was; the first time, with the next event.
func (w *Writer) Run(ctx context.Context, changed <-chan struct{}) error {
	t := time.NewTicker(again)
	defer t.Stop()
	said := ""
	for {
		err := w.write(ctx)
		switch {
		case err == nil:
			said = ""
		case ctx.Err() == nil && said != fault.Of(err).Message:
			said = fault.Of(err).Message
			w.log.WarnContext(ctx, "write into logs what happened", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-t.C:
		}
	}
}

// write writes down what is new.
func (w *Writer) write(ctx context.Context) error {
	at, err := w.book.Offset(ctx, place)
	if err != nil {
		return err
	}
	if at.Seq == 0 {
		last, err := w.events.LastEvent(ctx)
		if err != nil {
			return err
		}
		at.Seq = uint64(last)
		return w.book.Append(ctx, nil, map[string]spool.Offset{place: at})
	}
	for {
		news, err := w.events.EventsAfter(ctx, int64(at.Seq), Kinds())
		if err != nil || len(news) == 0 {
			return err
		}
		var lines []logs.Line
		for _, e := range news {
			at.Seq = uint64(e.Seq)
			if e.App != "" {
				lines = append(lines, Line(e))
			}
		}
		if err := w.book.Append(ctx, lines, map[string]spool.Offset{place: at}); err != nil {
			return err
		}
	}
}

// Line is an event as a line of its app's log.
func Line(e event.Event) logs.Line {
	l := logs.Line{Time: e.Time, App: app.ID(e.App), Source: logs.Platform, Stream: "stdout", Text: say(e)}
	if process, ok := e.Detail["process"].(string); ok {
		l.Process = process
	}
	if instance, ok := e.Detail["instance"].(string); ok {
		l.Instance = instance
	}
	if index, ok := number(e.Detail["index"]); ok {
		l.Index = int(index)
	}
	for _, bad := range []event.Kind{"rollout.aborting", "rollout.rolledback", "rollout.failed", "instance.crashed", "instance.unhealthy", "alert.firing", "push.refused"} {
		if e.Kind == bad {
			l.Stream = "stderr"
		}
	}
	return l
}
