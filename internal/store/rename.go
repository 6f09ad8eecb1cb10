package store

import (
	"context"
	"fmt"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
)

// RenameOrg gives an organisation another name. A taken one is a
// Conflict, and so are apps in it: their images are kept below its name, which
// somebody else could take.
func (s *Store) RenameOrg(ctx context.Context, org app.OrgID, name string, evs ...event.Event) (out app.Org, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if out, err = s.Org(ctx, org); err != nil {
			return err
		}
		taken, err := t.NewSelect().Model((*orgRow)(nil)).Where("name = ? AND id <> ?", name, org).Exists(ctx)
		if err != nil {
			return fmt.Errorf("rename org %s: %w", org, err)
		}
		if taken {
			return fault.New(fault.Conflict, "name", "the organisation %q exists already", name).WithTry("naru orgs")
		}
		if err := unnamed(ctx, t, "space_id IN (SELECT id FROM spaces WHERE org_id = ?)", org); err != nil {
			return err
		}
		out.Name = name
		_, err = t.NewUpdate().Model((*orgRow)(nil)).Set("name = ?", name).Where("id = ?", org).Exec(ctx)
		if err != nil {
			return fmt.Errorf("rename org %s: %w", org, err)
		}
		return nil
	})
	return out, err
}

// RenameSpace gives a space another name. One that its organisation has is a
// Conflict, and so are apps in it, as with RenameOrg.
func (s *Store) RenameSpace(ctx context.Context, space app.SpaceID, name string, evs ...event.Event) (out app.Space, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if out, err = s.Space(ctx, space); err != nil {
			return err
		}
		taken, err := t.NewSelect().Model((*spaceRow)(nil)).Where("org_id = ? AND name = ? AND id <> ?", out.Org, name, space).Exists(ctx)
		if err != nil {
			return fmt.Errorf("rename space %s: %w", space, err)
		}
		if taken {
			return fault.New(fault.Conflict, "name", "the organisation has a space %q already", name).WithTry("naru spaces")
		}
		if err := unnamed(ctx, t, "space_id = ?", space); err != nil {
			return err
		}
		out.Name = name
		t.about(space, "")
		if _, err = t.NewUpdate().Model((*spaceRow)(nil)).Set("name = ?", name).Where("id = ?", space).Exec(ctx); err != nil {
			return fmt.Errorf("rename space %s: %w", space, err)
		}
		return nil
	})
	return out, err
}

// unnamed refuses places that hold apps, whose images are named after them.
func unnamed(ctx context.Context, t *tx, where string, place any) error {
	n, err := t.NewSelect().Model((*appRow)(nil)).Where(where, place).Count(ctx)
	if err != nil {
		return fmt.Errorf("count apps: %w", err)
	}
	if n > 0 {
		return fault.New(fault.Conflict, "", "there are %d apps in it, and their images are kept below its present name", n).
			WithTry("delete the apps first, or make another space and push them there")
	}
	return nil
}
