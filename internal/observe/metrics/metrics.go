// Package metrics keeps time series in an embedded Prometheus database and
// answers PromQL about them: each reader sees the series of their own spaces.
package metrics

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/tsdb"

	"naru/internal/disk"
	"naru/internal/fault"
)

// The labels that naru gives every series of an app; nobody else can.
const (
	LabelOrg     = "org"
	LabelSpace   = "space"
	LabelSpaceID = "space_id" // whose readers see it: a name may pass to another space
	LabelApp     = "app"
	LabelProcess = "process"
	LabelRelease = "release" // v42
	LabelGroup   = "group"   // shop-v042
	LabelRoute   = "route"
	LabelIndex   = "instance" // place in its group
)

// Options of a store. Zero numbers take the defaults named beside them.
type Options struct {
	Dir            string        // made where it is not there
	Retention      time.Duration // of samples: 35 days
	RetentionBytes int64         // of all files: 4 GiB; the oldest block goes first
	OutOfOrder     time.Duration // how late a sample may come: 1 h
	Series         int           // series written lately, of all: 200,000
	SeriesPerApp   int           // of one app, without those of naru itself: 10,000

	QuerySamples int           // samples in memory for one query: 5,000,000
	QueryTimeout time.Duration // of one query: 30 s
	Queries      int           // answered at the same time: 4

	// Full reports that the disk is at its limit: then the oldest block goes, one
	// each minute. May be nil.
	Full func() bool
	// Limited is told of an owner whose new series are refused, once a day. May be nil.
	Limited func(ctx context.Context, l Limited)
	// Lost is told of what could not be read any more. May be nil.
	Lost func(ctx context.Context, l Lost)

	Now func() time.Time // nil: time.Now
}

func (o Options) filled() Options {
	fill(&o.Retention, 35*24*time.Hour)
	fill(&o.RetentionBytes, 4<<30)
	fill(&o.OutOfOrder, time.Hour)
	fill(&o.Series, 200_000)
	fill(&o.SeriesPerApp, 10_000)
	fill(&o.QuerySamples, 5_000_000)
	fill(&o.QueryTimeout, 30*time.Second)
	fill(&o.Queries, 4)
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

// Store is the database. Its methods may be called at the same time, also before
// Run has opened it and after it was closed: then they are Unavailable.
type Store struct {
	o       Options
	log     *slog.Logger
	limits  *limits
	engine  engine
	told    metadata
	late    late
	counted counters

	ready chan struct{} // closed when the database was first opened
	once  sync.Once

	torn atomic.Bool   // the disk was full in the middle of a record, behind which nothing is read after a restart
	mend chan struct{} // asks Run to look at that

	mu    sync.RWMutex // held for reading while db is used, for writing while it changes
	db    *tsdb.DB     // nil where there is none
	epoch uint64       // how often it was opened: references of series hold for one
}

// New makes a store; Run opens it.
func New(o Options, log *slog.Logger) *Store {
	o = o.filled()
	s := &Store{o: o, log: log, limits: newLimits(o.Series, o.SeriesPerApp), ready: make(chan struct{}), mend: make(chan struct{}, 1)}
	s.engine = newEngine(o, log)
	return s
}

// Ready is closed when the store was opened.
func (s *Store) Ready() <-chan struct{} { return s.ready }

// lookAfter is how often the store looks at its clock and its disk.
const lookAfter = time.Minute

// Run opens the database, keeps it, and closes it when ctx ends. A database that
// cannot be opened is tried again: the rest of naru does without it.
func (s *Store) Run(ctx context.Context) error {
	defer s.close()
	tick := time.NewTicker(lookAfter)
	defer tick.Stop()
	for {
		if err := s.keep(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "open metrics", "dir", s.o.Dir, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.mend:
		}
	}
}

// keep opens the database where it is not open, and anew where its newest sample
// is of a time that has not come, for the clock was set back and all that is written
// now would be too old, or where its log is torn and there is room again.
func (s *Store) keep(ctx context.Context) error {
	s.mu.RLock()
	open := s.db != nil && !s.ahead(s.db) && (!s.torn.Load() || !s.roomy())
	s.mu.RUnlock()
	if open {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		if err := s.db.Close(); err != nil {
			s.log.ErrorContext(ctx, "close metrics", "error", err)
		}
		s.db = nil
	}
	s.limits.forget()
	db, lost, err := s.open(ctx)
	for _, l := range lost {
		s.log.WarnContext(ctx, "metrics lost", "what", l.What, "from", l.From, "to", l.To, "kept", l.Aside, "cause", l.Cause)
		if s.o.Lost != nil {
			s.o.Lost(ctx, l)
		}
	}
	if err != nil {
		return err
	}
	s.db = db
	s.torn.Store(false)
	s.epoch++
	s.limits.begin()
	s.once.Do(func() { close(s.ready) })
	return nil
}

// roomy reports whether the disk has room for the log to be mended.
func (s *Store) roomy() bool {
	room, err := disk.Of(s.o.Dir)
	return err != nil || room.Free >= segment+segment/4
}

// errTorn is what writers are told until there is room.
func errTorn() error {
	return fault.New(fault.Unavailable, "", "metrics are not kept: the disk was full").WithTry("make room; naru doctor says where")
}

func (s *Store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return
	}
	if err := s.db.Close(); err != nil {
		s.log.Error("close metrics", "error", err)
	}
	s.db = nil
}

// errClosed is what all methods say before the store is open.
func errClosed() error {
	return fault.New(fault.Unavailable, "", "the metrics are not open").WithTry("try again in a few seconds; naru logs say what is in the way where that does not help")
}

// Size is what the store holds.
type Size struct {
	Series int   // written lately
	Bytes  int64 // of all files
	Oldest time.Time
}

// Size measures the store.
func (s *Store) Size() (Size, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return Size{}, errClosed()
	}
	out := Size{Series: int(s.db.Head().NumSeries()), Bytes: s.db.Head().Size()}
	for _, b := range s.db.Blocks() {
		out.Bytes += b.Size()
		if at := time.UnixMilli(b.MinTime()); out.Oldest.IsZero() || at.Before(out.Oldest) {
			out.Oldest = at
		}
	}
	if out.Oldest.IsZero() && out.Series > 0 {
		out.Oldest = time.UnixMilli(s.db.Head().MinTime())
	}
	return out, nil
}
