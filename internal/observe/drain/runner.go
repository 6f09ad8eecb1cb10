package drain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"naru/internal/app"
	"naru/internal/backoff"
	"naru/internal/fault"
	"naru/internal/observe/logs"
	"naru/internal/observe/logs/search"
)

// Book is the log; *logs.Book is one.
type Book interface {
	Read(ctx context.Context, q logs.Query) (logs.Page, error)
	End(ctx context.Context, a app.ID) (logs.Cursor, error)
	Changed(a app.ID) (<-chan struct{}, func())
}

// State is how a drain is doing. It is kept so that a drain goes on where it was.
type State struct {
	Cursor  logs.Cursor // behind what was taken
	Sent    int64       // lines taken, since the drain was made
	Dropped int64       // lines passed over: gone from the log before they were taken, or refused
	Failing time.Time   // since when nothing gets through; zero: it does
	Error   string      // why, or the last refusal; for people
}

// Drain carries one app's lines to one receiver.
type Drain struct {
	From   Source
	App    app.ID
	Filter *search.Expr // nil: all
	To     Sender
	Limits Limits
	Turn   func(ctx context.Context) (done func(), err error) // waits until a page may be read and sent; nil: always
	Save   func(ctx context.Context, s State) error
	Passed func(lines int64, why string) // told of lines of the app that were left out; nil: nobody
	Log    *slog.Logger
	Clock  func() time.Time
}

// Limits of a drain.
type Limits struct {
	Lines int   // at once; 1000
	Bytes int64 // of text looked through at once; 4 MiB
	Retry backoff.Policy
}

// Run passes lines on until ctx ends. It begins behind the state's cursor; a zero
// one is the end of the log.
func (d *Drain) Run(ctx context.Context, book Book, at State) error {
	defer d.To.Close() //nolint:errcheck // what it had was sent or is sent again
	news, stop := book.Changed(d.App)
	defer stop()
	if at.Cursor == (logs.Cursor{}) {
		end, err := book.End(ctx, d.App)
		if err != nil {
			return fmt.Errorf("drain log: %w", err)
		}
		at.Cursor = end
	}
	tries := 0
	for ctx.Err() == nil {
		more, err := d.turn(ctx, book, &at)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			d.failed(ctx, &at, err)
			_ = d.Limits.Retry.Wait(ctx, tries) // the loop's condition sees its end
			tries++
			continue
		}
		tries = 0
		if more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-news:
		}
	}
	return nil
}

// turn is a step when it is its turn.
func (d *Drain) turn(ctx context.Context, book Book, at *State) (more bool, err error) {
	if d.Turn != nil {
		done, err := d.Turn(ctx)
		if err != nil {
			return false, err
		}
		defer done()
	}
	return d.step(ctx, book, at)
}

// step passes one page on.
func (d *Drain) step(ctx context.Context, book Book, at *State) (more bool, err error) {
	page, err := book.Read(ctx, logs.Query{App: d.App, After: at.Cursor, Search: d.Filter, Limit: d.Limits.Lines, Bytes: d.Limits.Bytes})
	if err != nil {
		return false, err
	}
	if page.Next == at.Cursor {
		return false, d.astray(ctx, book, at)
	}
	next := *at
	next.Cursor, next.Failing = page.Next, time.Time{}
	next.Dropped += page.Gap
	lost, why := page.Gap, "the log did not keep them so long"
	if len(page.Lines) > 0 {
		err := d.To.Send(ctx, d.From, page.Lines)
		var some *Rejected
		switch {
		case errors.As(err, &some):
			next.Dropped, next.Error = next.Dropped+some.Lines, some.Error()
			next.Sent += int64(len(page.Lines)) - some.Lines
			lost, why = refusedOf(page.Lines, some.Lines), some.Error()
		case fault.Is(err, fault.Invalid):
			next.Dropped, next.Error = next.Dropped+int64(len(page.Lines)), err.Error()
			lost, why = refusedOf(page.Lines, int64(len(page.Lines))), err.Error()
		case err != nil:
			return false, err
		default:
			next.Sent, next.Error = next.Sent+int64(len(page.Lines)), ""
		}
	}
	if err := d.Save(ctx, next); err != nil {
		return false, fmt.Errorf("note how far a log was drained: %w", err)
	}
	*at = next
	if lost > 0 && d.Passed != nil {
		d.Passed(lost, why)
	}
	return page.More, nil
}

// refusedOf is how many lines were refused, as far as it is to be told: of naru's
// own lines it is not, or the telling would be refused, and told, without end.
func refusedOf(lines []logs.Line, n int64) int64 {
	for i := range lines {
		if lines[i].Source != logs.Platform {
			return n
		}
	}
	return 0
}

// astray mends a cursor that is behind the end of the log, as where the log was
// lost and begins again: waiting for lines of that number would leave out those
// before.
func (d *Drain) astray(ctx context.Context, book Book, at *State) error {
	end, err := book.End(ctx, d.App)
	if err != nil || end == (logs.Cursor{}) || !at.Cursor.Behind(end) {
		return err
	}
	d.Log.WarnContext(ctx, "the log is shorter than what was drained of it; the drain goes on at its end", "app", d.App, "drained", at.Cursor, "end", end)
	next := *at
	next.Cursor = end
	if err := d.Save(ctx, next); err != nil {
		return fmt.Errorf("note how far a log was drained: %w", err)
	}
	*at = next
	return nil
}

// failed notes that nothing gets through; it is told once.
func (d *Drain) failed(ctx context.Context, at *State, err error) {
	said := err.Error()
	if at.Failing.IsZero() {
		at.Failing = d.Clock().UTC()
		d.Log.WarnContext(ctx, "a log drain does not get through; lines wait in the log", "app", d.App, "error", said)
	}
	if said == at.Error {
		return
	}
	at.Error = said
	if err := d.Save(ctx, *at); err != nil {
		d.Log.WarnContext(ctx, "note how a log drain is doing", "app", d.App, "error", err)
	}
}
