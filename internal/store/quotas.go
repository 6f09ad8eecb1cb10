package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/quota"
)

type quotaRow struct {
	bun.BaseModel `bun:"table:quotas"`

	ID      quota.ID          `bun:"id,pk"`
	Org     app.OrgID         `bun:"org_id"`
	Name    string            `bun:"name"`
	Limits  doc[quota.Limits] `bun:"limits"`
	Created stamp             `bun:"created"`
	Updated stamp             `bun:"updated"`
}

func quotaRowOf(q quota.Quota) *quotaRow {
	if q.Limits == nil {
		q.Limits = quota.Limits{}
	}
	return &quotaRow{ID: q.ID, Org: q.Org, Name: q.Name, Limits: doc[quota.Limits]{q.Limits}, Created: stamp{q.Created}, Updated: stamp{q.Updated}}
}

func (r quotaRow) quota() quota.Quota {
	return quota.Quota{ID: r.ID, Org: r.Org, Name: r.Name, Limits: r.Limits.V, Created: r.Created.Time, Updated: r.Updated.Time}
}

type holderRow struct {
	bun.BaseModel `bun:"table:quota_holders"`

	Place string   `bun:"place_id,pk"`
	Quota quota.ID `bun:"quota_id"`
}

func noQuota(name string) *fault.Error {
	return fault.New(fault.NotFound, "quota", "quota %q does not exist", name).WithTry("naru quotas")
}

// CreateQuota keeps a quota; Created and Updated are filled in. A name that is
// taken, among those of organisations or those of one organisation's spaces, is a
// Conflict.
func (s *Store) CreateQuota(ctx context.Context, q quota.Quota, evs ...event.Event) (quota.Quota, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if err := t.freeQuotaName(ctx, q); err != nil {
			return err
		}
		if q.Org != "" {
			if _, err := s.Org(ctx, q.Org); err != nil {
				return err
			}
		}
		q.Created, q.Updated = t.Now, t.Now
		if _, err := t.NewInsert().Model(quotaRowOf(q)).Exec(ctx); err != nil {
			return fmt.Errorf("create quota %s: %w", q.Name, err)
		}
		return nil
	})
	return q, err
}

func (t *tx) freeQuotaName(ctx context.Context, q quota.Quota) error {
	taken, err := t.NewSelect().Model((*quotaRow)(nil)).Where("org_id = ? AND name = ? AND id <> ?", q.Org, q.Name, q.ID).Exists(ctx)
	if err != nil {
		return fmt.Errorf("look for quota %s: %w", q.Name, err)
	}
	if taken {
		return fault.New(fault.Conflict, "name", "the quota %q exists already", q.Name).WithTry("naru quotas")
	}
	return nil
}

// Quota returns a quota by id.
func (s *Store) Quota(ctx context.Context, id quota.ID) (quota.Quota, error) {
	var row quotaRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	return row.quota(), found(err, noQuota(string(id)), "find quota")
}

// QuotaNamed returns a quota of organisations, or with org one of its spaces, by
// name.
func (s *Store) QuotaNamed(ctx context.Context, org app.OrgID, name string) (quota.Quota, error) {
	var row quotaRow
	err := s.read(ctx).NewSelect().Model(&row).Where("org_id = ? AND name = ?", org, name).Scan(ctx)
	return row.quota(), found(err, noQuota(name), "find quota "+name)
}

// Quotas lists all quotas, those of organisations first, by name.
func (s *Store) Quotas(ctx context.Context) ([]quota.Quota, error) {
	var rows []quotaRow
	if err := s.read(ctx).NewSelect().Model(&rows).Order("org_id", "name").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list quotas: %w", err)
	}
	return each(rows, quotaRow.quota), nil
}

// UpdateQuota changes a quota as change does; an error of change changes nothing
// and is returned. What is over a limit that became smaller stays as it is.
func (s *Store) UpdateQuota(ctx context.Context, id quota.ID, change func(*quota.Quota) error, evs ...event.Event) (out quota.Quota, err error) {
	err = s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		have, err := s.Quota(ctx, id)
		if err != nil {
			return err
		}
		out = have
		if err := change(&out); err != nil {
			return err
		}
		if out.ID != have.ID || out.Org != have.Org {
			return errors.New("update quota: its id and organisation stay")
		}
		if err := t.freeQuotaName(ctx, out); err != nil {
			return err
		}
		out.Created, out.Updated = have.Created, t.Now
		if _, err := t.NewUpdate().Model(quotaRowOf(out)).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("update quota %s: %w", out.Name, err)
		}
		return nil
	})
	return out, err
}

// DeleteQuota removes a quota. The default one, and one that an organisation has,
// is a Conflict; spaces that have it are without afterwards.
func (s *Store) DeleteQuota(ctx context.Context, id quota.ID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		q, err := s.Quota(ctx, id)
		if err != nil {
			return err
		}
		if id == quota.DefaultID {
			return fault.New(fault.Conflict, "quota", "the quota %q is what organisations have that were given no other", q.Name).
				WithTry("raise its limits, or give organisations others: naru quota assign QUOTA ORG")
		}
		if q.Org == "" {
			n, err := t.NewSelect().Model((*holderRow)(nil)).Where("quota_id = ?", id).Count(ctx)
			if err != nil {
				return fmt.Errorf("delete quota %s: %w", q.Name, err)
			}
			if n > 0 {
				return fault.New(fault.Conflict, "quota", "%d organisations have the quota %q", n, q.Name).
					WithTry("give them another one first: naru quota assign %s ORG", quota.DefaultName)
			}
		}
		return t.dropQuota(ctx, "id = ?", id)
	})
}

// dropQuota removes quotas, also from those that have them.
func (t *tx) dropQuota(ctx context.Context, where string, args ...any) error {
	ids := t.NewSelect().Model((*quotaRow)(nil)).Column("id").Where(where, args...)
	if _, err := t.NewDelete().Model((*holderRow)(nil)).Where("quota_id IN (?)", ids).Exec(ctx); err != nil {
		return fmt.Errorf("take a quota from its holders: %w", err)
	}
	if _, err := t.NewDelete().Model((*quotaRow)(nil)).Where(where, args...).Exec(ctx); err != nil {
		return fmt.Errorf("delete quota: %w", err)
	}
	return nil
}

// AssignQuota gives a quota to an organisation, or to a space of the quota's
// organisation, in place of the one it had.
func (s *Store) AssignQuota(ctx context.Context, id quota.ID, org app.OrgID, space app.SpaceID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		q, err := s.Quota(ctx, id)
		if err != nil {
			return err
		}
		place := string(org)
		if space != "" {
			where, err := s.Space(ctx, space)
			if err != nil {
				return err
			}
			if q.Org != where.Org {
				return fault.New(fault.Invalid, "quota", "the quota %q is not one for spaces of this organisation", q.Name).WithTry("naru quotas --space-quotas")
			}
			place = string(space)
			t.about(space, "")
		} else {
			if _, err := s.Org(ctx, org); err != nil {
				return err
			}
			if q.Org != "" {
				return fault.New(fault.Invalid, "quota", "the quota %q is for spaces", q.Name).WithTry("naru quotas")
			}
		}
		_, err = t.NewInsert().Model(&holderRow{Place: place, Quota: id}).On("CONFLICT (place_id) DO UPDATE").Set("quota_id = EXCLUDED.quota_id").Exec(ctx)
		if err != nil {
			return fmt.Errorf("assign quota %s: %w", q.Name, err)
		}
		return nil
	})
}

// UnassignQuota leaves a space without a quota of its own; one that has none is a
// NotFound.
func (s *Store) UnassignQuota(ctx context.Context, space app.SpaceID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		t.about(space, "")
		res, err := t.NewDelete().Model((*holderRow)(nil)).Where("place_id = ?", string(space)).Exec(ctx)
		return changed(res, err, fault.New(fault.NotFound, "quota", "the space has no quota of its own"), "take quota")
	})
}

// QuotaHolders returns which organisations and spaces were given which quota, by
// their ids. Organisations that are left out have the default one.
func (s *Store) QuotaHolders(ctx context.Context) (map[string]quota.ID, error) {
	var rows []holderRow
	if err := s.read(ctx).NewSelect().Model(&rows).Scan(ctx); err != nil {
		return nil, fmt.Errorf("list who has which quota: %w", err)
	}
	out := make(map[string]quota.ID, len(rows))
	for _, r := range rows {
		out[r.Place] = r.Quota
	}
	return out, nil
}

// QuotaOfOrg returns the quota of an organisation, with all its spaces.
func (s *Store) QuotaOfOrg(ctx context.Context, org app.OrgID) (quota.Held, error) {
	o, err := s.Org(ctx, org)
	if err != nil {
		return quota.Held{}, err
	}
	h := quota.Held{Place: o.Name, In: org}
	if h.Quota, err = s.heldBy(ctx, string(org), quota.DefaultID); err != nil {
		return h, err
	}
	spaces, err := s.Spaces(ctx, org)
	for _, sp := range spaces {
		h.Spaces = append(h.Spaces, sp.ID)
	}
	return h, err
}

// heldBy is the quota that a place was given, else another one; "": none.
func (s *Store) heldBy(ctx context.Context, place string, otherwise quota.ID) (quota.Quota, error) {
	var row quotaRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = COALESCE((SELECT quota_id FROM quota_holders WHERE place_id = ?), ?)", place, otherwise).Scan(ctx)
	return row.quota(), found(err, noQuota(string(otherwise)), "find quota")
}

// QuotasIn returns the quotas that limit anything in a space: its organisation's
// first, then its own.
func (s *Store) QuotasIn(ctx context.Context, space app.SpaceID) ([]quota.Held, error) {
	where, err := s.Space(ctx, space)
	if err != nil {
		return nil, err
	}
	var out []quota.Held
	q, err := s.heldBy(ctx, string(where.Org), quota.DefaultID)
	if err != nil {
		return nil, err
	}
	if len(q.Limits) > 0 {
		h, err := s.QuotaOfOrg(ctx, where.Org)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	q, err = s.heldBy(ctx, string(space), "")
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err == nil && len(q.Limits) > 0 {
		out = append(out, quota.Held{Quota: q, Place: where.Name, Spaces: []app.SpaceID{space}})
	}
	return out, nil
}

// countable says what is counted of a resource, as a condition on a table.
var countable = map[quota.Resource]struct{ table, where string }{
	quota.Routes: {"routes", "1 = 1"}, quota.Services: {"services", "1 = 1"},
	quota.Ports: {"routes", "host = 'tcp' AND path LIKE ':%'"},
}

// CountIn counts what there is of a resource in spaces.
func (s *Store) CountIn(ctx context.Context, r quota.Resource, spaces []app.SpaceID) (int, error) {
	what, known := countable[r]
	if !known || len(spaces) == 0 {
		return 0, nil
	}
	n, err := s.read(ctx).NewSelect().TableExpr(what.table).Where("space_id IN (?)", in(spaces)).Where(what.where).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", r, err)
	}
	return int(n), nil
}
