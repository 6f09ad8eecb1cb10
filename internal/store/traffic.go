package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// RoutingInput reads what the gateways' table is built from, all as of one
// moment. Boot and Static are left to the caller.
//
// Every healthy instance of a process type gets the same share: a group weighs
// as many percent as it has of the process type's healthy instances.
func (s *Store) RoutingInput(ctx context.Context) (in route.Input, err error) {
	err = s.moment(ctx, func(db bun.IDB) error {
		if in.Routes, err = s.routes(ctx, db, func(*bun.SelectQuery) {}); err != nil {
			return err
		}
		if in.Groups, err = groupStates(ctx, db); err != nil {
			return err
		}
		if err := s.ports(ctx, db, &in); err != nil {
			return err
		}
		var apps []appRow
		if err := db.NewSelect().Model(&apps).Column("id", "name").Scan(ctx); err != nil {
			return fmt.Errorf("list apps: %w", err)
		}
		in.Apps = make(map[app.ID]string, len(apps))
		for _, a := range apps {
			in.Apps[a.ID] = a.Name
		}
		return nil
	})
	return in, err
}

// moment reads several things as of one moment.
func (s *Store) moment(ctx context.Context, do func(db bun.IDB) error) error {
	if t := s.joined(ctx); t != nil {
		return do(t.Tx)
	}
	return s.reader.RunInTx(ctx, s.engine.snapshot(), func(_ context.Context, tx bun.Tx) error { return do(tx) })
}

// groupStates reads all groups with their instances, in the order of ids.
func groupStates(ctx context.Context, db bun.IDB) ([]route.GroupState, error) {
	var groups []groupRow
	if err := db.NewSelect().Model(&groups).Order("id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	var instances []instanceRow
	err := db.NewSelect().Model(&instances).Column("id", "group_id", "position", "addr", "state").
		Where("state IN (?)", in([]run.State{run.Healthy, run.Unhealthy})).Order("group_id", "position").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	states, at := make([]route.GroupState, len(groups)), map[run.GroupID]int{}
	for i, g := range groups {
		at[g.ID] = i
		states[i] = route.GroupState{ID: string(g.ID), Name: g.Name, App: g.App, Process: g.Process}
	}
	for _, i := range instances {
		if i.Addr == "" {
			continue
		}
		g := &states[at[i.Group]]
		g.Instances = append(g.Instances, route.InstanceState{
			ID: string(i.ID), Index: i.Index, Address: i.Addr, Healthy: i.State == run.Healthy,
		})
	}
	weigh(states)
	return states, nil
}

// weigh gives each group the share of its process type's healthy instances, at
// least 1 percent where it has any, and 100 where nobody has one.
func weigh(groups []route.GroupState) {
	type key struct {
		app     app.ID
		process string
	}
	healthy := func(g route.GroupState) (n int) {
		for _, i := range g.Instances {
			if i.Healthy {
				n++
			}
		}
		return n
	}
	total := map[key]int{}
	for _, g := range groups {
		total[key{g.App, g.Process}] += healthy(g)
	}
	for i, g := range groups {
		all, n := total[key{g.App, g.Process}], healthy(g)
		switch {
		case all == 0:
			groups[i].Weight = 100
		case n > 0:
			groups[i].Weight = route.Weight(max(1, n*100/all))
		}
	}
}

// ports fills in the port of groups that a destination reaches at a port of its
// own. Others need none, and reading every release of a platform is dear.
func (s *Store) ports(ctx context.Context, db bun.IDB, input *route.Input) error {
	var apps []app.ID
	for _, r := range input.Routes {
		for _, d := range r.Destinations {
			if d.Port != 0 {
				apps = append(apps, d.App)
			}
		}
	}
	if len(apps) == 0 {
		return nil
	}
	slices.Sort(apps)
	var rows []struct {
		ID        run.GroupID        `bun:"id"`
		Process   string             `bun:"process"`
		Release   release.ID         `bun:"release_id"`
		Processes doc[[]app.Process] `bun:"processes"`
	}
	err := db.NewRaw(`SELECT g.id, g.process, g.release_id, r.processes FROM server_groups g
		JOIN releases r ON r.id = g.release_id WHERE g.app_id IN (?)`, in(slices.Compact(apps))).Scan(ctx, &rows)
	if err != nil {
		return fmt.Errorf("find ports of groups: %w", err)
	}
	port := map[string]int{}
	for _, row := range rows {
		for _, p := range row.Processes.V {
			if p.Type == row.Process {
				port[string(row.ID)] = p.Port
			}
		}
	}
	for i := range input.Groups {
		input.Groups[i].Port = port[input.Groups[i].ID]
	}
	return nil
}
