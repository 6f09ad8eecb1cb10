package quota

import (
	"context"
	"slices"

	"naru/internal/app"
	"naru/internal/feature"
)

// Store is what is asked about quotas and about what they count. Within a
// transaction of the caller it answers as of that transaction.
type Store interface {
	// QuotasIn returns the quotas that limit anything in a space: its
	// organisation's first, then its own.
	QuotasIn(ctx context.Context, space app.SpaceID) ([]Held, error)
	// QuotaOfOrg returns the quota of an organisation.
	QuotaOfOrg(ctx context.Context, org app.OrgID) (Held, error)
	// CountIn counts what there is of a resource in spaces.
	CountIn(ctx context.Context, r Resource, spaces []app.SpaceID) (int, error)
	// CountDomains counts the domains of an organisation's own.
	CountDomains(ctx context.Context, org app.OrgID) (int, error)
}

// Desk is where things are asked for that are counted one by one. Its methods are
// called in the transaction that makes the thing, so that two never get the same
// room. What takes a feature of the platform is refused to who asks without it.
type Desk struct{ store Store }

// NewDesk makes a desk.
func NewDesk(store Store) *Desk { return &Desk{store} }

// Route asks for one more route of a space; port: with a port of its own.
func (d *Desk) Route(ctx context.Context, space app.SpaceID, port bool) error {
	if err := feature.Ask(ctx, feature.RouteCreation); err != nil {
		return err
	}
	asked := []Resource{Routes}
	if port {
		asked = append(asked, Ports)
	}
	return d.more(ctx, space, asked...)
}

// Service asks for one more service instance of a space.
func (d *Desk) Service(ctx context.Context, space app.SpaceID) error {
	if err := feature.Ask(ctx, feature.ServiceInstanceCreation); err != nil {
		return err
	}
	return d.more(ctx, space, Services)
}

// ServiceKey asks for one more service key of a space.
func (d *Desk) ServiceKey(ctx context.Context, space app.SpaceID) error {
	return d.more(ctx, space, ServiceKeys)
}

func (d *Desk) more(ctx context.Context, space app.SpaceID, asked ...Resource) error {
	held, err := d.store.QuotasIn(ctx, space)
	if err != nil {
		return err
	}
	for _, h := range held {
		for _, r := range asked {
			if _, limited := h.Limits[r]; !limited {
				continue
			}
			used, err := d.store.CountIn(ctx, r, h.Spaces)
			if err != nil {
				return err
			}
			if err := h.Room(r, used, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// Domain asks for one more domain of an organisation's own.
func (d *Desk) Domain(ctx context.Context, org app.OrgID) error {
	if err := feature.Ask(ctx, feature.PrivateDomainCreation); err != nil {
		return err
	}
	h, err := d.store.QuotaOfOrg(ctx, org)
	if err != nil {
		return err
	}
	if _, limited := h.Limits[Domains]; !limited {
		return nil
	}
	used, err := d.store.CountDomains(ctx, org)
	if err != nil {
		return err
	}
	return h.Room(Domains, used, 1)
}

// Claim is what an app or a task takes, or is to take.
type Claim struct {
	Space app.SpaceID
	App   app.ID
	Task  bool
	Parts []Part
}

// Part is a number of equal instances.
type Part struct{ Count, MiB int }

func (c Claim) sum() (count, mib int) {
	for _, p := range c.Parts {
		count += p.Count
		mib += p.Count * p.MiB
	}
	return count, mib
}

// Largest is the memory of the largest instance, in MiB.
func (c Claim) Largest() (mib int) {
	for _, p := range c.Parts {
		if p.Count > 0 {
			mib = max(mib, p.MiB)
		}
	}
	return mib
}

// Run asks for an app, or a task, to run as it wants instead of as it was, beside
// what others take. logRate is how many bytes of log an instance may write per
// second.
func Run(held []Held, others []Claim, was, want Claim, logRate int) error {
	wasCount, wasMiB := was.sum()
	count, mib := want.sum()
	for _, h := range held {
		instances, memory, writers, tasks := 0, 0, 0, 0
		for _, o := range others {
			if !slices.Contains(h.Spaces, o.Space) {
				continue
			}
			n, m := o.sum()
			memory += m
			writers += n
			switch {
			case !o.Task:
				instances += n
			case o.App == want.App:
				tasks++
			}
		}
		checks := []func() error{
			func() error { return h.one(was.Largest(), want.Largest()) },
			func() error { return h.Room(Memory, memory+wasMiB, mib-wasMiB) },
			func() error { return h.Room(LogRate, (writers+wasCount)*logRate, (count-wasCount)*logRate) },
		}
		if want.Task {
			checks = append(checks, func() error { return h.Room(AppTasks, tasks, 1) })
		} else {
			checks = append(checks, func() error { return h.Room(Instances, instances+wasCount, count-wasCount) })
		}
		for _, check := range checks {
			if err := check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// one refuses an instance that is larger than one may be, and larger than it was.
func (h Held) one(was, want int) error {
	limit, limited := h.Limits[ProcessMemory]
	if !limited || want <= limit || want <= was {
		return nil
	}
	return (&Exceeded{Resource: ProcessMemory, Held: h, Asked: want, Limit: limit}).Fault()
}
