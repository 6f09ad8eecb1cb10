package admit

import (
	"context"
	"slices"

	"naru/internal/app"
	"naru/internal/pipeline/quota"
)

// within refuses a change that goes beyond a quota.
func (d *Desk) within(ctx context.Context, held []quota.Held, others []Claim, a app.App, c Change) error {
	spaces, err := d.spaces(ctx, others)
	if err != nil {
		return err
	}
	claims := make([]quota.Claim, 0, len(others))
	for _, o := range others {
		claims = append(claims, counted(o, spaces[o.App]))
	}
	return quota.Run(held, claims, counted(c.Was, a.Space), counted(c.Want, a.Space), d.log)
}

// counted is a claim as quotas count it.
func counted(c Claim, space app.SpaceID) quota.Claim {
	out := quota.Claim{Space: space, App: c.App, Task: c.Task}
	if c.Space != "" {
		out.Space = c.Space
	}
	for _, p := range c.Parts {
		out.Parts = append(out.Parts, quota.Part{Count: p.Count, MiB: p.MiB})
	}
	return out
}

// spaces finds the spaces of claims that do not name theirs: those of tasks.
func (d *Desk) spaces(ctx context.Context, claims []Claim) (map[app.ID]app.SpaceID, error) {
	var ids []app.ID
	for _, c := range claims {
		if c.Space == "" {
			ids = append(ids, c.App)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	apps, err := d.store.AppsByID(ctx, ids...)
	out := make(map[app.ID]app.SpaceID, len(apps))
	for _, a := range apps {
		out[a.ID] = a.Space
	}
	return out, err
}

// Taken is what apps and tasks of spaces take of what quotas limit.
func (d *Desk) Taken(ctx context.Context, spaces []app.SpaceID) (map[quota.Resource]int, error) {
	s, err := d.read(ctx)
	if err != nil {
		return nil, err
	}
	claims := s.all()
	of, err := d.spaces(ctx, claims)
	if err != nil {
		return nil, err
	}
	out := map[quota.Resource]int{quota.Memory: 0, quota.Instances: 0, quota.LogRate: 0}
	for _, c := range claims {
		one := counted(c, of[c.App])
		if !slices.Contains(spaces, one.Space) {
			continue
		}
		for _, p := range c.Parts {
			out[quota.Memory] += p.Count * p.MiB
			out[quota.LogRate] += p.Count * d.log
			if !c.Task {
				out[quota.Instances] += p.Count
			}
		}
	}
	return out, nil
}
