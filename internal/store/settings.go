package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/event"
	"naru/internal/fault"
)

type settingRow struct {
	bun.BaseModel `bun:"table:settings"`

	Name  string `bun:"name,pk"`
	Value string `bun:"value"`
}

// SetSetting keeps a value of the platform under a name.
func (s *Store) SetSetting(ctx context.Context, name, value string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		_, err := t.NewInsert().Model(&settingRow{Name: name, Value: value}).
			On("CONFLICT (name) DO UPDATE").Set("value = EXCLUDED.value").Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep setting %s: %w", name, err)
		}
		return nil
	})
}

// Setting returns a value of the platform; one that was never set is a NotFound.
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	var row settingRow
	err := s.read(ctx).NewSelect().Model(&row).Where("name = ?", name).Scan(ctx)
	return row.Value, found(err, fault.New(fault.NotFound, "", "the setting %q was never made", name), "find setting "+name)
}

// Settings returns all values of the platform by name.
func (s *Store) Settings(ctx context.Context) (map[string]string, error) {
	var rows []settingRow
	if err := s.read(ctx).NewSelect().Model(&rows).Scan(ctx); err != nil {
		return nil, fmt.Errorf("list settings: %w", err)
	}
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		out[r.Name] = r.Value
	}
	return out, nil
}

// DeleteSetting forgets a value; one that was never set is no error.
func (s *Store) DeleteSetting(ctx context.Context, name string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := t.NewDelete().Model((*settingRow)(nil)).Where("name = ?", name).Exec(ctx); err != nil {
			return fmt.Errorf("delete setting %s: %w", name, err)
		}
		return nil
	})
}
