package traces

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/disk"
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
	press *press
	gate  *gate
	log   *slog.Logger

	mu   sync.Mutex // guards open; Append holds it across its write
	open map[int]*day
}

// Open opens the store in its folder.
func Open(o Options, log *slog.Logger) (*Store, error) {
	o = o.filled()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}
	p, err := newPress()
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}
	return &Store{o: o, press: p, gate: newGate(o), log: log, open: map[int]*day{}}, nil
}

// Close closes all day files.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, d := range s.open {
		errs = append(errs, d.close())
	}
	clear(s.open)
	s.press.close()
	return errors.Join(errs...)
}

// pruneEvery is short: a loud app fills a gigabyte in an hour.
const pruneEvery = time.Minute

// mistrust is how long nothing goes for its age after the clock was set ahead by
// more than that: somebody may set it right.
const mistrust = time.Hour

// Run removes what is too old or too much, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	last, until := time.Now(), time.Time{}
	for {
		now := time.Now()
		if wall := now.Round(0).Sub(last.Round(0)); wall-now.Sub(last) > mistrust {
			until = now.Add(mistrust)
		}
		last = now
		prune := s.Prune
		if now.Before(until) {
			prune = s.Shed
		}
		lost, err := prune(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "remove old spans", "error", err)
		}
		if lost > 0 {
			s.log.WarnContext(ctx, "traces are at their limit: the oldest spans were removed", "spans", lost, "setting", "traces.bytes")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

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
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.day(ctx, dayOf(s.o.Now()), true)
	if err != nil {
		return err
	}
	err = d.append(ctx, s.press, from, spans)
	if damaged(err) {
		if d, err = s.replace(ctx, d); err == nil {
			err = d.append(ctx, s.press, from, spans)
		}
	}
	return err
}

const suffix = ".traces"

func (s *Store) path(day int) string { return filepath.Join(s.o.Dir, strconv.Itoa(day)+suffix) }

// day returns the file of a day; nil when it does not exist and make is false.
// s.mu is held.
func (s *Store) day(ctx context.Context, number int, make bool) (*day, error) {
	if d, ok := s.open[number]; ok {
		return d, nil
	}
	if _, err := os.Stat(s.path(number)); errors.Is(err, os.ErrNotExist) && !make {
		return nil, nil
	}
	d, err := openDay(ctx, s.path(number), number)
	if damaged(err) {
		d, err = s.rescue(ctx, number)
	}
	if err != nil {
		return nil, err
	}
	s.open[number] = d
	return d, nil
}

// opened is day for who does not hold s.mu.
func (s *Store) opened(ctx context.Context, number int) (*day, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.day(ctx, number, false)
}

// list returns the days there are, rising.
func (s *Store) list() ([]int, error) {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("list traces: %w", err)
	}
	var days []int
	for _, e := range entries {
		if base, ok := strings.CutSuffix(e.Name(), suffix); ok {
			if day, err := strconv.Atoi(base); err == nil {
				days = append(days, day)
			}
		}
	}
	slices.Sort(days)
	return days, nil
}

// eachDay has days read, from the newest or from the oldest; what was found of a
// day whose file turned out to be damaged is thrown away by again, and looked for
// once more in what was rescued.
func (s *Store) eachDay(ctx context.Context, read func(d *day) (more bool, err error)) error {
	days, err := s.list()
	if err != nil {
		return err
	}
	for _, number := range slices.Backward(days) {
		d, err := s.opened(ctx, number)
		if err != nil {
			return err
		}
		if d == nil {
			continue // it was removed meanwhile
		}
		more, err := read(d)
		if damaged(err) {
			s.mu.Lock()
			d, err = s.replace(ctx, d)
			s.mu.Unlock()
			if err == nil {
				more, err = read(d)
			}
		}
		if err != nil {
			return fmt.Errorf("read traces of day %d: %w", number, err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// Forget removes all spans of an app.
func (s *Store) Forget(ctx context.Context, a app.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	days, err := s.list()
	if err != nil {
		return err
	}
	for _, number := range days {
		d, err := s.day(ctx, number, false)
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		clear(d.stacks)
		for _, from := range []string{"blocks", "names"} {
			if _, err := d.write.ExecContext(ctx, `DELETE FROM `+from+` WHERE app = ?`, string(a)); err != nil {
				return fmt.Errorf("forget spans: %w", err)
			}
		}
	}
	return nil
}
