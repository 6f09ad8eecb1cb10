package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
)

// AllGroups lists the groups of all apps with the sizes they really have, those
// that linger included, and without their names and times: there may be many, and
// all writes wait for who asks in a transaction.
func (s *Store) AllGroups(ctx context.Context) (all []run.Group, err error) {
	lingering, err := s.lingering(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.read(ctx).QueryContext(ctx, "SELECT id, app_id, space_id, process, release_id, size FROM server_groups")
	if err != nil {
		return nil, fmt.Errorf("list all groups: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var g run.Group
		if err := rows.Scan(&g.ID, &g.App, &g.Space, &g.Process, &g.Release, &g.Size); err != nil {
			return nil, fmt.Errorf("list all groups: %w", err)
		}
		g.Size += lingering[g.ID]
		all = append(all, g)
	}
	return all, rows.Err()
}

// lingering counts the instances that linger, by group.
func (s *Store) lingering(ctx context.Context) (map[run.GroupID]int, error) {
	var rows []struct {
		Group run.GroupID `bun:"group_id"`
		N     int         `bun:"n"`
	}
	err := s.read(ctx).NewRaw("SELECT group_id, COUNT(*) AS n FROM instances WHERE state = ? GROUP BY group_id", run.Lingering).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count what lingers: %w", err)
	}
	out := make(map[run.GroupID]int, len(rows))
	for _, r := range rows {
		out[r.Group] = r.N
	}
	return out, nil
}

// OpenRollouts lists the rollouts of all apps that have not ended.
func (s *Store) OpenRollouts(ctx context.Context) ([]rollout.Rollout, error) {
	var rows []rolloutRow
	if err := s.read(ctx).NewSelect().Model(&rows).Where("active").Order("app_id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list open rollouts: %w", err)
	}
	return each(rows, rolloutRow.rollout), nil
}

// ProcessesOf returns what releases say about their processes; releases that are
// gone are left out.
func (s *Store) ProcessesOf(ctx context.Context, releases ...release.ID) (map[release.ID][]app.Process, error) {
	out := make(map[release.ID][]app.Process, len(releases))
	for some := range slices.Chunk(releases, 500) {
		var rows []struct {
			ID        release.ID         `bun:"id"`
			Processes doc[[]app.Process] `bun:"processes"`
		}
		err := s.read(ctx).NewRaw("SELECT id, processes FROM releases WHERE id IN (?)", in(some)).Scan(ctx, &rows)
		if err != nil {
			return nil, fmt.Errorf("read processes of releases: %w", err)
		}
		for _, r := range rows {
			out[r.ID] = r.Processes.V
		}
	}
	return out, nil
}
