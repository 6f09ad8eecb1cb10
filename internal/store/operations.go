package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
)

type operationRow struct {
	bun.BaseModel `bun:"table:operations"`

	ID       operation.ID    `bun:"id,pk"`
	Number   int64           `bun:"number"` // rising: which of two was asked for first
	Kind     operation.Kind  `bun:"kind"`
	Space    app.SpaceID     `bun:"space_id"`
	App      app.ID          `bun:"app_id"`
	Subject  string          `bun:"subject"`
	Actor    string          `bun:"actor"`
	Key      string          `bun:"idem_key"`
	Request  raw             `bun:"request"`
	Memory   raw             `bun:"memory"`
	State    operation.State `bun:"state"`
	Error    doc[*reason]    `bun:"error"`
	Result   raw             `bun:"result"`
	Cancel   bool            `bun:"cancel"`
	Attempts int             `bun:"attempts"`
	Lines    int64           `bun:"lines"` // of progress so far
	Created  stamp           `bun:"created"`
	Started  stamp           `bun:"started"`
	Ended    stamp           `bun:"ended"`
}

// reason is a fault without its cause, which is for the log only.
type reason struct {
	Kind    fault.Kind `json:"kind"`
	Field   string     `json:"field,omitempty"`
	Message string     `json:"message"`
	Try     string     `json:"try,omitempty"`
}

func reasonOf(f *fault.Error) *reason {
	if f == nil {
		return nil
	}
	return &reason{f.Kind, f.Field, f.Message, f.Try}
}

func (r *reason) fault() *fault.Error {
	if r == nil {
		return nil
	}
	return &fault.Error{Kind: r.Kind, Field: r.Field, Message: r.Message, Try: r.Try}
}

func (r operationRow) operation() operation.Operation {
	return operation.Operation{
		ID: r.ID, Kind: r.Kind, Space: r.Space, App: r.App, Subject: r.Subject, Actor: r.Actor, Key: r.Key,
		Request: json.RawMessage(r.Request), Memory: json.RawMessage(r.Memory),
		State: r.State, Error: r.Error.V.fault(), Result: json.RawMessage(r.Result),
		Cancel: r.Cancel, Attempts: r.Attempts,
		Created: r.Created.Time, Started: r.Started.Time, Ended: r.Ended.Time,
	}
}

func noOperation(id operation.ID) *fault.Error {
	return fault.New(fault.NotFound, "operation", "operation %s does not exist", id).WithTry("naru operations")
}

// AddOperation stores an operation as Queued, Created filled in. When its actor
// already asked for the same under the same key, that operation is returned
// instead and no event is appended; asking for something else under a used key
// is a Conflict. The request must hold no secret: it is stored as it is.
func (s *Store) AddOperation(ctx context.Context, op operation.Operation, evs ...event.Event) (operation.Operation, error) {
	if op.Subject == "" || op.Actor == "" {
		return op, errors.New("add operation: it needs a subject and an actor")
	}
	err := s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		if op.Key != "" {
			var same operationRow
			err := t.NewSelect().Model(&same).Where("actor = ? AND kind = ? AND idem_key = ?", op.Actor, op.Kind, op.Key).Scan(ctx)
			err = found(err, noOperation(op.ID), "look for operation")
			if err == nil {
				if same.Subject != op.Subject || !sameJSON(same.Request, raw(op.Request)) {
					return fault.New(fault.Conflict, "Idempotency-Key", "the key %q was used for another request", op.Key).
						WithTry("repeat the first request, or use a fresh key")
				}
				op = same.operation()
				return nil
			}
			if !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		number, err := t.next(ctx, "", "operation")
		if err != nil {
			return err
		}
		op.State, op.Created = operation.Queued, t.Now
		t.about(op.Space, op.App)
		t.touch(OperationTopic(op.ID))
		_, err = t.NewInsert().Model(&operationRow{
			ID: op.ID, Number: number, Kind: op.Kind, Space: op.Space, App: op.App, Subject: op.Subject,
			Actor: op.Actor, Key: op.Key, Request: raw(op.Request), Memory: raw(op.Memory), State: op.State,
			Created: stamp{t.Now},
		}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("add operation: %w", err)
		}
		return t.append(ctx, evs)
	})
	return op, err
}

// sameJSON compares two texts as JSON: spaces and the order of keys say nothing.
func sameJSON(a, b raw) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	one, err := json.Marshal(x)
	if err != nil {
		return false
	}
	two, err := json.Marshal(y)
	return err == nil && bytes.Equal(one, two)
}

// Operation returns an operation by id.
func (s *Store) Operation(ctx context.Context, id operation.ID) (operation.Operation, error) {
	row, err := operationByID(ctx, s.read(ctx), id)
	return row.operation(), err
}

func operationByID(ctx context.Context, db bun.IDB, id operation.ID) (row operationRow, err error) {
	err = db.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	return row, found(err, noOperation(id), "find operation")
}

// Operations lists operations, newest first.
func (s *Store) Operations(ctx context.Context, f operation.Filter) ([]operation.Operation, error) {
	var rows []operationRow
	q := s.read(ctx).NewSelect().Model(&rows).Order("number DESC")
	if f.Space != "" {
		q.Where("space_id = ?", f.Space)
	}
	if f.App != "" {
		q.Where("app_id = ?", f.App)
	}
	if f.State != "" {
		q.Where("state = ?", f.State)
	}
	if f.Before != "" {
		q.Where("number < (SELECT number FROM operations WHERE id = ?)", f.Before)
	}
	if f.Limit > 0 {
		q.Limit(int64(f.Limit))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	return each(rows, operationRow.operation), nil
}

// TakeOperation moves the oldest queued operation, whose subject no running
// operation has, to Running and returns it; false where there is none.
func (s *Store) TakeOperation(ctx context.Context) (op operation.Operation, ok bool, err error) {
	// Looking costs a reader nothing; only when there is work a writer's turn is taken.
	if row, err := nextOperation(ctx, s.read(ctx)); err != nil || row == nil {
		return op, false, err
	}
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := nextOperation(ctx, t.Tx)
		if err != nil || row == nil {
			return err
		}
		row.State, row.Started, row.Attempts = operation.Running, stamp{t.Now}, 1
		t.about(row.Space, row.App)
		t.touch(OperationTopic(row.ID))
		if _, err := t.NewUpdate().Model(row).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("take operation: %w", err)
		}
		op, ok = row.operation(), true
		return nil
	})
	return op, ok && err == nil, err
}

// nextOperation finds the operation to take, nil where there is none.
func nextOperation(ctx context.Context, db bun.IDB) (*operationRow, error) {
	var rows []operationRow
	err := db.NewSelect().Model(&rows).ModelTableExpr("operations AS q").ColumnExpr("q.*").
		Where("q.state = ?", operation.Queued).
		Where("NOT EXISTS (SELECT 1 FROM operations r WHERE r.subject = q.subject AND r.state = 'running')").
		Order("q.number").Limit(1).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for an operation: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// RetakeOperations returns all Running operations, oldest first, each with one
// attempt more: what a process that died was doing. It must be called once, by
// the one process that carries out operations, before it takes others.
func (s *Store) RetakeOperations(ctx context.Context) (ops []operation.Operation, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		var rows []operationRow
		if err := t.NewSelect().Model(&rows).Where("state = ?", operation.Running).Order("number").Scan(ctx); err != nil {
			return fmt.Errorf("find running operations: %w", err)
		}
		for i := range rows {
			rows[i].Attempts++
			if _, err := t.NewUpdate().Model(&rows[i]).Column("attempts").WherePK().Exec(ctx); err != nil {
				return fmt.Errorf("take up operation %s again: %w", rows[i].ID, err)
			}
		}
		ops = each(rows, operationRow.operation)
		return nil
	})
	return ops, err
}

// EndOperation moves a Running operation to an ended state and appends lines.
// Ending it again in the same state changes nothing: who asks twice did not hear
// the first answer.
func (s *Store) EndOperation(ctx context.Context, id operation.ID, to operation.State, why *fault.Error, result json.RawMessage, lines []operation.Progress) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := operationByID(ctx, t.Tx, id)
		if err != nil || row.State == to && to.Ended() {
			return err
		}
		if !to.Ended() {
			return fmt.Errorf("end operation %s: %s is no end", id, to)
		}
		if err := checkMove("operation "+string(id), row.State, to); err != nil {
			return err
		}
		t.about(row.Space, row.App)
		if err := t.report(ctx, &row, lines); err != nil {
			return err
		}
		row.State, row.Error, row.Result, row.Ended = to, doc[*reason]{reasonOf(why)}, raw(result), stamp{t.Now}
		if _, err := t.NewUpdate().Model(&row).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("end operation %s: %w", id, err)
		}
		return t.append(ctx, []event.Event{ended(row)})
	})
}

func ended(row operationRow) event.Event {
	detail := map[string]any{"operation": string(row.ID), "kind": string(row.Kind)}
	if why := row.Error.V; why != nil {
		detail["reason"] = why.Message
	}
	return event.Event{
		Kind: event.Kind("operation." + string(row.State)), Actor: row.Actor, Subject: string(row.Kind), Detail: detail,
	}
}

// CancelOperation stores the wish that an operation ends early: a queued one is
// Canceled at once, a running one is told by Cancel. One that has ended is a
// Conflict.
func (s *Store) CancelOperation(ctx context.Context, by operation.Ask, id operation.ID) (op operation.Operation, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row, err := operationByID(ctx, t.Tx, id)
		if err != nil {
			return err
		}
		switch {
		case row.State.Ended():
			return fault.New(fault.Conflict, "operation", "the operation has ended already: it is %s", row.State)
		case row.Cancel:
			op = row.operation()
			return nil
		case row.State == operation.Queued:
			row.State, row.Ended = operation.Canceled, stamp{t.Now}
		}
		row.Cancel = true
		t.about(row.Space, row.App)
		t.touch(OperationTopic(id))
		if _, err := t.NewUpdate().Model(&row).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("cancel operation %s: %w", id, err)
		}
		op = row.operation()
		return t.append(ctx, []event.Event{{
			Kind: "operation.cancel", Actor: by.Actor, Subject: string(row.Kind), Detail: map[string]any{"operation": string(id)},
		}})
	})
	return op, err
}
