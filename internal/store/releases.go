package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

type releaseRow struct {
	bun.BaseModel `bun:"table:releases"`

	ID         release.ID                    `bun:"id,pk"`
	App        app.ID                        `bun:"app_id"`
	Number     int                           `bun:"number"`
	Repository string                        `bun:"repository"`
	Digest     string                        `bun:"digest"`
	Snapshot   string                        `bun:"snapshot"`
	Env        doc[map[string]string]        `bun:"env"`
	Secrets    doc[[]string]                 `bun:"secrets"`
	Overrides  doc[map[string]app.Overrides] `bun:"overrides"`
	Processes  doc[[]app.Process]            `bun:"processes"`
	Reason     string                        `bun:"reason"`
	By         string                        `bun:"cut_by"`
	Created    stamp                         `bun:"created"`
}

func (r releaseRow) release() release.Release {
	return release.Release{
		ID: r.ID, App: r.App, Number: r.Number, Image: artifact.Ref{Repository: r.Repository, Digest: r.Digest},
		Snapshot: r.Snapshot, Env: r.Env.V, Secrets: r.Secrets.V, Overrides: r.Overrides.V, Processes: r.Processes.V,
		Reason: r.Reason, By: r.By, Created: r.Created.Time,
	}
}

// CutRelease gives cut the next release number of an app and the time, and keeps
// the release that it returns. An error of cut uses up no number.
func (s *Store) CutRelease(ctx context.Context, a app.ID, cut func(number int, now time.Time) (release.Release, error), evs ...event.Event) (rel release.Release, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(owner.Space, a)
		number, err := t.next(ctx, string(a), "release")
		if err != nil {
			return err
		}
		if rel, err = cut(int(number), t.Now); err != nil {
			return err
		}
		if rel.App != a || rel.Number != int(number) {
			return fmt.Errorf("cut release: it says %s v%d, not %s v%d", rel.App, rel.Number, a, number)
		}
		_, err = t.NewInsert().Model(&releaseRow{
			ID: rel.ID, App: a, Number: rel.Number, Repository: rel.Image.Repository, Digest: rel.Image.Digest,
			Snapshot: rel.Snapshot, Env: doc[map[string]string]{rel.Env}, Secrets: doc[[]string]{rel.Secrets},
			Overrides: doc[map[string]app.Overrides]{rel.Overrides}, Processes: doc[[]app.Process]{rel.Processes},
			Reason: clean(rel.Reason), By: rel.By, Created: stamp{rel.Created},
		}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("cut release %s of %s: %w", rel.Name(), owner.Name, err)
		}
		return nil
	})
	return rel, err
}

// Release returns a release by id.
func (s *Store) Release(ctx context.Context, rel release.ID) (release.Release, error) {
	var row releaseRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", rel).Scan(ctx)
	missing := fault.New(fault.NotFound, "release", "release %s does not exist", rel)
	return row.release(), found(err, missing, "find release")
}

// ReleaseNumbered returns a release of an app by its number.
func (s *Store) ReleaseNumbered(ctx context.Context, a app.ID, number int) (release.Release, error) {
	var row releaseRow
	err := s.read(ctx).NewSelect().Model(&row).Where("app_id = ? AND number = ?", a, number).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return release.Release{}, s.noRelease(ctx, a, fmt.Sprintf("release v%d", number))
	}
	return row.release(), found(err, nil, "find release")
}

// CurrentRelease returns what an app runs, or would if it were started: the
// release of its newest rollout that went well. An app without one is a NotFound.
func (s *Store) CurrentRelease(ctx context.Context, a app.ID) (release.Release, error) {
	current, err := s.CurrentReleases(ctx, a)
	if err != nil {
		return release.Release{}, err
	}
	rel, ok := current[a]
	if !ok {
		return release.Release{}, s.noRelease(ctx, a, "a release")
	}
	return rel, nil
}

// wentWell are the states in which a rollout's release has all the traffic.
var wentWell = []rollout.State{rollout.Watching, rollout.Done}

// CurrentReleases is CurrentRelease for several apps; apps without one are left
// out.
func (s *Store) CurrentReleases(ctx context.Context, apps ...app.ID) (map[app.ID]release.Release, error) {
	var rows []releaseRow
	err := s.read(ctx).NewRaw(`SELECT r.* FROM releases r JOIN rollouts o ON o.release_id = r.id
		WHERE o.app_id IN (?) AND o.state IN (?) AND NOT EXISTS (
			SELECT 1 FROM rollouts n WHERE n.app_id = o.app_id AND n.state IN (?) AND n.number > o.number)`,
		in(apps), in(wentWell), in(wentWell)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("find current releases: %w", err)
	}
	out := make(map[app.ID]release.Release, len(rows))
	for _, r := range rows {
		out[r.App] = r.release()
	}
	return out, nil
}

// noRelease names the app for people where it is known.
func (s *Store) noRelease(ctx context.Context, a app.ID, what string) *fault.Error {
	name := string(a)
	if have, err := s.App(ctx, a); err == nil {
		name = have.Name
	}
	return fault.New(fault.NotFound, "release", "%s of %s does not exist", what, name).WithTry("naru releases %s", name)
}

// Releases lists an app's releases, newest first, at most limit; all for 0.
func (s *Store) Releases(ctx context.Context, a app.ID, limit int) ([]release.Release, error) {
	var rows []releaseRow
	q := s.read(ctx).NewSelect().Model(&rows).Where("app_id = ?", a).Order("number DESC")
	if limit > 0 {
		q.Limit(int64(limit))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	return each(rows, releaseRow.release), nil
}

// ForgetReleases removes an app's releases but the newest keep, and but the
// current one and those that a group, a rollout under way or a task still needs.
// What a stopped app would run stays, also when it is old. Numbers are not used
// again. It returns how many.
func (s *Store) ForgetReleases(ctx context.Context, a app.ID, keep int, evs ...event.Event) (n int64, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(owner.Space, a)
		res, err := t.NewRaw(`DELETE FROM releases WHERE app_id = ?0
			AND id NOT IN (SELECT id FROM releases WHERE app_id = ?0 ORDER BY number DESC LIMIT ?1)
			AND id NOT IN (SELECT release_id FROM server_groups WHERE app_id = ?0)
			AND id NOT IN (SELECT release_id FROM rollouts WHERE app_id = ?0 AND number =
				(SELECT max(number) FROM rollouts WHERE app_id = ?0 AND state IN (?2)))
			AND id NOT IN (SELECT release_id FROM rollouts WHERE app_id = ?0 AND active)
			AND id NOT IN (SELECT from_id FROM rollouts WHERE app_id = ?0 AND active)
			AND id NOT IN (SELECT release_id FROM tasks WHERE app_id = ?0 AND ended = 0)`, a, max(keep, 1), in(wentWell)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("forget releases of %s: %w", owner.Name, err)
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}
