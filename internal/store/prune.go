package store

import (
	"context"
	"fmt"
	"time"

	"naru/internal/pipeline/rollout"
	"naru/internal/run"
)

// Retention says how long the record of what is over is kept. Zero keeps for
// ever.
type Retention struct {
	Operations time.Duration // with their progress, after they ended
	Instances  time.Duration // after they stopped
	Tasks      time.Duration // after they ended
	Rollouts   time.Duration // after they ended; the one that made what runs stays
	Alerts     time.Duration // silences that ended, and what was told to whom
	Events     time.Duration
}

// DefaultRetention keeps a month of what is over, and events for ever: they are
// the audit.
func DefaultRetention() Retention {
	const month = 30 * 24 * time.Hour
	return Retention{Operations: month, Instances: 7 * 24 * time.Hour, Tasks: month, Rollouts: 12 * month, Alerts: month}
}

// Pruned counts what a call of Prune removed.
type Pruned struct{ Operations, Instances, Tasks, Rollouts, Alerts, Events, Tokens int64 }

// pruneBatch bounds the rows that one transaction removes, so that nobody waits
// long for a turn to write.
const pruneBatch = 1000

// Prune removes the record of what has been over for longer than it is kept,
// and tokens that have expired. It takes many short transactions.
func (s *Store) Prune(ctx context.Context, keep Retention) (Pruned, error) {
	var out Pruned
	now := s.opts.Clock()
	for _, p := range []struct {
		count *int64
		age   time.Duration
		sql   string // of the rows to remove; "?0" is the time before which they go, "?1" how many at once
		args  []any
	}{
		{&out.Operations, keep.Operations, `DELETE FROM operations WHERE id IN
			(SELECT id FROM operations WHERE ended > 0 AND ended < ?0 LIMIT ?1)`, nil},
		{&out.Instances, keep.Instances, `DELETE FROM instances WHERE id IN
			(SELECT id FROM instances WHERE state = ?2 AND since < ?0 LIMIT ?1)`, []any{run.Stopped}},
		{&out.Tasks, keep.Tasks, `DELETE FROM tasks WHERE id IN
			(SELECT id FROM tasks WHERE ended > 0 AND ended < ?0 LIMIT ?1)`, nil},
		{&out.Rollouts, keep.Rollouts, `DELETE FROM rollouts WHERE id IN
			(SELECT o.id FROM rollouts o WHERE o.ended > 0 AND o.ended < ?0 AND (o.state <> ?2 OR EXISTS (
				SELECT 1 FROM rollouts n WHERE n.app_id = o.app_id AND n.state = ?2 AND n.number > o.number)) LIMIT ?1)`, []any{rollout.Done}},
		{&out.Alerts, keep.Alerts, `DELETE FROM silences WHERE id IN (SELECT id FROM silences WHERE ends < ?0 LIMIT ?1)`, nil},
		{&out.Alerts, keep.Alerts, `DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE time < ?0 LIMIT ?1)`, nil},
		{&out.Events, keep.Events, `DELETE FROM events WHERE seq IN
			(SELECT seq FROM events WHERE time < ?0 LIMIT ?1)`, nil},
	} {
		if p.age <= 0 {
			continue
		}
		if err := s.pruneAll(ctx, p.count, p.sql, append([]any{stamp{now.Add(-p.age)}, pruneBatch}, p.args...)); err != nil {
			return out, err
		}
	}
	for _, sql := range []string{
		`DELETE FROM refresh_tokens WHERE hash IN (SELECT hash FROM refresh_tokens WHERE expires < ?0 LIMIT ?1)`,
		`DELETE FROM login_codes WHERE hash IN (SELECT hash FROM login_codes WHERE expires < ?0 LIMIT ?1)`,
		`DELETE FROM revoked WHERE id IN (SELECT id FROM revoked WHERE expires < ?0 LIMIT ?1)`,
		`DELETE FROM api_tokens WHERE id IN (SELECT id FROM api_tokens WHERE expires > 0 AND expires < ?0 LIMIT ?1)`,
	} {
		if err := s.pruneAll(ctx, &out.Tokens, sql, []any{stamp{now}, pruneBatch}); err != nil {
			return out, err
		}
	}
	return out, nil
}

// pruneAll repeats a bounded removal until it finds less than a batch.
func (s *Store) pruneAll(ctx context.Context, count *int64, sql string, args []any) error {
	for {
		var n int64
		err := s.write(ctx, nil, func(ctx context.Context, t *tx) error {
			res, err := t.NewRaw(sql, args...).Exec(ctx)
			if err != nil {
				return fmt.Errorf("prune: %w", err)
			}
			n, err = res.RowsAffected()
			return err
		})
		*count += n
		if err != nil || n < pruneBatch {
			return err
		}
	}
}
