package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
)

// tx is a transaction that writes. Now is when it began, read once.
type tx struct {
	bun.Tx
	Now     time.Time
	space   app.SpaceID // what the write is about, for its events
	app     app.ID
	touched map[Topic]bool
	broken  error // a write that failed after it may have changed something
}

// about says what the write concerns: its events get the space and app they
// lack, and who waits for the app wakes up.
func (t *tx) about(space app.SpaceID, a app.ID) {
	t.space, t.app = space, a
	if a != "" {
		t.touch(AppTopic(a))
	}
}

func (t *tx) touch(topics ...Topic) {
	for _, topic := range topics {
		t.touched[topic] = true
	}
}

// joined is the key under which Together keeps a store's transaction.
type joined struct{ s *Store }

// Together makes one transaction of all the writes that do makes with the
// context it is given, and shows them to its reads; on any error none of them
// has happened, also when do swallows the error of a write. The context must not
// be used after do has returned, nor by two goroutines at once. Everybody else's
// writes wait meanwhile: do must neither wait nor talk to a network.
func (s *Store) Together(ctx context.Context, do func(ctx context.Context) error) error {
	if s.joined(ctx) != nil {
		return do(ctx)
	}
	return s.begin(ctx, func(ctx context.Context, _ *tx) error { return do(ctx) })
}

func (s *Store) joined(ctx context.Context) *tx {
	t, _ := ctx.Value(joined{s}).(*tx)
	return t
}

// read returns where to read: in the caller's transaction if there is one.
func (s *Store) read(ctx context.Context) bun.IDB {
	if t := s.joined(ctx); t != nil {
		return t.Tx
	}
	return s.reader
}

// write runs do and appends the events, in the caller's transaction or in one
// of its own.
func (s *Store) write(ctx context.Context, evs []event.Event, do func(ctx context.Context, t *tx) error) error {
	if t := s.joined(ctx); t != nil {
		return s.part(ctx, t, evs, do)
	}
	return s.begin(ctx, func(ctx context.Context, t *tx) error { return s.part(ctx, t, evs, do) })
}

func (s *Store) part(ctx context.Context, t *tx, evs []event.Event, do func(ctx context.Context, t *tx) error) error {
	space, a := t.space, t.app // of a write around this one
	defer func() { t.space, t.app = space, a }()
	t.space, t.app = "", ""
	err := do(ctx, t)
	if err == nil {
		err = t.append(ctx, evs)
	}
	if err != nil {
		err = s.explain(err)
		t.broken = errors.Join(t.broken, err)
	}
	return err
}

// begin waits for its turn, runs do in a transaction and commits.
func (s *Store) begin(ctx context.Context, do func(ctx context.Context, t *tx) error) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return fmt.Errorf("wait to write: %w", context.Cause(ctx))
	}
	t, err := s.commit(ctx, do)
	if err == nil {
		s.wake.send(t.touched)
	}
	return err
}

// commit has the turn and gives it back, also when do panics.
func (s *Store) commit(ctx context.Context, do func(ctx context.Context, t *tx) error) (*tx, error) {
	defer func() { s.turn <- struct{}{} }()
	s.engine.makeRoom()
	raw, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, s.explain(fmt.Errorf("begin: %w", err))
	}
	done := false
	defer func() {
		if !done { // an error, or a panic on its way up
			_ = raw.Rollback() // the reason is already known; a broken connection rolls back by itself
		}
	}()
	if err := s.engine.lock(ctx, raw); err != nil {
		return nil, s.explain(fmt.Errorf("lock: %w", err))
	}
	t := &tx{Tx: raw, Now: s.opts.Clock().UTC(), touched: map[Topic]bool{}}
	if err := do(context.WithValue(ctx, joined{s}, t), t); err != nil {
		return nil, err
	}
	if t.broken != nil {
		return nil, fmt.Errorf("a part of the transaction failed: %w", t.broken)
	}
	if err := raw.Commit(); err != nil {
		return nil, s.explain(fmt.Errorf("commit: %w", err))
	}
	done = true
	s.engine.refill()
	s.count++
	if s.opts.AfterCommit != nil {
		s.opts.AfterCommit(s.count)
	}
	return t, nil
}

// next gives out the next number of an owner, from 1; a number is never given
// out twice, whatever is deleted.
func (t *tx) next(ctx context.Context, owner, name string) (n int64, err error) {
	err = t.NewRaw(`INSERT INTO counters (owner, name, value) VALUES (?, ?, 1)
		ON CONFLICT (owner, name) DO UPDATE SET value = counters.value + 1 RETURNING value`, owner, name).Scan(ctx, &n)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", name, err)
	}
	return n, nil
}
