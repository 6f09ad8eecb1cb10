package api

import (
	"context"
	"errors"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
)

type operationsInput struct {
	PageInput
	App   string `query:"app" doc:"app id; absent: all"`
	State string `query:"state" enum:"queued,running,done,failed,canceled" doc:"absent: all"`
}

func (s *server) listOperations(ctx context.Context, in *operationsInput) (out client.List[client.Operation], err error) {
	size, err := s.size(in.PageInput)
	if err != nil {
		return out, err
	}
	if in.After != "" && !id.Valid(in.After) {
		return out, fault.New(fault.Invalid, "after", "%q is not what next was", in.After)
	}
	ops, err := s.Operations.Operations(ctx, operation.Filter{
		Space: at(ctx).space.ID, App: app.ID(in.App), State: operation.State(in.State), Before: operation.ID(in.After), Limit: size + 1,
	})
	return cut(ops, size, operationOf, func(o operation.Operation) string { return string(o.ID) }), err
}

func (s *server) getOperation(ctx context.Context, _ *nothing) (client.Operation, error) {
	return operationOf(at(ctx).operation), nil
}

func (s *server) cancelOperation(ctx context.Context, _ *nothing) (client.Operation, error) {
	op, err := s.Operations.CancelOperation(ctx, requestOf(ctx).by(), at(ctx).operation.ID)
	return operationOf(op), err
}

type followInput struct {
	After  int64 `query:"after" minimum:"0" doc:"only lines with a higher seq"`
	Follow bool  `query:"follow" doc:"go on until the operation has ended"`
}

// maxBatch bounds the lines that are fetched at once.
const maxBatch = 500

func (s *server) followOperation(ctx context.Context, in *followInput, st *stream) error {
	op, last := at(ctx).operation.ID, in.After
	for {
		// The end is looked for before the lines are, because an operation gets its
		// last lines no later than its end.
		now, err := s.Operations.Operation(ctx, op)
		if err != nil {
			return err
		}
		lines, err := s.Operations.Progress(ctx, op, last, maxBatch)
		if err != nil {
			return err
		}
		for _, l := range lines {
			last = l.Seq
			if err := st.line(progressOf(l)); err != nil {
				return err
			}
		}
		switch {
		case len(lines) == maxBatch:
			continue
		case now.State.Ended():
			wire := operationOf(now)
			return st.line(client.Progress{Time: time.Now().UTC(), Status: client.StreamEnded, Ended: &wire})
		case !in.Follow:
			return nil
		}
		if err := st.flush(); err != nil {
			return err
		}
		if err := s.awaitProgress(ctx, op, last, st); err != nil {
			return err
		}
	}
}

// awaitProgress waits for news of an operation and says meanwhile that the
// server is alive.
func (s *server) awaitProgress(ctx context.Context, op operation.ID, last int64, st *stream) error {
	for {
		beat, cancel := context.WithTimeout(ctx, s.cfg.Heartbeat)
		err := s.Operations.AwaitProgress(beat, op, last)
		silent := beat.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			return nil
		case !silent && !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		if err := st.line(client.Progress{Time: time.Now().UTC(), Status: client.StreamAlive}); err != nil {
			return err
		}
		if err := st.flush(); err != nil {
			return err
		}
	}
}

type eventsInput struct {
	PageInput
	App  string `query:"app" doc:"app id; absent: all"`
	Kind string `query:"kind" maxLength:"100" doc:"app.created, or app. for all that begin so; absent: all"`
}

func (s *server) listEvents(ctx context.Context, in *eventsInput) (out client.List[client.Event], err error) {
	size, err := s.size(in.PageInput)
	if err != nil {
		return out, err
	}
	before, err := in.number()
	if err != nil {
		return out, err
	}
	evs, err := s.Events.EventsBefore(ctx, at(ctx).space.ID, app.ID(in.App), event.Kind(in.Kind), before, size+1)
	return cut(evs, size, eventOf, func(e event.Event) string { return itoa(e.Seq) }), err
}
