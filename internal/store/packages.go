package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/source"
)

type packageRow struct {
	bun.BaseModel `bun:"table:packages"`

	ID       source.PackageID    `bun:"id,pk"`
	App      app.ID              `bun:"app_id"`
	Space    app.SpaceID         `bun:"space_id"`
	Kind     source.PackageKind  `bun:"kind"`
	State    source.PackageState `bun:"state"`
	Snapshot string              `bun:"snapshot"`
	Image    string              `bun:"image"`
	Username string              `bun:"username"`
	Error    string              `bun:"error"`
	Created  stamp               `bun:"created"`
	Updated  stamp               `bun:"updated"`
}

func packageRowOf(p source.Package) *packageRow {
	return &packageRow{
		ID: p.ID, App: p.App, Space: p.Space, Kind: p.Kind, State: p.State, Snapshot: p.Snapshot, Image: p.Image,
		Username: p.Username, Error: p.Error, Created: stamp{p.Created}, Updated: stamp{p.Updated},
	}
}

func (r packageRow) pack() source.Package {
	return source.Package{
		ID: r.ID, App: r.App, Space: r.Space, Kind: r.Kind, State: r.State, Snapshot: r.Snapshot, Image: r.Image,
		Username: r.Username, Error: r.Error, Created: r.Created.Time, Updated: r.Updated.Time,
	}
}

type packageImageRow struct {
	bun.BaseModel `bun:"table:package_images"`

	Package source.PackageID `bun:"package_id,pk"`
	Image   artifact.ID      `bun:"image_id,pk"`
}

func noPackage(id source.PackageID) *fault.Error {
	return fault.New(fault.NotFound, "package", "package %s does not exist", id)
}

// AddPackage keeps a package of an app; Space, Created and Updated are filled in.
func (s *Store) AddPackage(ctx context.Context, p source.Package, evs ...event.Event) (source.Package, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, p.App)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		p.Space, p.Created, p.Updated = owner.Space, t.Now, t.Now
		if _, err := t.NewInsert().Model(packageRowOf(p)).Exec(ctx); err != nil {
			return fmt.Errorf("keep package: %w", err)
		}
		return nil
	})
	return p, err
}

// Package returns a package by id.
func (s *Store) Package(ctx context.Context, id source.PackageID) (source.Package, error) {
	var row packageRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	return row.pack(), found(err, noPackage(id), "find package")
}

// Packages lists the packages of apps, newest first.
func (s *Store) Packages(ctx context.Context, apps ...app.ID) ([]source.Package, error) {
	var rows []packageRow
	err := s.read(ctx).NewSelect().Model(&rows).Where("app_id IN (?)", in(apps)).Order("created DESC", "id DESC").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	return each(rows, packageRow.pack), nil
}

// UpdatePackage changes a package as change does, in one transaction; a state
// that cannot follow is an error.
func (s *Store) UpdatePackage(ctx context.Context, id source.PackageID, change func(*source.Package) error, evs ...event.Event) (out source.Package, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		have, err := s.Package(ctx, id)
		if err != nil {
			return err
		}
		out = have
		if err := change(&out); err != nil {
			return err
		}
		if out.ID != have.ID || out.App != have.App {
			return errors.New("update package: its id and app stay")
		}
		if out.State != have.State && !have.State.CanBecome(out.State) {
			return fmt.Errorf("update package: %s cannot become %s", have.State, out.State)
		}
		t.about(have.Space, have.App)
		out.Space, out.Created, out.Updated = have.Space, have.Created, t.Now
		if _, err := t.NewUpdate().Model(packageRowOf(out)).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("update package: %w", err)
		}
		return nil
	})
	return out, err
}

// DeletePackage forgets a package; the images that were made of it stay. One that
// is not there is no error.
func (s *Store) DeletePackage(ctx context.Context, id source.PackageID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := t.NewDelete().Model((*packageRow)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("delete package: %w", err)
		}
		return nil
	})
}

// LinkImage notes that an image was made of a package. Twice is once; a package
// that was deleted meanwhile is no error.
func (s *Store) LinkImage(ctx context.Context, p source.PackageID, img artifact.ID) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		_, err := t.NewRaw(`INSERT INTO package_images (package_id, image_id)
			SELECT id, ?1 FROM packages WHERE id = ?0 ON CONFLICT (package_id, image_id) DO NOTHING`, p, img).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note what image %s was made of: %w", img, err)
		}
		return nil
	})
}

// PackageImages returns the newest package of each of an app's images that was
// made of one.
func (s *Store) PackageImages(ctx context.Context, apps ...app.ID) (map[artifact.ID]source.PackageID, error) {
	var rows []packageImageRow
	err := s.read(ctx).NewRaw(`SELECT i.package_id, i.image_id FROM package_images i JOIN packages p ON p.id = i.package_id
		WHERE p.app_id IN (?) ORDER BY p.created, p.id`, in(apps)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("list what images were made of: %w", err)
	}
	out := make(map[artifact.ID]source.PackageID, len(rows))
	for _, r := range rows {
		out[r.Image] = r.Package // the newest comes last
	}
	return out, nil
}

// ImagesOfPackage lists what was made of a package, newest first.
func (s *Store) ImagesOfPackage(ctx context.Context, p source.PackageID) ([]artifact.Image, error) {
	var rows []imageRow
	err := s.read(ctx).NewSelect().Model(&rows).Where("id IN (SELECT image_id FROM package_images WHERE package_id = ?)", p).
		Order("created DESC", "id DESC").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images of package: %w", err)
	}
	return each(rows, imageRow.image), nil
}

// SpoilPackages ends the waiting of packages whose upload never came. It returns
// how many.
func (s *Store) SpoilPackages(ctx context.Context, before time.Time, why string) (n int64, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		res, err := t.NewUpdate().Model((*packageRow)(nil)).Set("state = ?, error = ?, updated = ?", source.Spoilt, why, stamp{t.Now}).
			Where("state = ? AND created < ?", source.Awaiting, stamp{before}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("end the waiting of packages: %w", err)
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}
