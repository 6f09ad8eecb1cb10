package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/source"
)

type snapshotRow struct {
	bun.BaseModel `bun:"table:snapshots"`

	ID      string             `bun:"id,pk"`
	Space   app.SpaceID        `bun:"space_id"`
	Digest  string             `bun:"digest"`
	Files   int                `bun:"files"`
	Bytes   int64              `bun:"bytes"`
	Origin  doc[source.Origin] `bun:"origin"`
	Created stamp              `bun:"created"`
}

func (r snapshotRow) snapshot() source.Snapshot {
	return source.Snapshot{
		ID: r.ID, Space: r.Space, Digest: r.Digest, Files: r.Files, Bytes: r.Bytes,
		Origin: r.Origin.V, Created: r.Created.Time,
	}
}

func noSnapshot(name string) *fault.Error {
	return fault.New(fault.NotFound, "snapshot", "snapshot %s does not exist", name).WithTry("naru push")
}

// AddSnapshot keeps a snapshot, Created filled in. When the space has one of the
// same digest and origin that one is returned, so that asking twice is asking
// once.
func (s *Store) AddSnapshot(ctx context.Context, snap source.Snapshot, evs ...event.Event) (source.Snapshot, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		t.about(snap.Space, "")
		var have []snapshotRow
		err := t.NewSelect().Model(&have).Where("space_id = ? AND digest = ?", snap.Space, snap.Digest).Scan(ctx)
		if err != nil {
			return fmt.Errorf("look for snapshot: %w", err)
		}
		for _, row := range have {
			if row.Origin.V == snap.Origin {
				snap = row.snapshot()
				return nil
			}
		}
		snap.Created = t.Now
		_, err = t.NewInsert().Model(&snapshotRow{
			ID: snap.ID, Space: snap.Space, Digest: snap.Digest, Files: snap.Files, Bytes: snap.Bytes,
			Origin: doc[source.Origin]{snap.Origin}, Created: stamp{t.Now},
		}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep snapshot: %w", err)
		}
		return nil
	})
	return snap, err
}

// Snapshot returns a snapshot by id.
func (s *Store) Snapshot(ctx context.Context, snapshotID string) (source.Snapshot, error) {
	var row snapshotRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", snapshotID).Scan(ctx)
	return row.snapshot(), found(err, noSnapshot(snapshotID), "find snapshot")
}

// SnapshotByDigest returns the newest snapshot of a space with a digest. Other
// spaces' snapshots are not found: a digest must not be a key to other people's
// files.
func (s *Store) SnapshotByDigest(ctx context.Context, space app.SpaceID, digest string) (source.Snapshot, error) {
	var row snapshotRow
	err := s.read(ctx).NewSelect().Model(&row).Where("space_id = ? AND digest = ?", space, digest).
		Order("created DESC", "id DESC").Limit(1).Scan(ctx)
	return row.snapshot(), found(err, noSnapshot(digest), "find snapshot")
}

// Snapshots lists the snapshots of a space, newest first; of all spaces for "".
func (s *Store) Snapshots(ctx context.Context, space app.SpaceID) ([]source.Snapshot, error) {
	var rows []snapshotRow
	q := s.read(ctx).NewSelect().Model(&rows).Order("created DESC", "id DESC")
	if space != "" {
		q.Where("space_id = ?", space)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return each(rows, snapshotRow.snapshot), nil
}

// DeleteSnapshot forgets a snapshot; one that is not there is no error.
func (s *Store) DeleteSnapshot(ctx context.Context, snapshotID string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := t.NewDelete().Model((*snapshotRow)(nil)).Where("id = ?", snapshotID).Exec(ctx); err != nil {
			return fmt.Errorf("delete snapshot: %w", err)
		}
		return nil
	})
}
