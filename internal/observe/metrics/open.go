package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"naru/internal/disk"
)

// Lost is a time of which samples are gone, or not all are there.
type Lost struct {
	What     string // "block 01J…", "what came last"
	From, To time.Time
	Aside    string // folder where it is kept for people to look at; "" where nothing is left
	Cause    string
}

// The sizes of the database. One with few series must not cost a hundred
// megabytes; a head of 200,000 is still found in lists of a hundred.
const (
	blockRange  = 2 * time.Hour
	stripes     = 1 << 11
	segment     = 16 << 20
	chunkBuffer = 512 << 10
	blockFile   = 32 << 20 // taken from the disk as a whole while a block is written
)

// asideDir has what could not be used; only the last is kept.
const asideDir = "aside"

// headDirs have the newest two to three hours.
var headDirs = []string{"wal", "wbl", "chunks_head"}

// open opens the database. What is broken, or of a time that has not come, is set
// aside: today's metrics are worth more than those that nobody can read.
func (s *Store) open(ctx context.Context) (*tsdb.DB, []Lost, error) {
	if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make folder: %w", err)
	}
	var all []Lost
	for {
		db, torn, err := s.try()
		if ctx.Err() != nil {
			if db != nil {
				err = db.Close()
			}
			return nil, all, errors.Join(ctx.Err(), err)
		}
		if err == nil && !s.ahead(db) {
			if torn != nil {
				all = append(all, *torn)
			}
			return db, all, nil
		}
		if disk.Full(err) { // nothing is broken
			return nil, all, err
		}
		var lost []Lost
		if err != nil {
			lost, err = s.setBrokenAside(err)
		} else if err = db.Close(); err == nil {
			lost, err = s.setFutureAside()
		}
		all = append(all, lost...)
		if err != nil {
			return nil, all, err
		}
	}
}

// try opens the database once. torn says what a repair of its log cost.
func (s *Store) try() (db *tsdb.DB, torn *Lost, err error) {
	written := newest(filepath.Join(s.o.Dir, "wal"))
	registry := prometheus.NewRegistry()
	o := tsdb.DefaultOptions()
	o.RetentionDuration = s.o.Retention.Milliseconds()
	o.MaxBytes = s.o.RetentionBytes
	o.MinBlockDuration = blockRange.Milliseconds()
	// A block goes as a whole, so none may be more than a tenth of what is kept.
	o.MaxBlockDuration = max(blockRange, min(31*24*time.Hour, s.o.Retention/10)).Milliseconds()
	o.NoLockfile = true // the data folder has a lock
	o.WALCompression = compression.Snappy
	o.WALSegmentSize = segment
	o.MaxBlockChunkSegmentSize = blockFile
	o.StripeSize = stripes
	o.HeadChunksWriteBufferSize = chunkBuffer
	o.EnableExemplarStorage, o.MaxExemplars = true, mostExemplars
	o.OutOfOrderTimeWindow = s.o.OutOfOrder.Milliseconds()
	o.SeriesLifecycleCallback = s.limits
	var opened *tsdb.DB
	o.BlocksToDelete = func(blocks []*tsdb.Block) map[ulid.ULID]struct{} {
		if opened == nil { // while it is being opened
			return nil
		}
		return s.deletable(opened, blocks)
	}
	db, err = tsdb.Open(s.o.Dir, slog.New(quiet{s.log.Handler()}), registry, o, nil)
	if err != nil {
		return nil, nil, err
	}
	opened = db
	if repaired(registry) {
		from := time.UnixMilli(db.Head().MaxTime())
		if db.Head().NumSeries() == 0 {
			from = written.Add(-blockRange * 3 / 2)
		}
		torn = &Lost{What: "what came last", From: from, To: written, Cause: "the log of what came last was damaged; it was cut off there"}
	}
	return db, torn, nil
}

// deletable are the blocks that go: those beyond what is to be kept, and the
// oldest while the disk is full.
func (s *Store) deletable(db *tsdb.DB, blocks []*tsdb.Block) map[ulid.ULID]struct{} {
	out := tsdb.DefaultBlocksToDelete(db)(blocks)
	if s.o.Full == nil || !s.o.Full() {
		return out
	}
	var oldest *tsdb.Block
	for _, b := range blocks {
		if _, gone := out[b.Meta().ULID]; !gone && (oldest == nil || b.MinTime() < oldest.MinTime()) {
			oldest = b
		}
	}
	if oldest == nil {
		return out
	}
	if out == nil {
		out = map[ulid.ULID]struct{}{}
	}
	s.log.Warn("disk at its limit: the oldest metrics go", "from", time.UnixMilli(oldest.MinTime()).UTC(), "to", time.UnixMilli(oldest.MaxTime()).UTC())
	out[oldest.Meta().ULID] = struct{}{}
	return out
}

// ahead reports that a database has samples of a time so far ahead that what is
// written now would be refused.
func (s *Store) ahead(db *tsdb.DB) bool {
	return db.Head().NumSeries() > 0 && time.UnixMilli(db.Head().MaxTime()).After(s.o.Now().Add(s.o.OutOfOrder))
}

// setBrokenAside moves away what keeps the database from being opened: broken
// blocks, and where there are none the newest hours.
func (s *Store) setBrokenAside(cause error) ([]Lost, error) {
	return s.setAside(cause.Error(), func(dir string, _ meta) bool {
		b, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, nil, nil)
		if err == nil {
			err = b.Close()
		}
		return err != nil
	}, false)
}

// setFutureAside moves away what is of a time that has not come.
func (s *Store) setFutureAside() ([]Lost, error) {
	limit := s.o.Now().Add(s.o.OutOfOrder + blockRange).UnixMilli()
	return s.setAside("the clock was set back", func(_ string, m meta) bool { return m.MaxTime > limit }, true)
}

// meta is the part of a block's meta.json that says its time.
type meta struct {
	MinTime int64 `json:"minTime"`
	MaxTime int64 `json:"maxTime"`
}

// setAside moves blocks away, and the head where it is asked for or where no
// block was chosen.
func (s *Store) setAside(cause string, chosen func(dir string, m meta) bool, head bool) (lost []Lost, err error) {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return nil, err
	}
	aside := filepath.Join(s.o.Dir, asideDir)
	if err := os.RemoveAll(aside); err != nil {
		return nil, err
	}
	if err := os.Mkdir(aside, 0o700); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, err := ulid.ParseStrict(e.Name()); err != nil || !e.IsDir() {
			continue
		}
		dir, m := filepath.Join(s.o.Dir, e.Name()), meta{}
		if text, err := os.ReadFile(filepath.Join(dir, "meta.json")); err == nil {
			_ = json.Unmarshal(text, &m) // its time is not known then
		}
		if !chosen(dir, m) {
			continue
		}
		if err := os.Rename(dir, filepath.Join(aside, e.Name())); err != nil {
			return lost, err
		}
		lost = append(lost, Lost{What: "block " + e.Name(), From: millis(m.MinTime), To: millis(m.MaxTime), Aside: aside, Cause: cause})
	}
	if len(lost) > 0 && !head {
		return lost, nil
	}
	moved := false
	to := newest(filepath.Join(s.o.Dir, "wal"))
	for _, e := range entries {
		name := e.Name()
		if name != headDirs[0] && name != headDirs[1] && name != headDirs[2] && !strings.HasPrefix(name, "chunk_snapshot.") {
			continue
		}
		if err := os.Rename(filepath.Join(s.o.Dir, name), filepath.Join(aside, name)); err != nil {
			return lost, err
		}
		moved = true
	}
	if !moved && len(lost) == 0 {
		return nil, fmt.Errorf("nothing is broken, and yet: %s", cause)
	}
	return append(lost, Lost{What: "what came last", From: to.Add(-blockRange * 3 / 2), To: to, Aside: aside, Cause: cause}), nil
}

// millis is a time of the database; zero where it is not known.
func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// newest is when anything in a folder was last written.
func newest(dir string) (at time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return at
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return at.UTC()
}

// repaired reports whether opening cut off a damaged log.
func repaired(r *prometheus.Registry) bool {
	all, err := r.Gather()
	if err != nil {
		return false
	}
	for _, f := range all {
		if f.GetName() == "prometheus_tsdb_wal_corruptions_total" {
			return f.GetMetric()[0].GetCounter().GetValue() > 0
		}
	}
	return false
}

// quiet makes the database's own running commentary debug messages.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return q.Handler.Enabled(ctx, softer(l))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = softer(r.Level)
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }

func softer(l slog.Level) slog.Level {
	if l == slog.LevelInfo {
		return slog.LevelDebug
	}
	return l
}
