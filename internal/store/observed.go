package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/observe/collect"
	"naru/internal/release"
	"naru/internal/run"
)

// Observed reads all groups with the instances that run, named as metrics name
// them, as of one moment.
func (s *Store) Observed(ctx context.Context) (out []collect.Group, err error) {
	err = s.moment(ctx, func(db bun.IDB) error {
		var groups []struct {
			ID      run.GroupID `bun:"id"`
			Name    string      `bun:"name"`
			Process string      `bun:"process"`
			Release release.ID  `bun:"release_id"`
			Number  int         `bun:"number"`
			App     string      `bun:"app"`
			Space   string      `bun:"space"`
			SpaceID app.SpaceID `bun:"space_id"`
			Org     string      `bun:"org"`
		}
		err := db.NewRaw(`SELECT g.id, g.name, g.process, g.release_id, r.number, a.name AS app, s.name AS space, s.id AS space_id, o.name AS org
			FROM server_groups g JOIN releases r ON r.id = g.release_id JOIN apps a ON a.id = g.app_id
			JOIN spaces s ON s.id = a.space_id JOIN orgs o ON o.id = s.org_id ORDER BY g.id`).Scan(ctx, &groups)
		if err != nil {
			return fmt.Errorf("list groups: %w", err)
		}
		at := map[run.GroupID]int{}
		out = make([]collect.Group, len(groups))
		for i, g := range groups {
			at[g.ID] = i
			out[i] = collect.Group{
				ID: g.ID, Name: g.Name, Process: g.Process, ReleaseID: g.Release, Release: fmt.Sprintf("v%d", g.Number),
				Place: collect.Place{Org: g.Org, Space: g.Space, SpaceID: string(g.SpaceID), App: g.App},
			}
		}
		var instances []instanceRow
		err = db.NewSelect().Model(&instances).Column("id", "group_id", "position", "addr", "state", "restarts").
			Where("state NOT IN (?)", in([]run.State{run.Stopped, run.Crashed, run.Pending})).Order("group_id", "position").Scan(ctx)
		if err != nil {
			return fmt.Errorf("list instances: %w", err)
		}
		for _, i := range instances {
			if n, ok := at[i.Group]; ok {
				out[n].Instances = append(out[n].Instances, i.instance())
			}
		}
		return nil
	})
	return out, err
}
