package cf

import (
	"context"
	"regexp"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
)

// emptying is the job of deleting a place that holds apps: of what, and the last
// operation that deletes one of them, which proves who asked. What is left to do
// is seen from what is there, so that a restart changes nothing.
func emptying(what, guid string, last operation.ID) string {
	return what + ".delete~" + guid + "~" + string(last)
}

var emptyingJob = regexp.MustCompile(`^(space|organization)\.delete~([0-9a-f-]{36})~([0-9a-f-]{36})$`)

// empty asks for the end of all apps of spaces. last is the operation that deletes
// the last one; "" where there is none.
func (d *Door) empty(c *call, spaces map[app.SpaceID]app.Space) (last operation.ID, err error) {
	apps, err := d.appsIn(c.ctx(), spaces)
	if err != nil {
		return "", err
	}
	for _, a := range apps {
		op, err := d.Lifecycle.Delete(c.ctx(), c.by(), a.ID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		last = op.ID
	}
	return last, nil
}

// leftOf are the spaces of what is being deleted that are still there.
func (d *Door) leftOf(ctx context.Context, what, guid string) (map[app.SpaceID]app.Space, error) {
	out := map[app.SpaceID]app.Space{}
	if what == "space" {
		s, err := d.Places.Space(ctx, app.SpaceID(guid))
		if fault.Is(err, fault.NotFound) {
			return out, nil
		}
		out[s.ID] = s
		return out, err
	}
	all, err := d.Places.Spaces(ctx, app.OrgID(guid))
	for _, s := range all {
		out[s.ID] = s
	}
	return out, err
}

// finish deletes a place whose apps are gone.
func (d *Door) finish(c *call, what, guid string, spaces map[app.SpaceID]app.Space) error {
	for _, s := range spaces {
		ev := c.event("space.deleted", s.Name)
		ev.Space = string(s.ID)
		if err := d.Places.DeleteSpace(c.ctx(), s.ID, ev); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	if what == "space" {
		return nil
	}
	o, err := d.Places.Org(c.ctx(), app.OrgID(guid))
	if err == nil {
		err = d.Places.DeleteOrg(c.ctx(), o.ID, c.event("org.deleted", o.Name))
	}
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// emptied goes on with a job that deletes a place: it is done when nothing is left.
func (d *Door) emptied(c *call, job, what, guid, last string) error {
	op, err := d.Operations.Operation(c.ctx(), operation.ID(last))
	if err != nil || op.Kind != "delete" || op.Actor != c.who.Name && !c.can(auth.PlatformManage, place{}) {
		return missing("Job")
	}
	out := jobResource{c.jobThing(job, op.Created, time.Now()), what + ".delete", "PROCESSING", []problem{}, []string{}}
	spaces, err := d.leftOf(c.ctx(), what, guid)
	if err != nil {
		return err
	}
	apps, err := d.appsIn(c.ctx(), spaces)
	if err != nil {
		return err
	}
	for _, a := range apps {
		tried, err := d.Operations.Operations(c.ctx(), operation.Filter{App: a.ID, Limit: 20})
		if err != nil {
			return err
		}
		for _, t := range tried { // newest first
			if t.Kind != "delete" {
				continue
			}
			if t.State == operation.Failed || t.State == operation.Canceled {
				out.State, out.Errors = "FAILED", []problem{failed(t)}
			}
			break
		}
	}
	if len(apps) == 0 {
		if err := d.finish(c, what, guid, spaces); err != nil {
			if fault.Of(err).Kind == fault.Internal {
				return err
			}
			out.State, out.Errors = "FAILED", []problem{d.problemOf(c.ctx(), c, err)}
			return c.ok(out)
		}
		out.State = "COMPLETE"
	}
	return c.ok(out)
}
