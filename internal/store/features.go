package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/event"
	"naru/internal/feature"
)

type featureRow struct {
	bun.BaseModel `bun:"table:features"`

	Name    feature.Name `bun:"name,pk"`
	On      bool         `bun:"enabled"`
	Message string       `bun:"message"`
	Updated stamp        `bun:"updated"`
}

func (r featureRow) state() feature.State {
	return feature.State{Name: r.Name, On: r.On, Message: r.Message, Updated: r.Updated.Time}
}

// Features lists the features that were switched, by name.
func (s *Store) Features(ctx context.Context) ([]feature.State, error) {
	var rows []featureRow
	if err := s.read(ctx).NewSelect().Model(&rows).Order("name").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list features: %w", err)
	}
	return each(rows, featureRow.state), nil
}

// SetFeature keeps how a feature was switched; Updated is filled in.
func (s *Store) SetFeature(ctx context.Context, st feature.State, evs ...event.Event) (feature.State, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		st.Updated = t.Now
		row := &featureRow{Name: st.Name, On: st.On, Message: st.Message, Updated: stamp{st.Updated}}
		_, err := t.NewInsert().Model(row).On("CONFLICT (name) DO UPDATE").
			Set("enabled = EXCLUDED.enabled").Set("message = EXCLUDED.message").Set("updated = EXCLUDED.updated").Exec(ctx)
		if err != nil {
			return fmt.Errorf("switch feature %s: %w", st.Name, err)
		}
		return nil
	})
	return st, err
}
