package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/route"
)

type domainRow struct {
	bun.BaseModel `bun:"table:domains"`

	ID      route.DomainID   `bun:"id,pk"`
	Name    string           `bun:"name"`
	Org     app.OrgID        `bun:"org_id"`
	Shared  doc[[]app.OrgID] `bun:"shared"`
	Created stamp            `bun:"created"`
}

func (r domainRow) domain() route.Domain {
	return route.Domain{ID: r.ID, Name: r.Name, Org: r.Org, Shared: r.Shared.V, Created: r.Created.Time}
}

func noDomain(name string) *fault.Error {
	return fault.New(fault.NotFound, "domain", "domain %q does not exist", name)
}

// CreateDomain keeps a domain; Created is filled in. A name that is taken, and one
// below or above a domain of another organisation, is a Conflict.
func (s *Store) CreateDomain(ctx context.Context, d route.Domain, evs ...event.Event) (route.Domain, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		all, err := s.Domains(ctx)
		if err != nil {
			return err
		}
		for _, o := range all {
			switch {
			case o.Name == d.Name:
				return fault.New(fault.Conflict, "name", "The domain name %q is already in use", d.Name)
			case (route.Below(d.Name, o.Name) || route.Below(o.Name, d.Name)) && o.Org != d.Org:
				return fault.New(fault.Conflict, "name", "The domain name %q cannot be created because %q is already reserved by another domain", d.Name, o.Name)
			}
		}
		if d.Org != "" {
			if _, err := s.Org(ctx, d.Org); err != nil {
				return err
			}
		}
		d.Created = t.Now
		row := &domainRow{ID: d.ID, Name: d.Name, Org: d.Org, Shared: doc[[]app.OrgID]{d.Shared}, Created: stamp{t.Now}}
		if _, err := t.NewInsert().Model(row).Exec(ctx); err != nil {
			return fmt.Errorf("create domain %s: %w", d.Name, err)
		}
		return nil
	})
	return d, err
}

// Domains lists all domains by name.
func (s *Store) Domains(ctx context.Context) ([]route.Domain, error) {
	var rows []domainRow
	if err := s.read(ctx).NewSelect().Model(&rows).Order("name").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list domains: %w", err)
	}
	return each(rows, domainRow.domain), nil
}

// ShareDomain lets further organisations use a domain of one organisation, or no
// longer.
func (s *Store) ShareDomain(ctx context.Context, id route.DomainID, with []app.OrgID, shared bool, evs ...event.Event) (out route.Domain, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		var row domainRow
		err := t.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
		if err := found(err, noDomain(string(id)), "find domain"); err != nil {
			return err
		}
		row.Shared.V = slices.DeleteFunc(row.Shared.V, func(o app.OrgID) bool { return slices.Contains(with, o) })
		if shared {
			row.Shared.V = append(row.Shared.V, with...)
		}
		if _, err := t.NewUpdate().Model(&row).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("share domain %s: %w", row.Name, err)
		}
		out = row.domain()
		return nil
	})
	return out, err
}

// DeleteDomain forgets a domain. Routes below it stay.
func (s *Store) DeleteDomain(ctx context.Context, id route.DomainID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		res, err := t.NewDelete().Model((*domainRow)(nil)).Where("id = ?", id).Exec(ctx)
		if err := changed(res, err, noDomain(string(id)), "delete domain"); err != nil {
			return err
		}
		return t.unlabel(ctx, label.Domains, string(id))
	})
}

// CountDomains counts the domains of an organisation's own.
func (s *Store) CountDomains(ctx context.Context, org app.OrgID) (int, error) {
	n, err := s.read(ctx).NewSelect().Model((*domainRow)(nil)).Where("org_id = ?", org).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count domains: %w", err)
	}
	return int(n), nil
}

// forgetOrg removes what an organisation that goes has of its own.
func (t *tx) forgetOrg(ctx context.Context, org app.OrgID) error {
	if err := t.dropQuota(ctx, "org_id = ?", org); err != nil {
		return err
	}
	if _, err := t.NewDelete().Model((*domainRow)(nil)).Where("org_id = ?", org).Exec(ctx); err != nil {
		return fmt.Errorf("delete domains of org %s: %w", org, err)
	}
	var rows []domainRow
	if err := t.NewSelect().Model(&rows).Where("shared LIKE ?", "%"+string(org)+"%").Scan(ctx); err != nil {
		return fmt.Errorf("find domains shared with org %s: %w", org, err)
	}
	for _, r := range rows {
		r.Shared.V = slices.DeleteFunc(r.Shared.V, func(o app.OrgID) bool { return o == org })
		if _, err := t.NewUpdate().Model(&r).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("unshare domain %s: %w", r.Name, err)
		}
	}
	return t.forgetPlace(ctx, string(org))
}

// forgetPlace removes what an organisation or a space that goes was given.
func (t *tx) forgetPlace(ctx context.Context, place string) error {
	if _, err := t.NewDelete().Model((*holderRow)(nil)).Where("place_id = ?", place).Exec(ctx); err != nil {
		return fmt.Errorf("take the quota of %s: %w", place, err)
	}
	return nil
}
