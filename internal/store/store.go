// Package store keeps what the steps know, durably: it fulfils their Store
// interfaces over SQLite or PostgreSQL, with one code for both.
//
// Reading it:
//
//   - One method is one transaction, and the transaction reads the clock once.
//     Together makes one transaction of several methods.
//   - One writer at a time, on both engines: a method that reads and then writes
//     (the next release number, the next operation to work on) needs no retry.
//   - A write takes the events that record it and appends them in its own
//     transaction. Seq and Time are filled in; Space and App where they are empty.
//   - When a write returns nil, it is synced to disk.
//   - Errors for people are faults: NotFound and Conflict name what and the way out.
//   - Rows never leave the package; what comes out are the steps' own types.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// Options say how a Store is opened. The zero value is good.
type Options struct {
	// Clock tells the time of a transaction; nil means time.Now.
	Clock func() time.Time

	// AfterCommit is called after every durable commit of this Store with its
	// number, counted from 1, before the writer hears of it and before the next
	// write begins. It must not use the Store. Kill tests end the process in it.
	AfterCommit func(n int64)

	// Readers bounds connections that only read; 0 means 8.
	Readers int

	// Busy is how long to wait for another process that holds the database;
	// 0 means 10 s.
	Busy time.Duration

	// Log receives what is not an error of a call; nil discards.
	Log *slog.Logger
}

func (o Options) filled() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Readers <= 0 {
		o.Readers = 8
	}
	if o.Busy <= 0 {
		o.Busy = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store is an open database. Its methods may be called from many goroutines.
type Store struct {
	engine engine
	writer *bun.DB
	reader *bun.DB
	opts   Options
	turn   chan struct{} // holds one token: whoever has it writes
	count  int64         // commits so far; guarded by turn
	wake   wakeups
}

// Open opens the database and brings its schema up to date. where is a file
// path for SQLite, or a "postgres://" URL. A schema that is too new for this
// binary is a fault that names both versions.
func Open(ctx context.Context, where string, opts Options) (_ *Store, err error) {
	opts = opts.filled()
	s := &Store{opts: opts, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	open := openSQLite
	if strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://") {
		open = openPostgres
	}
	if s.engine, s.writer, s.reader, err = open(ctx, where, opts); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.Close())
	}
	return s, nil
}

// Close waits for the write in progress and closes all connections. Calls after
// it fail.
func (s *Store) Close() error {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	err := s.reader.Close()
	if s.writer != s.reader {
		err = errors.Join(err, s.writer.Close())
	}
	return err
}

// Engine names the engine: "sqlite" or "postgres".
func (s *Store) Engine() string { return s.engine.name() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.reader.PingContext(ctx); err != nil {
		return s.explain(fmt.Errorf("ping store: %w", err))
	}
	return nil
}
