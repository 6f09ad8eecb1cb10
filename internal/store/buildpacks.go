package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/source"
)

type buildpackRow struct {
	bun.BaseModel `bun:"table:buildpacks"`

	ID       source.BuildpackID `bun:"id,pk"`
	Name     string             `bun:"name"`
	Stack    string             `bun:"stack"`
	Position int                `bun:"position"`
	Enabled  bool               `bun:"enabled"`
	Locked   bool               `bun:"locked"`
	Digest   string             `bun:"digest"`
	Filename string             `bun:"filename"`
	Trouble  source.Trouble     `bun:"trouble"`
	Error    string             `bun:"error"`
	Created  stamp              `bun:"created"`
	Updated  stamp              `bun:"updated"`
}

func buildpackRowOf(b source.Buildpack) *buildpackRow {
	return &buildpackRow{
		ID: b.ID, Name: b.Name, Stack: b.Stack, Position: b.Position, Enabled: b.Enabled, Locked: b.Locked, Digest: b.Digest,
		Filename: clean(b.Filename), Trouble: b.Trouble, Error: clean(b.Error), Created: stamp{b.Created}, Updated: stamp{b.Updated},
	}
}

func (r buildpackRow) buildpack() source.Buildpack {
	return source.Buildpack{
		ID: r.ID, Name: r.Name, Stack: r.Stack, Position: r.Position, Enabled: r.Enabled, Locked: r.Locked, Digest: r.Digest,
		Filename: r.Filename, Trouble: r.Trouble, Error: r.Error, Created: r.Created.Time, Updated: r.Updated.Time,
	}
}

func noBuildpack(id source.BuildpackID) *fault.Error {
	return fault.New(fault.NotFound, "buildpack", "buildpack %s does not exist", id)
}

// Buildpacks lists the uploaded buildpacks in the order of their positions.
func (s *Store) Buildpacks(ctx context.Context) ([]source.Buildpack, error) {
	var rows []buildpackRow
	if err := s.read(ctx).NewSelect().Model(&rows).Order("position", "id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list buildpacks: %w", err)
	}
	return each(rows, buildpackRow.buildpack), nil
}

// Buildpack returns an uploaded buildpack by id.
func (s *Store) Buildpack(ctx context.Context, id source.BuildpackID) (source.Buildpack, error) {
	var row buildpackRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	return row.buildpack(), found(err, noBuildpack(id), "find buildpack")
}

// AddBuildpack keeps a buildpack; Created and Updated are filled in. It gets the
// position that it asks for, or the last one where there are fewer, and those
// behind it move on. At most most of them are kept; one more, and a name that its
// stack has, is a Conflict.
func (s *Store) AddBuildpack(ctx context.Context, b source.Buildpack, most int, evs ...event.Event) (source.Buildpack, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		all, err := s.Buildpacks(ctx)
		if err != nil {
			return err
		}
		if len(all) >= most {
			return fault.New(fault.Conflict, "buildpack", "there are %d buildpacks, and no more are kept", most).WithTry("naru buildpack delete NAME")
		}
		if err := freeBuildpack(all, b); err != nil {
			return err
		}
		b.Created, b.Updated = t.Now, t.Now
		b.Position = min(max(1, b.Position), len(all)+1)
		if _, err := t.NewInsert().Model(buildpackRowOf(b)).Exec(ctx); err != nil {
			return fmt.Errorf("keep buildpack %s: %w", b.Name, err)
		}
		return t.lineUp(ctx, slices.Insert(all, b.Position-1, b))
	})
	return b, err
}

// UpdateBuildpack changes a buildpack as change does, in one transaction; others
// make room for it where it moves.
func (s *Store) UpdateBuildpack(ctx context.Context, id source.BuildpackID, change func(*source.Buildpack) error, evs ...event.Event) (out source.Buildpack, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		all, err := s.Buildpacks(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(b source.Buildpack) bool { return b.ID == id })
		if at < 0 {
			return noBuildpack(id)
		}
		have := all[at]
		out = have
		if err := change(&out); err != nil {
			return err
		}
		if out.ID != have.ID {
			return errors.New("update buildpack: its id stays")
		}
		if err := freeBuildpack(all, out); err != nil {
			return err
		}
		out.Created, out.Updated = have.Created, t.Now
		out.Position = min(max(1, out.Position), len(all))
		if _, err := t.NewUpdate().Model(buildpackRowOf(out)).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("update buildpack %s: %w", out.Name, err)
		}
		return t.lineUp(ctx, slices.Insert(slices.Delete(all, at, at+1), out.Position-1, out))
	})
	return out, err
}

// DeleteBuildpack forgets a buildpack and what is written on it; those behind it
// move up. One that is not there is NotFound.
func (s *Store) DeleteBuildpack(ctx context.Context, id source.BuildpackID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		all, err := s.Buildpacks(ctx)
		if err != nil {
			return err
		}
		rest := slices.DeleteFunc(slices.Clone(all), func(b source.Buildpack) bool { return b.ID == id })
		if len(rest) == len(all) {
			return noBuildpack(id)
		}
		if _, err := t.NewDelete().Model((*buildpackRow)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("delete buildpack: %w", err)
		}
		if err := t.unlabel(ctx, "buildpacks", string(id)); err != nil {
			return err
		}
		return t.lineUp(ctx, rest)
	})
}

// freeBuildpack refuses a name that another buildpack has on the same stack.
func freeBuildpack(all []source.Buildpack, b source.Buildpack) error {
	for _, o := range all {
		if o.ID != b.ID && o.Name == b.Name && o.Stack == b.Stack {
			on := "without a stack"
			if b.Stack != "" {
				on = "for the stack " + b.Stack
			}
			return fault.New(fault.Conflict, "name", "there is a buildpack %s %s already", b.Name, on).WithTry("another name, or naru buildpack set %s --path PATH for other files", b.Name)
		}
	}
	return nil
}

// lineUp gives buildpacks the positions that they have in a list.
func (t *tx) lineUp(ctx context.Context, all []source.Buildpack) error {
	for i, b := range all {
		if b.Position == i+1 {
			continue
		}
		if _, err := t.NewUpdate().Model((*buildpackRow)(nil)).Set("position = ?", i+1).Where("id = ?", b.ID).Exec(ctx); err != nil {
			return fmt.Errorf("move buildpack %s: %w", b.Name, err)
		}
	}
	return nil
}
