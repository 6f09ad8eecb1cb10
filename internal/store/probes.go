package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
)

type probeRow struct {
	bun.BaseModel `bun:"table:probes"`

	App      app.ID         `bun:"app_id,pk"`
	Name     string         `bun:"name,pk"`
	Position int            `bun:"position"`
	Doc      doc[app.Probe] `bun:"doc"`
	Since    stamp          `bun:"since"`
}

// Probes lists the probes of an app in the order of their declaration.
func (s *Store) Probes(ctx context.Context, a app.ID) ([]app.Probe, error) {
	rows, err := probeRows(ctx, s.read(ctx).NewSelect().Where("app_id = ?", a))
	return each(rows, func(r probeRow) app.Probe { return r.Doc.V }), err
}

// AllProbes is Probes of all apps that are started and have any.
func (s *Store) AllProbes(ctx context.Context) (map[app.ID][]app.Probe, error) {
	rows, err := probeRows(ctx, s.read(ctx).NewSelect().Where("app_id IN (SELECT id FROM apps WHERE state = ?)", app.Started))
	out := map[app.ID][]app.Probe{}
	for _, r := range rows {
		out[r.App] = append(out[r.App], r.Doc.V)
	}
	return out, err
}

func probeRows(ctx context.Context, q *bun.SelectQuery) ([]probeRow, error) {
	var rows []probeRow
	if err := q.Model(&rows).Order("app_id", "position").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list probes: %w", err)
	}
	return rows, nil
}

// SetProbes makes these the probes of an app, in place of those it had. Where
// anything changes, an event probes.set names them.
func (s *Store) SetProbes(ctx context.Context, a app.ID, all []app.Probe, actor string) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		had, err := probeRows(ctx, t.NewSelect().Where("app_id = ?", a))
		if err != nil {
			return err
		}
		old := map[string]probeRow{}
		for _, r := range had {
			old[r.Name] = r
		}
		next, names, same := make([]probeRow, len(all)), make([]string, len(all)), len(had) == len(all)
		for i, p := range all {
			next[i] = probeRow{App: a, Name: p.Name, Position: i, Doc: doc[app.Probe]{p}, Since: stamp{t.Now}}
			if r, known := old[p.Name]; known && sameDoc(r.Doc, next[i].Doc) {
				next[i].Since = r.Since
			}
			names[i] = p.Name
			same = same && had[i].Name == p.Name && sameDoc(had[i].Doc, next[i].Doc)
		}
		if same {
			return nil
		}
		if _, err := t.NewDelete().Model((*probeRow)(nil)).Where("app_id = ?", a).Exec(ctx); err != nil {
			return fmt.Errorf("set probes of %s: %w", owner.Name, err)
		}
		if len(next) > 0 {
			if _, err := t.NewInsert().Model(&next).Exec(ctx); err != nil {
				return fmt.Errorf("set probes of %s: %w", owner.Name, err)
			}
		}
		return t.append(ctx, []event.Event{{Kind: "probes.set", Actor: actor, Subject: owner.Name, Detail: map[string]any{"probes": names}}})
	})
}
