package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/run"
)

type offsetRow struct {
	bun.BaseModel `bun:"table:log_offsets"`

	Instance run.InstanceID `bun:"instance,pk"`
	Position int64          `bun:"position"`
	Updated  stamp          `bun:"updated"`
}

// SetLogOffset remembers up to which byte an instance's output was taken over;
// an offset never goes back.
func (s *Store) SetLogOffset(ctx context.Context, i run.InstanceID, offset int64) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		_, err := t.NewInsert().Model(&offsetRow{Instance: i, Position: offset, Updated: stamp{t.Now}}).ModelTableExpr("log_offsets AS o").
			On("CONFLICT (instance) DO UPDATE").Set("position = EXCLUDED.position, updated = EXCLUDED.updated").
			Where("o.position < EXCLUDED.position").Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep log offset of %s: %w", i, err)
		}
		return nil
	})
}

// LogOffsets returns how far the output of instances was taken over.
func (s *Store) LogOffsets(ctx context.Context) (map[run.InstanceID]int64, error) {
	var rows []offsetRow
	if err := s.read(ctx).NewSelect().Model(&rows).Scan(ctx); err != nil {
		return nil, fmt.Errorf("list log offsets: %w", err)
	}
	out := make(map[run.InstanceID]int64, len(rows))
	for _, r := range rows {
		out[r.Instance] = r.Position
	}
	return out, nil
}

// ForgetLogOffset forgets an instance whose output was taken over to its end.
func (s *Store) ForgetLogOffset(ctx context.Context, i run.InstanceID) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		if _, err := t.NewDelete().Model((*offsetRow)(nil)).Where("instance = ?", i).Exec(ctx); err != nil {
			return fmt.Errorf("forget log offset of %s: %w", i, err)
		}
		return nil
	})
}
