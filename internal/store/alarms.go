package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/burn"
	"naru/internal/operate/alarm"
)

type alarmRow struct {
	bun.BaseModel `bun:"table:alerts"`

	App       app.ID           `bun:"app_id,pk"`
	Objective string           `bun:"objective,pk"`
	Rule      string           `bun:"rule,pk"`
	State     burn.State       `bun:"state"`
	Doc       doc[alarm.Alarm] `bun:"doc"`
}

// Alarms lists what was kept of alarms.
func (s *Store) Alarms(ctx context.Context) ([]alarm.Alarm, error) {
	var rows []alarmRow
	if err := s.read(ctx).NewSelect().Model(&rows).Order("app_id", "objective", "rule").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list alarms: %w", err)
	}
	return each(rows, func(r alarmRow) alarm.Alarm { return r.Doc.V }), nil
}

// SetAlarms keeps alarms in place of those with the same key, and forgets others.
func (s *Store) SetAlarms(ctx context.Context, keep []alarm.Alarm, forget []alarm.Key, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		for _, k := range forget {
			_, err := t.NewDelete().Model((*alarmRow)(nil)).Where("app_id = ? AND objective = ? AND rule = ?", k.App, k.Objective, k.Rule).Exec(ctx)
			if err != nil {
				return fmt.Errorf("forget alarm %s: %w", k.Objective, err)
			}
		}
		for _, a := range keep {
			row := alarmRow{App: a.App, Objective: a.Objective, Rule: a.Key.Rule, State: a.State, Doc: doc[alarm.Alarm]{a}}
			_, err := t.NewInsert().Model(&row).On("CONFLICT (app_id, objective, rule) DO UPDATE").Set("state = EXCLUDED.state, doc = EXCLUDED.doc").Exec(ctx)
			if err != nil {
				return fmt.Errorf("keep alarm %s: %w", a.Objective, err)
			}
		}
		return nil
	})
}

// Homes returns where all apps are.
func (s *Store) Homes(ctx context.Context) (map[app.ID]alarm.Home, error) {
	var rows []struct {
		App     app.ID      `bun:"app_id"`
		Name    string      `bun:"app"`
		SpaceID app.SpaceID `bun:"space_id"`
		Space   string      `bun:"space"`
		Org     string      `bun:"org"`
	}
	err := s.read(ctx).NewRaw(`SELECT a.id AS app_id, a.name AS app, s.id AS space_id, s.name AS space, o.name AS org
		FROM apps a JOIN spaces s ON s.id = a.space_id JOIN orgs o ON o.id = s.org_id`).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("list homes of apps: %w", err)
	}
	out := make(map[app.ID]alarm.Home, len(rows))
	for _, r := range rows {
		out[r.App] = alarm.Home{Org: r.Org, Space: r.Space, SpaceID: r.SpaceID, App: r.Name}
	}
	return out, nil
}

type bookRow struct {
	bun.BaseModel `bun:"table:alert_book"`

	ID   int64  `bun:"id,pk"`
	Body string `bun:"body"`
}

// AlertBook returns what SetAlertBook kept; nothing before the first time.
func (s *Store) AlertBook(ctx context.Context) ([]byte, error) {
	var row bookRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = 1").Scan(ctx)
	if err = found(err, fault.New(fault.NotFound, "", "no book"), "read book of alerts"); fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return []byte(row.Body), err
}

// SetAlertBook keeps the book of who was told what, in place of the one before.
func (s *Store) SetAlertBook(ctx context.Context, body []byte) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		row := bookRow{ID: 1, Body: string(body)}
		if _, err := t.NewInsert().Model(&row).On("CONFLICT (id) DO UPDATE").Set("body = EXCLUDED.body").Exec(ctx); err != nil {
			return fmt.Errorf("keep book of alerts: %w", err)
		}
		return nil
	})
}
