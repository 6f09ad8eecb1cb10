package cf

import (
	"context"
	"slices"

	"naru/internal/auth"
	"naru/internal/pipeline/operation"
)

// arriving is the process of a path. While an operation brings its first instance, it
// waits a moment for that: clients look when a start was answered, and then each 3 s,
// and a start takes less than one.
func (d *Door) arriving(c *call) (process, sight, error) {
	p, v, err := d.process(c, auth.SpaceRead)
	if err != nil || !v.awaited(p) {
		return p, v, err
	}
	ops, err := d.Operations.Operations(c.ctx(), operation.Filter{App: p.of.ID, State: operation.Running, Limit: 10})
	i := slices.IndexFunc(ops, func(o operation.Operation) bool { return slices.Contains(plainly, o.Kind) })
	if err != nil || i < 0 {
		return p, v, err
	}
	op := ops[i]
	wait, cancel := context.WithTimeout(c.ctx(), d.cfg.Glance)
	defer cancel()
	for after := int64(0); !op.State.Ended(); {
		lines, err := d.Operations.Progress(wait, op.ID, after, 1000)
		if err == nil && len(lines) == 0 {
			err = d.Operations.AwaitProgress(wait, op.ID, after)
		} else if err == nil {
			after = lines[len(lines)-1].Seq
			if p, v, err = d.process(c, auth.SpaceRead); err != nil || !v.awaited(p) {
				return p, v, err
			}
		}
		if err == nil {
			op, err = d.Operations.Operation(wait, op.ID)
		}
		if wait.Err() != nil {
			break
		}
		if err != nil {
			return p, v, err
		}
	}
	return d.process(c, auth.SpaceRead)
}

// awaited reports that instances of a process are wanted and none of them is there
// yet, nor has failed.
func (v sight) awaited(p process) bool {
	all := v.spots(p.of, p.Type)
	return slices.ContainsFunc(all, func(s spot) bool { return s.state == "STARTING" }) &&
		!slices.ContainsFunc(all, func(s spot) bool { return s.state == "RUNNING" || s.state == "CRASHED" })
}
