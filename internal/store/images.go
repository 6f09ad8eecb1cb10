package store

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/event"
	"naru/internal/fault"
)

type imageRow struct {
	bun.BaseModel `bun:"table:images"`

	ID         artifact.ID        `bun:"id,pk"`
	App        app.ID             `bun:"app_id"`
	Space      app.SpaceID        `bun:"space_id"`
	Repository string             `bun:"repository"`
	Digest     string             `bun:"digest"`
	Snapshot   string             `bun:"snapshot"`
	RecipeKey  string             `bun:"recipe_key"`
	Origin     string             `bun:"origin"`
	Foundation string             `bun:"foundation"`
	Processes  doc[[]app.Process] `bun:"processes"`
	Bytes      int64              `bun:"bytes"`
	Created    stamp              `bun:"created"`
}

func (r imageRow) image() artifact.Image {
	return artifact.Image{
		ID: r.ID, App: r.App, Ref: artifact.Ref{Repository: r.Repository, Digest: r.Digest},
		Snapshot: r.Snapshot, RecipeKey: r.RecipeKey, Origin: r.Origin, Foundation: r.Foundation,
		Processes: r.Processes.V, Bytes: r.Bytes, Created: r.Created.Time,
	}
}

func noImage(name string) *fault.Error {
	return fault.New(fault.NotFound, "image", "image %s does not exist", name).WithTry("naru push")
}

// AddImage keeps an image of an app, Created filled in. When the app has an
// equal one (reference, snapshot and recipe key) that one is returned, so that
// asking twice is asking once.
func (s *Store) AddImage(ctx context.Context, img artifact.Image, evs ...event.Event) (artifact.Image, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, img.App)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		var have []imageRow
		err = t.NewSelect().Model(&have).Where("app_id = ? AND repository = ? AND digest = ?", img.App, img.Ref.Repository, img.Ref.Digest).
			Where("snapshot = ? AND recipe_key = ?", img.Snapshot, img.RecipeKey).Limit(1).Scan(ctx)
		if err != nil {
			return fmt.Errorf("look for image: %w", err)
		}
		if len(have) > 0 {
			img = have[0].image()
			return nil
		}
		img.Created = t.Now
		_, err = t.NewInsert().Model(&imageRow{
			ID: img.ID, App: img.App, Space: owner.Space, Repository: img.Ref.Repository, Digest: img.Ref.Digest,
			Snapshot: img.Snapshot, RecipeKey: img.RecipeKey, Origin: img.Origin, Foundation: img.Foundation,
			Processes: doc[[]app.Process]{img.Processes}, Bytes: img.Bytes, Created: stamp{t.Now},
		}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep image: %w", err)
		}
		return nil
	})
	return img, err
}

// Image returns an image by id.
func (s *Store) Image(ctx context.Context, image artifact.ID) (artifact.Image, error) {
	var row imageRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", image).Scan(ctx)
	return row.image(), found(err, noImage(string(image)), "find image")
}

// ImageOf returns the newest image of an app with a reference.
func (s *Store) ImageOf(ctx context.Context, a app.ID, ref artifact.Ref) (artifact.Image, error) {
	var row imageRow
	err := s.read(ctx).NewSelect().Model(&row).Where("app_id = ? AND repository = ? AND digest = ?", a, ref.Repository, ref.Digest).
		Order("created DESC", "id DESC").Limit(1).Scan(ctx)
	return row.image(), found(err, noImage(ref.Short()), "find image")
}

// ImageByRecipe returns the newest image that was built in a space from an
// equal recipe; preferably one of the given app, whose repository it is in.
func (s *Store) ImageByRecipe(ctx context.Context, space app.SpaceID, a app.ID, key string) (artifact.Image, error) {
	var row imageRow
	err := s.read(ctx).NewSelect().Model(&row).Where("space_id = ? AND recipe_key = ? AND recipe_key <> ''", space, key).
		OrderExpr("CASE WHEN app_id = ? THEN 0 ELSE 1 END, created DESC, id DESC", a).Limit(1).Scan(ctx)
	return row.image(), found(err, noImage("of this recipe"), "find image by recipe")
}

// Images lists an app's images, newest first.
func (s *Store) Images(ctx context.Context, a app.ID) ([]artifact.Image, error) {
	var rows []imageRow
	err := s.read(ctx).NewSelect().Model(&rows).Where("app_id = ?", a).Order("created DESC", "id DESC").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	return each(rows, imageRow.image), nil
}

// ForgetImages removes images that no release uses, that no app's next release
// would be cut from, and that are older than before, so that the garbage collector may free them. It returns how many.
func (s *Store) ForgetImages(ctx context.Context, before time.Time, evs ...event.Event) (n int64, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		res, err := t.NewDelete().Model((*imageRow)(nil)).ModelTableExpr("images AS i").Where("i.created < ?", stamp{before}).
			Where("NOT EXISTS (SELECT 1 FROM releases r WHERE r.repository = i.repository AND r.digest = i.digest)").
			Where("NOT EXISTS (SELECT 1 FROM apps a WHERE a.image_id = i.id)").Exec(ctx)
		if err != nil {
			return fmt.Errorf("forget images: %w", err)
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// KeptImages yields every image that must stay in the registry, each once:
// those of releases, those remembered by recipe, and the foundations. It is one
// consistent reading; an image pushed since is not in it.
func (s *Store) KeptImages(ctx context.Context) iter.Seq2[artifact.Ref, error] {
	return func(yield func(artifact.Ref, error) bool) {
		rows, err := s.read(ctx).QueryContext(ctx, `SELECT repository, digest FROM releases
			UNION SELECT repository, digest FROM images
			UNION SELECT repository, digest FROM foundations`)
		if err != nil {
			yield(artifact.Ref{}, fmt.Errorf("list kept images: %w", err))
			return
		}
		defer func() { _ = rows.Close() }() // an error that matters is in rows.Err
		for rows.Next() {
			var ref artifact.Ref
			if err := rows.Scan(&ref.Repository, &ref.Digest); err != nil {
				yield(artifact.Ref{}, fmt.Errorf("list kept images: %w", err))
				return
			}
			if !yield(ref, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(artifact.Ref{}, fmt.Errorf("list kept images: %w", err))
		}
	}
}

// DeleteImage forgets an image; one that a release or an app's next release needs
// is a Conflict.
func (s *Store) DeleteImage(ctx context.Context, image artifact.ID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		img, err := s.Image(ctx, image)
		if err != nil {
			return err
		}
		owner, err := s.App(ctx, img.App)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		used, err := t.NewSelect().Model((*releaseRow)(nil)).Where("app_id = ? AND repository = ? AND digest = ?", img.App, img.Ref.Repository, img.Ref.Digest).Exists(ctx)
		if err != nil {
			return fmt.Errorf("delete image: %w", err)
		}
		if used || owner.Image == string(image) {
			return fault.New(fault.Conflict, "image", "image %s is needed by %s: a release of it runs or can be gone back to", image, owner.Name).
				WithTry("push something else first")
		}
		if _, err := t.NewDelete().Model((*imageRow)(nil)).Where("id = ?", image).Exec(ctx); err != nil {
			return fmt.Errorf("delete image: %w", err)
		}
		return nil
	})
}
