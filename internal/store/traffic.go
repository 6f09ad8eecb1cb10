package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// RoutingInput reads what the gateways' table is built from, all as of one
// moment. Boot and Static are left to the caller.
//
// Groups that were given a weight have it; every healthy instance of the others
// gets the same share of what is left. What a rollout brings in is guarded.
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
		in.Counted, err = counted(ctx, db)
		return err
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
		if g.Weight >= 0 {
			given := route.Weight(g.Weight)
			states[i].Given = &given
		}
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
	route.Share(states)
	return states, guards(ctx, db, states)
}

// guards gives the new groups of rollouts on their way their guard, match and pair.
func guards(ctx context.Context, db bun.IDB, groups []route.GroupState) error {
	var rows []rolloutRow
	if err := db.NewSelect().Model(&rows).Where("active AND state IN (?)", in(guardedStates)).Scan(ctx); err != nil {
		return fmt.Errorf("list rollouts: %w", err)
	}
	at := map[run.GroupID]int{}
	for i, g := range groups {
		at[run.GroupID(g.ID)] = i
	}
	for _, row := range rows {
		ro := row.rollout()
		for _, id := range ro.New {
			i, ok := at[id]
			if !ok {
				continue
			}
			guardGroup(ro, groups, at, i)
			pairGroup(ro, groups, at, i)
		}
	}
	return nil
}

// guardedStates are those in which a new group may have traffic and somebody to
// be compared with. On the way back it has until its weight has been taken away:
// without its guard a trip would be forgotten before that.
var guardedStates = []rollout.State{rollout.Shifting, rollout.Paused, rollout.Watching, rollout.Aborting}

// guardGroup guards a new group of a rollout by the youngest old one of its
// process type.
func guardGroup(ro rollout.Rollout, groups []route.GroupState, at map[run.GroupID]int, i int) {
	g := &groups[i]
	if ro.Spec.Kind == app.Rings && ro.Step < len(ro.Spec.Steps) && ro.State != rollout.Aborting {
		g.Match, _ = route.ParseMatch(ro.Spec.Match) // checked when it was asked for
	}
	if ro.Spec.Guard.Off {
		return
	}
	for _, old := range slices.Backward(ro.Old) { // the youngest last
		j, ok := at[old]
		if !ok || groups[j].Process != g.Process {
			continue
		}
		set := ro.Spec.Guard
		g.Guard = &route.Guard{
			Key: string(ro.ID), Baseline: groups[j].ID, Requests: uint64(set.Requests), Alarm: set.Alarm, Ratio: set.Ratio, Slow: set.Slow,
		}
		return
	}
}

// pairGroup pairs a new group that is being judged with the youngest one it is
// compared with, where the app lets its requests be copied.
func pairGroup(ro rollout.Rollout, groups []route.GroupState, at map[run.GroupID]int, i int) {
	if !ro.Copies() || groups[i].Process != app.Web {
		return
	}
	with := ro.Old
	if ro.BesideWeight() > 0 {
		with = ro.Beside
	}
	for _, old := range slices.Backward(with) { // the youngest last
		if j, ok := at[old]; ok && groups[j].Process == app.Web && len(groups[j].Instances) > 0 {
			groups[i].Pair = groups[j].ID
			return
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
