package quota

import (
	"context"
	"maps"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
)

// Keeper keeps quotas.
type Keeper interface {
	Store
	CreateQuota(ctx context.Context, q Quota, evs ...event.Event) (Quota, error)
	Quota(ctx context.Context, id ID) (Quota, error)
	QuotaNamed(ctx context.Context, org app.OrgID, name string) (Quota, error)
	Quotas(ctx context.Context) ([]Quota, error)
	UpdateQuota(ctx context.Context, id ID, change func(*Quota) error, evs ...event.Event) (Quota, error)
	DeleteQuota(ctx context.Context, id ID, evs ...event.Event) error
	AssignQuota(ctx context.Context, id ID, org app.OrgID, space app.SpaceID, evs ...event.Event) error
	UnassignQuota(ctx context.Context, space app.SpaceID, evs ...event.Event) error
	QuotaHolders(ctx context.Context) (map[string]ID, error)
}

// Takers tell what runs and is to run takes in spaces: memory, instances and log.
type Takers interface {
	Taken(ctx context.Context, spaces []app.SpaceID) (map[Resource]int, error)
}

// Book is where people look quotas up and change them. What they do is recorded.
type Book struct {
	Keeper
	takers Takers
}

// NewBook makes a book.
func NewBook(keeper Keeper, takers Takers) *Book { return &Book{keeper, takers} }

// Create makes a quota.
func (b *Book) Create(ctx context.Context, by string, q Quota) (Quota, error) {
	if err := q.Check(); err != nil {
		return q, err
	}
	q.ID = ID(id.New())
	return b.CreateQuota(ctx, q, event.Event{Kind: "quota.created", Actor: by, Subject: q.Name, Detail: map[string]any{"limits": q.Limits}})
}

// Change gives a quota another name, unless it is "", and other limits.
func (b *Book) Change(ctx context.Context, by string, q ID, name string, change Change) (Quota, error) {
	have, err := b.Quota(ctx, q)
	if err != nil {
		return have, err
	}
	if q == DefaultID && name != "" && name != have.Name {
		return have, fault.New(fault.Conflict, "name", "the quota %q keeps its name", have.Name)
	}
	return b.UpdateQuota(ctx, q, func(q *Quota) error {
		if name != "" {
			q.Name = name
		}
		q.Limits = q.Limits.Apply(change)
		return q.Check()
	}, event.Event{Kind: "quota.changed", Actor: by, Subject: have.Name, Detail: map[string]any{"limits": change}})
}

// Delete removes a quota.
func (b *Book) Delete(ctx context.Context, by string, q ID) error {
	have, err := b.Quota(ctx, q)
	if err != nil {
		return err
	}
	return b.DeleteQuota(ctx, q, event.Event{Kind: "quota.deleted", Actor: by, Subject: have.Name})
}

// Assign gives a quota to an organisation, or to a space where one is named.
func (b *Book) Assign(ctx context.Context, by string, q ID, org app.Org, space app.Space) error {
	have, err := b.Quota(ctx, q)
	if err != nil {
		return err
	}
	to := org.Name
	if space.ID != "" {
		to += "/" + space.Name
	}
	return b.AssignQuota(ctx, q, org.ID, space.ID, event.Event{
		Kind: "quota.assigned", Actor: by, Space: string(space.ID), Subject: have.Name, Detail: map[string]any{"to": to},
	})
}

// Unassign leaves a space without a quota of its own.
func (b *Book) Unassign(ctx context.Context, by string, org app.Org, space app.Space) error {
	return b.UnassignQuota(ctx, space.ID, event.Event{Kind: "quota.unassigned", Actor: by, Space: string(space.ID), Subject: org.Name + "/" + space.Name})
}

// Used is how much of the resources is used where a quota holds.
func (b *Book) Used(ctx context.Context, h Held) (map[Resource]int, error) {
	out, err := b.takers.Taken(ctx, h.Spaces)
	if err != nil {
		return nil, err
	}
	out = maps.Clone(out)
	for _, r := range []Resource{Routes, Ports, Services} {
		if out[r], err = b.CountIn(ctx, r, h.Spaces); err != nil {
			return nil, err
		}
	}
	if h.In != "" {
		out[Domains], err = b.CountDomains(ctx, h.In)
	}
	return out, err
}
