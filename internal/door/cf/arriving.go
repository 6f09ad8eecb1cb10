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
	err = d.glance(c, ops[i], func() (on bool, err error) {
		p, v, err = d.process(c, auth.SpaceRead)
		return err == nil && v.awaited(p), err
	})
	return p, v, err
}

// glance waits a moment for what an operation brings: as long as it goes on and
// another look, which follows each of its reports and its end, says that it is on its
// way.
func (d *Door) glance(c *call, op operation.Operation, look func() (on bool, err error)) error {
	wait, cancel := context.WithTimeout(c.ctx(), d.cfg.Glance)
	defer cancel()
	for after := int64(0); !op.State.Ended() && wait.Err() == nil; {
		lines, err := d.Operations.Progress(wait, op.ID, after, 1000)
		if err == nil && len(lines) == 0 {
			err = d.Operations.AwaitProgress(wait, op.ID, after)
		} else if err == nil {
			after = lines[len(lines)-1].Seq
			if on, err := look(); err != nil || !on {
				return err
			}
		}
		if err == nil {
			op, err = d.Operations.Operation(wait, op.ID)
		}
		if err != nil && wait.Err() == nil {
			return err
		}
	}
	_, err := look()
	return err
}

// awaited reports that instances of a process are wanted and none of them is there
// yet, nor has failed.
func (v sight) awaited(p process) bool {
	all := v.spots(p.of, p.Type)
	return slices.ContainsFunc(all, func(s spot) bool { return s.state == "STARTING" }) &&
		!slices.ContainsFunc(all, func(s spot) bool { return s.state == "RUNNING" || s.state == "CRASHED" })
}
