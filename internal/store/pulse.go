package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// Pulse is how much there is of everything, and how much is waiting.
type Pulse struct {
	Apps       int64
	Events     int64            // ever
	Instances  map[string]int64 // by state
	Operations map[string]int64 // by state, those that have not ended
	Rollouts   map[string]int64 // by state, those that have not ended
	Alerts     map[string]int64 // by state
	Drains     Drained
}

// Drained is how all drains of logs are doing.
type Drained struct {
	Courses int64 // pairs of a drain and an app
	Failing int64
	Sent    int64 // lines
	Dropped int64
}

// Pulse counts, at one moment.
func (s *Store) Pulse(ctx context.Context) (p Pulse, err error) {
	err = s.moment(ctx, func(db bun.IDB) error {
		if err := db.NewRaw("SELECT count(*) FROM apps").Scan(ctx, &p.Apps); err != nil {
			return fmt.Errorf("count apps: %w", err)
		}
		if err := db.NewRaw("SELECT coalesce(max(seq), 0) FROM events").Scan(ctx, &p.Events); err != nil {
			return fmt.Errorf("count events: %w", err)
		}
		err := db.NewRaw("SELECT count(*), coalesce(sum(CASE WHEN failing > 0 THEN 1 ELSE 0 END), 0), coalesce(sum(sent), 0), coalesce(sum(dropped), 0) FROM drained").
			Scan(ctx, &p.Drains.Courses, &p.Drains.Failing, &p.Drains.Sent, &p.Drains.Dropped)
		if err != nil {
			return fmt.Errorf("count drains: %w", err)
		}
		for _, c := range []struct {
			into *map[string]int64
			of   string
		}{
			{&p.Instances, "instances"},
			{&p.Operations, "operations WHERE state IN ('queued', 'running')"},
			{&p.Rollouts, "rollouts WHERE state NOT IN ('done', 'rolledback', 'failed', 'superseded')"},
			{&p.Alerts, "alerts"},
		} {
			var rows []struct {
				State string `bun:"state"`
				N     int64  `bun:"n"`
			}
			if err := db.NewRaw("SELECT state, count(*) AS n FROM "+c.of+" GROUP BY state").Scan(ctx, &rows); err != nil {
				return fmt.Errorf("count %s: %w", c.of, err)
			}
			*c.into = map[string]int64{}
			for _, r := range rows {
				(*c.into)[r.State] = r.N
			}
		}
		return nil
	})
	return p, err
}
