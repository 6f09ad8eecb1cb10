package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/artifact"
	"naru/internal/event"
	"naru/internal/fault"
)

type foundationRow struct {
	bun.BaseModel `bun:"table:foundations"`

	Name       string `bun:"name,pk"`
	Repository string `bun:"repository"`
	Digest     string `bun:"digest"`
	Lock       string `bun:"lock"`
	ABI        string `bun:"abi"`
	SBOM       string `bun:"sbom"`
	Bytes      int64  `bun:"bytes"`
	Created    stamp  `bun:"created"`
}

func (r foundationRow) foundation() artifact.Foundation {
	return artifact.Foundation{
		Name: r.Name, Ref: artifact.Ref{Repository: r.Repository, Digest: r.Digest},
		Lock: r.Lock, ABI: r.ABI, SBOM: r.SBOM, Bytes: r.Bytes, Created: r.Created.Time,
	}
}

// SetFoundation keeps a foundation in place of the one of that name. Created is
// filled in.
func (s *Store) SetFoundation(ctx context.Context, f artifact.Foundation, evs ...event.Event) (artifact.Foundation, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		f.Created = t.Now
		_, err := t.NewInsert().Model(&foundationRow{
			Name: f.Name, Repository: f.Ref.Repository, Digest: f.Ref.Digest,
			Lock: f.Lock, ABI: f.ABI, SBOM: f.SBOM, Bytes: f.Bytes, Created: stamp{t.Now},
		}).On("CONFLICT (name) DO UPDATE").
			Set("repository = EXCLUDED.repository, digest = EXCLUDED.digest, lock = EXCLUDED.lock, abi = EXCLUDED.abi").
			Set("sbom = EXCLUDED.sbom, bytes = EXCLUDED.bytes, created = EXCLUDED.created").Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep foundation %s: %w", f.Name, err)
		}
		return nil
	})
	return f, err
}

// Foundation returns a foundation by name.
func (s *Store) Foundation(ctx context.Context, name string) (artifact.Foundation, error) {
	var row foundationRow
	err := s.read(ctx).NewSelect().Model(&row).Where("name = ?", name).Scan(ctx)
	return row.foundation(), found(err, noFoundation(name), "find foundation "+name)
}

// Foundations lists all foundations by name.
func (s *Store) Foundations(ctx context.Context) ([]artifact.Foundation, error) {
	var rows []foundationRow
	if err := s.read(ctx).NewSelect().Model(&rows).Order("name").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list foundations: %w", err)
	}
	return each(rows, foundationRow.foundation), nil
}

// DeleteFoundation forgets a foundation. Images that stand on it keep their
// layers.
func (s *Store) DeleteFoundation(ctx context.Context, name string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		res, err := t.NewDelete().Model((*foundationRow)(nil)).Where("name = ?", name).Exec(ctx)
		return changed(res, err, noFoundation(name), "delete foundation")
	})
}

func noFoundation(name string) *fault.Error {
	return fault.New(fault.NotFound, "foundation", "foundation %q does not exist", name).WithTry("naru foundations")
}
