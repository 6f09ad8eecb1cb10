package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
)

type progressRow struct {
	bun.BaseModel `bun:"table:progress"`

	Operation operation.ID     `bun:"operation_id,pk"`
	Seq       int64            `bun:"seq,pk"`
	Time      stamp            `bun:"time"`
	Step      string           `bun:"step"`
	Status    operation.Status `bun:"status"`
	Text      string           `bun:"line"`
	Took      int64            `bun:"took"`
	Data      raw              `bun:"data"`
}

func (r progressRow) progress() operation.Progress {
	return operation.Progress{
		Operation: r.Operation, Seq: r.Seq, Time: r.Time.Time, Step: r.Step, Status: r.Status,
		Text: r.Text, Took: app.Duration(r.Took), Data: json.RawMessage(r.Data),
	}
}

// ReportOperation appends progress lines, which get their Seq and, where it is
// zero, their Time, and replaces the operation's memory when memory is not nil.
// An operation that has ended reports nothing more: a Conflict. Lines alone are
// refused while the disk is full: they may wait, what must be written may not.
func (s *Store) ReportOperation(ctx context.Context, id operation.ID, memory json.RawMessage, lines []operation.Progress) error {
	if memory == nil {
		if err := s.engine.spare(ctx); err != nil {
			return err
		}
	}
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := operationByID(ctx, t.Tx, id)
		if err != nil {
			return err
		}
		if row.State.Ended() {
			return fault.New(fault.Conflict, "operation", "operation %s has ended", id)
		}
		if err := t.report(ctx, &row, lines); err != nil {
			return err
		}
		q := t.NewUpdate().Model(&row).Column("lines").WherePK()
		if memory != nil {
			row.Memory = raw(memory)
			q.Column("memory")
		}
		if _, err := q.Exec(ctx); err != nil {
			return fmt.Errorf("report operation %s: %w", id, err)
		}
		return nil
	})
}

// report adds lines and counts them in row, which the caller writes.
func (t *tx) report(ctx context.Context, row *operationRow, lines []operation.Progress) error {
	t.touch(OperationTopic(row.ID))
	if len(lines) == 0 {
		return nil
	}
	rows := make([]progressRow, len(lines))
	for i, l := range lines {
		row.Lines++
		if l.Time.IsZero() {
			l.Time = t.Now
		}
		rows[i] = progressRow{
			Operation: row.ID, Seq: row.Lines, Time: stamp{l.Time}, Step: l.Step, Status: l.Status,
			Text: clean(l.Text), Took: int64(l.Took), Data: raw(l.Data),
		}
	}
	if _, err := t.NewInsert().Model(&rows).Exec(ctx); err != nil {
		return fmt.Errorf("report operation %s: %w", row.ID, err)
	}
	return nil
}

// Progress returns at most limit lines of an operation with a Seq above after.
func (s *Store) Progress(ctx context.Context, id operation.ID, after int64, limit int) ([]operation.Progress, error) {
	var rows []progressRow
	err := s.read(ctx).NewSelect().Model(&rows).Where("operation_id = ? AND seq > ?", id, after).Order("seq").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	return each(rows, progressRow.progress), nil
}

// AwaitProgress returns when the operation has a line above after, or has ended;
// or with the context's error.
func (s *Store) AwaitProgress(ctx context.Context, id operation.ID, after int64) error {
	sub := s.Listen(OperationTopic(id)) // before looking, so that nothing falls in between
	defer sub.Close()
	for {
		row, err := operationByID(ctx, s.read(ctx), id)
		if err != nil || row.Lines > after || row.State.Ended() {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sub.C:
		}
	}
}
