package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"
)

// Operation is long work: it was stored before it was answered, goes on after
// any crash of the server, and tells how it goes.
type Operation struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind" doc:"push, scale, ..."`
	State     string          `json:"state" enum:"queued,running,done,failed,canceled"`
	SpaceID   string          `json:"space_id,omitempty" doc:"absent for the platform"`
	AppID     string          `json:"app_id,omitempty"`
	Subject   string          `json:"subject" doc:"what it works on; operations on one subject go one after the other"`
	Actor     string          `json:"actor" doc:"who asked"`
	Error     *Fault          `json:"error,omitempty" doc:"why it failed"`
	Result    json.RawMessage `json:"result,omitempty" doc:"what came out, by kind"`
	Canceling bool            `json:"canceling,omitempty" doc:"somebody asked to stop"`
	CreatedAt time.Time       `json:"created_at"`
	StartedAt time.Time       `json:"started_at,omitzero"`
	EndedAt   time.Time       `json:"ended_at,omitzero"`
}

// States of an operation.
const (
	OperationQueued   = "queued"
	OperationRunning  = "running"
	OperationDone     = "done"
	OperationFailed   = "failed"
	OperationCanceled = "canceled"
)

// Ended reports that nothing more will happen.
func (o Operation) Ended() bool {
	return o.State == OperationDone || o.State == OperationFailed || o.State == OperationCanceled
}

// Decode reads the result of an operation that was done.
func (o Operation) Decode(result any) error {
	if err := json.Unmarshal(o.Result, result); err != nil {
		return fmt.Errorf("read the result of operation %s: %w", o.ID, err)
	}
	return nil
}

// Err says why the operation did not end well; nil where it did or goes on.
func (o Operation) Err() error {
	switch {
	case o.Error != nil:
		return o.Error.Err()
	case o.State == OperationFailed || o.State == OperationCanceled:
		return (&Fault{Kind: "failed", Message: "the operation " + o.Kind + " was " + o.State}).Err()
	}
	return nil
}

// Progress is one line of what an operation reports. In a stream a line without
// Seq says that the server is alive, or in Ended that the operation is over.
type Progress struct {
	Seq    int64           `json:"seq" doc:"rises by one from 1; 0 for lines that are not kept"`
	Time   time.Time       `json:"time"`
	Step   string          `json:"step" doc:"source, build, artifact, release, run, route, live"`
	Status string          `json:"status" doc:"started, info, log, done, failed, skipped; alive and ended for lines of the stream itself"`
	Text   string          `json:"text,omitempty" doc:"for people, one line"`
	Took   Duration        `json:"took,omitempty" doc:"of a step that ended"`
	Data   json.RawMessage `json:"data,omitempty" doc:"for programs"`
	Ended  *Operation      `json:"ended,omitempty" doc:"last line of a stream: the operation as it ended"`
}

// Status of a progress line.
const (
	StepStarted = "started"
	StepInfo    = "info"
	StepLog     = "log"
	StepDone    = "done"
	StepFailed  = "failed"
	StepSkipped = "skipped"

	StreamAlive = "alive" // nothing happened; sent so that a dead connection is noticed
	StreamEnded = "ended" // the operation is over, and in Ended
)

// OperationQuery narrows a list of operations.
type OperationQuery struct {
	Page
	App   string // app id; "": all
	State string // "": all
}

func (q OperationQuery) query() url.Values {
	v := q.Page.query()
	set(v, "app", q.App)
	set(v, "state", q.State)
	return v
}

// Operations lists the operations of the platform, newest first.
func (c *Client) Operations(ctx context.Context, q OperationQuery) (List[Operation], error) {
	return list[Operation](ctx, c, "/v1/operations", q.query())
}

// Operations lists the operations of the space, newest first.
func (s *InSpace) Operations(ctx context.Context, q OperationQuery) (List[Operation], error) {
	return list[Operation](ctx, s.c, s.path+"/operations", q.query())
}

// Operation returns an operation.
func (c *Client) Operation(ctx context.Context, id string) (o Operation, err error) {
	err = c.get(ctx, join("/v1/operations", id), nil, &o)
	return o, err
}

// CancelOperation asks an operation to stop.
func (c *Client) CancelOperation(ctx context.Context, id string) (o Operation, err error) {
	err = c.post(ctx, join("/v1/operations", id, "cancel"), nil, &o)
	return o, err
}

// Progress goes through what an operation reports after the line with number
// after, and follows it until it ends; it reconnects where the connection
// breaks. The last value has Ended, unless an error ends it before. Lines that
// only say that the server is alive are left out.
func (c *Client) Progress(ctx context.Context, id string, after int64) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		path := join("/v1/operations", id, "events")
		query := func() url.Values {
			return url.Values{"follow": {"true"}, "after": {strconv.FormatInt(after, 10)}}
		}
		ended := false
		err := follow(ctx, c, path, query, func(p Progress) (bool, error) {
			if p.Seq > 0 {
				if p.Seq <= after {
					return true, nil // seen before the connection broke
				}
				after = p.Seq
			}
			ended = p.Ended != nil
			if p.Status == StreamAlive {
				return true, nil
			}
			return yield(p, nil) && !ended, nil
		}, func() bool { return ended })
		if err != nil {
			yield(Progress{}, err)
		}
	}
}

// Follow hands every line that an operation reports to show, which may be nil,
// until it ends, and returns it as it ended. That the operation failed is no
// error of Follow: see Operation.Err.
func (c *Client) Follow(ctx context.Context, id string, show func(Progress)) (Operation, error) {
	for p, err := range c.Progress(ctx, id, 0) {
		switch {
		case err != nil:
			return Operation{}, err
		case p.Ended != nil:
			return *p.Ended, nil
		case show != nil:
			show(p)
		}
	}
	return c.Operation(ctx, id)
}
