package traces

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/disk"
	"naru/internal/observe/dayfile"
)

// Options of a store. Zero numbers take the defaults named beside them.
type Options struct {
	Dir   string // made where it is not there
	Days  int    // today included: 7
	Bytes int64  // of all files; the oldest spans go first: 10 GiB

	SpanBytes     int           // of one span: 64 KiB
	Attributes    int           // of a span, of an event: 128; so many events and links, too
	ValueBytes    int           // of an attribute: 4 KiB
	SpansPerTrace int           // 10,000
	Rate          int           // spans a second of one app: 5,000; ten seconds' worth at once
	Ahead         time.Duration // how far a span may lie in the future: 10 min
	SearchBytes   int64         // packed, that one search looks through: 1 GiB

	// Full reports that the disk is at its limit: then the oldest spans go, one day
	// each minute, and of the last one a quarter. May be nil.
	Full func() bool
	// Limited is told of an app whose spans are refused or cut, once a minute at
	// most. May be nil.
	Limited func(ctx context.Context, l Limited)
	// Lost is told of a day whose file was damaged. May be nil.
	Lost func(ctx context.Context, day int, aside string)

	Now func() time.Time // nil: time.Now
}

func (o Options) filled() Options {
	fill(&o.Days, 7)
	fill(&o.Bytes, 10<<30)
	fill(&o.SpanBytes, 64<<10)
	fill(&o.Attributes, 128)
	fill(&o.ValueBytes, 4<<10)
	fill(&o.SpansPerTrace, 10_000)
	fill(&o.Rate, 5000)
	fill(&o.Ahead, 10*time.Minute)
	fill(&o.SearchBytes, 1<<30)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func fill[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Store is the row of day files: of the days on which spans came, whatever time
// they are of. A day is dropped by removing its file. Its methods may be called
// at the same time.
type Store struct {
	o     Options
	press *dayfile.Press
	gate  *gate
	row   *dayfile.Row
}

// Open opens the store in its folder.
func Open(o Options, log *slog.Logger) (*Store, error) {
	o = o.filled()
	p, err := dayfile.NewPress()
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}
	s := &Store{o: o, press: p, gate: newGate(o)}
	s.row, err = dayfile.Open(o.Dir, s.kind(), o.Now, o.Lost, log)
	return s, err
}

// Close closes all day files.
func (s *Store) Close() error {
	defer s.press.Close()
	return s.row.Close()
}

// pruneEvery is short: a loud app fills a gigabyte in an hour.
const pruneEvery = time.Minute

// Run removes what is too old or too much, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		s.row.Tend(ctx, s.limits(), "traces.bytes")
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Store) limits() dayfile.Limits {
	return dayfile.Limits{Days: s.o.Days, Bytes: s.o.Bytes, Full: s.o.Full, Slowly: true}
}

// Prune removes days that are too old, and then the oldest spans while there is
// too much. It returns how many spans it removed for the second reason.
func (s *Store) Prune(ctx context.Context) (lost int64, err error) {
	return s.row.Prune(ctx, s.limits())
}

// Shed removes the oldest spans while there is too much, whatever their age.
func (s *Store) Shed(ctx context.Context) (lost int64, err error) { return s.row.Shed(ctx, s.limits()) }

// Size is how much all traces take, in bytes.
func (s *Store) Size(ctx context.Context) (int64, error) { return s.row.Size(ctx) }

// Append keeps spans of one owner, as far as the limits let it. Spans of a trace
// may come in any order and in several pieces. The spans are cut to their limits
// in place.
func (s *Store) Append(ctx context.Context, from Owner, spans []Span) (Taken, error) {
	if len(spans) == 0 {
		return Taken{}, nil
	}
	if disk.Tight(s.o.Dir) {
		return Taken{}, disk.Error(s.o.Dir)
	}
	for i := range spans {
		spans[i].Owner = from
	}
	kept, taken := s.gate.pass(from, spans, s.o.Now())
	if err := s.write(ctx, from, kept); err != nil {
		return Taken{}, disk.Explain(fmt.Errorf("keep spans: %w", err), s.o.Dir)
	}
	if l, tell := s.gate.tell(from, s.o.Now()); tell && s.o.Limited != nil {
		s.o.Limited(ctx, l)
	}
	return taken, nil
}

func (s *Store) write(ctx context.Context, from Owner, spans []*Span) error {
	if len(spans) == 0 {
		return nil
	}
	return s.row.Append(ctx, func(f *dayfile.File, tx *sql.Tx) error {
		return appendSpans(ctx, f, tx, s.press, from, spans)
	})
}

// eachDay has days read, from the newest on; one whose file turns out to be
// damaged once more, as far as it was rescued.
func (s *Store) eachDay(ctx context.Context, read func(f *dayfile.File) (more bool, err error)) error {
	days, err := s.row.Days(0)
	if err != nil {
		return err
	}
	for _, day := range slices.Backward(days) {
		more := true // it was removed meanwhile
		err := s.row.Read(ctx, day, func(f *dayfile.File) (err error) {
			more, err = read(f)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Forget removes all spans of an app.
func (s *Store) Forget(ctx context.Context, a app.ID) error {
	return s.row.Change(ctx, func(f *dayfile.File, tx *sql.Tx) error {
		f.Memory = nil // its names may come again
		for _, from := range []string{"blocks", "names"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+from+` WHERE app = ?`, string(a)); err != nil {
				return err
			}
		}
		return nil
	})
}
