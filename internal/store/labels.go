package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/event"
)

type labelRow struct {
	bun.BaseModel `bun:"table:labels"`

	Kind        string                 `bun:"kind,pk"`
	Thing       string                 `bun:"thing_id,pk"`
	App         app.ID                 `bun:"app_id,nullzero"`
	Space       app.SpaceID            `bun:"space_id,nullzero"`
	Org         app.OrgID              `bun:"org_id,nullzero"`
	Labels      doc[map[string]string] `bun:"labels"`
	Annotations doc[map[string]string] `bun:"annotations"`
}

func (r labelRow) set() label.Set { return label.Set{Labels: r.Labels.V, Annotations: r.Annotations.V} }

// LabelsOf returns what is written on things of a kind, by their ids; without ids
// that of all. Things that nothing is written on are left out.
func (s *Store) LabelsOf(ctx context.Context, kind string, ids ...string) (map[string]label.Set, error) {
	out := map[string]label.Set{}
	read := func(some []string) error {
		var rows []labelRow
		q := s.read(ctx).NewSelect().Model(&rows).Column("thing_id", "labels", "annotations").Where("kind = ?", kind)
		if some != nil {
			q.Where("thing_id IN (?)", in(some))
		}
		if err := q.Scan(ctx); err != nil {
			return fmt.Errorf("read labels of %s: %w", kind, err)
		}
		for _, r := range rows {
			out[r.Thing] = r.set()
		}
		return nil
	}
	if len(ids) == 0 {
		return out, read(nil)
	}
	for some := range slices.Chunk(ids, 500) {
		if err := read(some); err != nil {
			return out, err
		}
	}
	return out, nil
}

// SetLabels changes what is written on a thing, and returns what is then.
func (s *Store) SetLabels(ctx context.Context, on label.Thing, change label.Change, evs ...event.Event) (out label.Set, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		have, err := s.LabelsOf(ctx, on.Kind, on.ID)
		if err != nil {
			return err
		}
		if out, err = have[on.ID].Apply(change); err != nil {
			return err
		}
		space := on.Space
		if on.App != "" {
			a, err := s.App(ctx, on.App)
			if err != nil {
				return err
			}
			space = a.Space
		}
		t.about(space, on.App)
		if out.Empty() {
			_, err = t.NewDelete().Model((*labelRow)(nil)).Where("kind = ? AND thing_id = ?", on.Kind, on.ID).Exec(ctx)
		} else {
			row := &labelRow{
				Kind: on.Kind, Thing: on.ID, App: on.App, Space: on.Space, Org: on.Org,
				Labels: doc[map[string]string]{out.Labels}, Annotations: doc[map[string]string]{out.Annotations},
			}
			_, err = t.NewInsert().Model(row).On("CONFLICT (kind, thing_id) DO UPDATE").
				Set("labels = EXCLUDED.labels, annotations = EXCLUDED.annotations").Exec(ctx)
		}
		if err != nil {
			return fmt.Errorf("label %s %s: %w", on.Kind, on.ID, err)
		}
		return nil
	})
	return out, err
}

// unlabel forgets what is written on a thing that goes before its owner does.
func (t *tx) unlabel(ctx context.Context, kind, id string) error {
	if _, err := t.NewDelete().Model((*labelRow)(nil)).Where("kind = ? AND thing_id = ?", kind, id).Exec(ctx); err != nil {
		return fmt.Errorf("delete what is written on %s %s: %w", kind, id, err)
	}
	return nil
}
