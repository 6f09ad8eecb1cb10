package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/store"
)

// newOperation queues an operation.
func (w world) newOperation(t testing.TB, subject, key string) operation.Operation {
	t.Helper()
	op, err := w.AddOperation(t.Context(), operation.Operation{
		ID: operation.ID(id.New()), Kind: "push", Space: w.space.ID, App: w.app.ID, Subject: subject, Actor: "ada", Key: key,
		Request: json.RawMessage(`{"a": 1, "b": [2]}`),
	}, happened("push.asked", subject))
	must(t, err)
	return op
}

// operations: one at a time for each subject, in order, and none twice.
func operations(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	take := func() (operation.Operation, bool) {
		t.Helper()
		op, ok, err := w.TakeOperation(ctx)
		must(t, err)
		return op, ok
	}
	end := func(op operation.Operation, to operation.State) {
		t.Helper()
		must(t, w.EndOperation(ctx, op.ID, to, nil, nil, nil))
	}

	t.Run("one at a time for each subject, oldest first", func(t *testing.T) {
		one, two, three := w.newOperation(t, "x", ""), w.newOperation(t, "x", ""), w.newOperation(t, "y", "")
		first, _ := take()
		second, _ := take()
		if first.ID != one.ID || second.ID != three.ID || first.State != operation.Running || first.Attempts != 1 {
			t.Fatalf("took %+v and %+v", first, second)
		}
		if op, ok := take(); ok {
			t.Fatalf("took %+v beside another of its subject", op)
		}
		end(first, operation.Done)
		if op, ok := take(); !ok || op.ID != two.ID {
			t.Fatalf("took %+v, %v, want the second of x", op, ok)
		}
		left, err := w.RetakeOperations(ctx)
		must(t, err)
		if len(left) != 2 || left[0].ID != two.ID || left[0].Attempts != 2 {
			t.Errorf("left = %+v", left)
		}
		end(two, operation.Failed)
		end(three, operation.Canceled)
	})

	t.Run("asking twice is asking once", func(t *testing.T) {
		op := w.newOperation(t, "idem", "key")
		before := len(kinds(t, w.Store))
		same := op
		same.ID, same.Request = operation.ID(id.New()), json.RawMessage(`{"b":[2],"a":1}`)
		got, err := w.AddOperation(ctx, same, happened("push.asked", "idem"))
		if err != nil || got.ID != op.ID || len(kinds(t, w.Store)) != before {
			t.Errorf("asked again: %+v, %v", got, err)
		}
		same.Request = json.RawMessage(`{"a":2}`)
		_, err = w.AddOperation(ctx, same)
		if f := mustBe(t, err, fault.Conflict); f.Field != "Idempotency-Key" {
			t.Errorf("err = %v", f)
		}
		same.Actor = "bob"
		if _, err := w.AddOperation(ctx, same); err != nil {
			t.Errorf("another's key: %v", err)
		}
	})

	t.Run("progress is numbered and memory kept", func(t *testing.T) {
		for { // what earlier parts left
			op, ok := take()
			if !ok {
				break
			}
			end(op, operation.Done)
		}
		queued := w.newOperation(t, "z", "")
		op, _ := take()
		lines := []operation.Progress{
			{Step: "build", Status: operation.StepStarted, Text: "node \x00\xff", Took: app.Duration(time.Second), Data: json.RawMessage(`{"n":1}`)},
			{Step: "build", Status: operation.StepDone},
		}
		must(t, w.ReportOperation(ctx, op.ID, json.RawMessage(`{"built":true}`), lines))
		must(t, w.ReportOperation(ctx, op.ID, nil, lines[:1]))
		got, err := w.Progress(ctx, op.ID, 1, 10)
		must(t, err)
		if len(got) != 2 || got[0].Seq != 2 || got[1].Seq != 3 || got[1].Text != "node \uFFFD" || string(got[1].Data) != `{"n":1}` || got[1].Time.IsZero() {
			t.Errorf("progress = %+v", got)
		}
		why := fault.New(fault.Failed, "build", "npm ended with 1").WithTry("look above").WithCause(errors.New("secret cause"))
		must(t, w.EndOperation(ctx, op.ID, operation.Failed, why, json.RawMessage(`{}`), lines[1:]))
		must(t, w.EndOperation(ctx, op.ID, operation.Failed, why, json.RawMessage(`{}`), lines[1:])) // the answer was lost
		saved, err := w.Operation(ctx, queued.ID)
		must(t, err)
		if string(saved.Memory) != `{"built":true}` || saved.Error.Message != "npm ended with 1" || saved.Error.Err != nil || saved.Ended.IsZero() {
			t.Errorf("saved %+v", saved)
		}
		if got, err := w.Progress(ctx, op.ID, 0, 10); err != nil || len(got) != 4 {
			t.Errorf("%d lines, %v, want 4", len(got), err)
		}
		mustBe(t, w.ReportOperation(ctx, op.ID, nil, lines), fault.Conflict)
		mustBe(t, w.EndOperation(ctx, op.ID, operation.Done, nil, nil, nil), fault.Conflict)
		must(t, w.AwaitProgress(ctx, op.ID, 99)) // it has ended
	})

	t.Run("waiting for progress", func(t *testing.T) {
		op := w.newOperation(t, "wait", "")
		done := make(chan error, 1)
		go func() { done <- w.AwaitProgress(context.WithoutCancel(ctx), op.ID, 0) }()
		must(t, w.ReportOperation(ctx, op.ID, nil, []operation.Progress{{Step: "source"}}))
		must(t, <-done)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := w.AwaitProgress(gone, op.ID, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	})

	t.Run("canceling", func(t *testing.T) {
		by := operation.Ask{Actor: "bob"}
		queued := w.newOperation(t, "c", "")
		op, err := w.CancelOperation(ctx, by, queued.ID)
		if err != nil || op.State != operation.Canceled || op.Ended.IsZero() {
			t.Errorf("canceled %+v, %v", op, err)
		}
		_, err = w.CancelOperation(ctx, by, queued.ID)
		mustBe(t, err, fault.Conflict)
		last, err := w.EventsBefore(ctx, "", "", "operation.cancel", 0, 1)
		if err != nil || len(last) != 1 || last[0].Actor != "bob" {
			t.Errorf("events = %+v, %v", last, err)
		}
	})

	t.Run("saved, read and moved on, from every state to every other", func(t *testing.T) { operationStates(t, w) })

	t.Run("pages", func(t *testing.T) {
		all, err := w.Operations(ctx, operation.Filter{App: w.app.ID})
		must(t, err)
		page, err := w.Operations(ctx, operation.Filter{Space: w.space.ID, Before: all[1].ID, Limit: 2})
		must(t, err)
		if len(page) != 2 || page[0].ID != all[2].ID || page[1].ID != all[3].ID {
			t.Errorf("page = %v", page)
		}
		ended, err := w.Events(ctx, store.EventFilter{Kinds: []event.Kind{"operation.failed"}})
		if err != nil || len(ended) == 0 || ended[0].App != string(w.app.ID) {
			t.Errorf("events = %+v, %v", ended, err)
		}
	})
}

func operationStates(t *testing.T, w world) {
	ctx := t.Context()
	for _, from := range []operation.State{operation.Queued, operation.Running, operation.Done, operation.Failed, operation.Canceled} {
		for _, to := range []operation.State{operation.Done, operation.Failed, operation.Canceled} {
			op := w.newOperation(t, "states "+id.New(), "")
			if from != operation.Queued {
				for ok := true; ok; { // others may be queued before it
					taken, more, err := w.TakeOperation(ctx)
					must(t, err)
					ok = more && taken.ID != op.ID
				}
				if from != operation.Running {
					must(t, w.EndOperation(ctx, op.ID, from, nil, nil, nil))
				}
			}
			if saved, err := w.Operation(ctx, op.ID); err != nil || saved.State != from {
				t.Fatalf("read %+v, %v, want state %s", saved, err, from)
			}
			err := w.EndOperation(ctx, op.ID, to, nil, nil, nil)
			if want := from == to || from.CanBecome(to); (err == nil) != want {
				t.Errorf("%s to %s: err = %v, want it to be possible: %v", from, to, err, want)
			}
		}
	}
}
