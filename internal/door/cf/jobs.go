package cf

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/source"
)

func jobRoutes() []endpoint {
	return []endpoint{{pattern: "GET /v3/jobs/{guid}", do: (*Door).getJob}}
}

type jobResource struct {
	resource
	Operation string    `json:"operation"`
	State     string    `json:"state"`
	Errors    []problem `json:"errors"`
	Warnings  []string  `json:"warnings"`
}

// done is the job of what was carried out at once. Clients that wait for jobs
// find it complete; nothing of it is kept.
func done(what, guid string) string { return what + "~" + guid }

var doneJob = regexp.MustCompile(`^([a-z_]+\.[a-z_]+)~[A-Za-z0-9_-]+$`)

// jobs are the names of operations as clients know them.
var jobs = map[operation.Kind]string{"delete": "app.delete", "push": "space.apply_manifest", "manifest": "space.apply_manifest"}

func (d *Door) getJob(c *call) error {
	guid := c.guid()
	if m := emptyingJob.FindStringSubmatch(guid); m != nil {
		return d.emptied(c, guid, m[1], m[2], m[3])
	}
	if m := doneJob.FindStringSubmatch(guid); m != nil {
		if b, ok := strings.CutPrefix(guid, uploadJob+"~"); ok {
			return d.uploaded(c, guid, source.BuildpackID(b))
		}
		now := time.Now()
		return c.ok(jobResource{c.jobThing(guid, now, now), m[1], "COMPLETE", []problem{}, []string{}})
	}
	op, err := d.Operations.Operation(c.ctx(), operation.ID(guid))
	if err != nil {
		return gone(err, "Job")
	}
	if op.Actor != c.who.Name { // who asked may look even when the space is gone
		p, err := d.placeOf(c.ctx(), op.Space)
		if err != nil {
			return gone(err, "Job")
		}
		if !auth.Sees(c.who, p.org.ID, p.space.ID) {
			return missing("Job")
		}
	}
	what, known := jobs[op.Kind]
	if !known {
		what = "app." + string(op.Kind)
	}
	at := op.Created
	for _, t := range []time.Time{op.Started, op.Ended} {
		if t.After(at) {
			at = t
		}
	}
	out := jobResource{c.jobThing(guid, op.Created, at), what, "PROCESSING", []problem{}, []string{}}
	switch op.State {
	case operation.Done:
		out.State = "COMPLETE"
	case operation.Failed, operation.Canceled:
		out.State, out.Errors = "FAILED", []problem{failed(op)}
	}
	return c.ok(out)
}

func (c *call) jobThing(guid string, created, updated time.Time) resource {
	r := c.thing(guid, created, updated, "/v3/jobs/"+guid)
	r.Metadata = nil // nobody writes on jobs
	return r
}

// failed is why an operation did not come to its end.
func failed(op operation.Operation) problem {
	if op.Error == nil {
		return unprocessable.saying("The operation was canceled")
	}
	p, known := kinds[op.Error.Kind]
	if !known {
		return unknownError
	}
	return p.saying(told(op.Error))
}

// seen waits until an operation has come so far that what it changes is to be
// seen: a step of it has ended, or it has. Clients ask for things the moment an
// answer is there.
func (d *Door) seen(ctx context.Context, op operation.Operation, steps ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var after int64
	for {
		lines, err := d.Operations.Progress(ctx, op.ID, after, 100)
		if err != nil {
			return d.waited(ctx, err)
		}
		for _, l := range lines {
			after = l.Seq
			for _, step := range steps {
				if l.Step == step && (l.Status == operation.StepDone || l.Status == operation.StepSkipped) {
					return nil
				}
			}
		}
		now, err := d.Operations.Operation(ctx, op.ID)
		if err != nil {
			return d.waited(ctx, err)
		}
		switch now.State {
		case operation.Done:
			return nil
		case operation.Failed, operation.Canceled:
			return failed(now)
		}
		if len(lines) > 0 {
			continue
		}
		if err := d.Operations.AwaitProgress(ctx, op.ID, after); err != nil {
			return d.waited(ctx, err)
		}
	}
}

// waited explains an end of waiting.
func (d *Door) waited(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fault.New(fault.Unavailable, "", "the app is being changed by something else; try again")
	}
	return fmt.Errorf("wait for operation: %w", err)
}
