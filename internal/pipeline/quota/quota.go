// Package quota says how much an organisation or a space may have of things, and
// refuses what goes beyond.
package quota

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/size"
)

// ID identifies a quota.
type ID string

// DefaultID is the quota of organisations that were given no other. It is there
// from the first start, limits nothing, and is never deleted.
const DefaultID ID = "590e345f-c940-5512-af16-b7856b94c356"

// DefaultName is the name of the default quota.
const DefaultName = "default"

// Resource is something that a quota limits.
type Resource string

// The resources, with their units.
const (
	Memory        Resource = "memory"         // MiB of all instances and tasks together
	ProcessMemory Resource = "process_memory" // MiB of one instance or task
	Instances     Resource = "instances"      // of all apps together
	LogRate       Resource = "log_rate"       // bytes per second of all instances and tasks together
	AppTasks      Resource = "app_tasks"      // of one app that have not ended
	Routes        Resource = "routes"         //
	Ports         Resource = "ports"          // routes with a port of their own
	Services      Resource = "services"       // service instances
	ServiceKeys   Resource = "service_keys"   //
	Domains       Resource = "domains"        // of an organisation's own
	PaidServices  Resource = "paid_services"  // 0: none that cost; nothing else counts
)

// Resources returns every resource.
func Resources() []Resource {
	return []Resource{Memory, ProcessMemory, Instances, LogRate, AppTasks, Routes, Ports, Services, ServiceKeys, Domains, PaidServices}
}

// MaxLimit is the largest number that a limit may be.
const MaxLimit = 1<<31 - 1

// Limits are the most of each resource: what is absent is not limited, 0 allows
// none.
type Limits map[Resource]int

// Check refuses what is no resource, and numbers that are none of it.
func (l Limits) Check() error {
	for _, r := range slices.Sorted(maps.Keys(l)) {
		if !slices.Contains(Resources(), r) {
			return fault.New(fault.Invalid, "limits."+string(r), "%q is nothing that a quota limits", r).WithTry("use one of %s", joined(Resources()))
		}
		if n := l[r]; n < 0 || n > MaxLimit {
			return fault.New(fault.Invalid, "limits."+string(r), "a limit is a number from 0 to %d, or absent for none (got %d)", MaxLimit, n)
		}
	}
	return nil
}

// Change is what is to be another in limits: nil takes a limit away.
type Change map[Resource]*int

// Apply returns the limits with a change.
func (l Limits) Apply(c Change) Limits {
	out := maps.Clone(l)
	if out == nil {
		out = Limits{}
	}
	for r, n := range c {
		if n == nil {
			delete(out, r)
		} else {
			out[r] = *n
		}
	}
	return out
}

// Quota is a named set of limits: of organisations, or of the spaces of one.
type Quota struct {
	ID      ID
	Name    string
	Org     app.OrgID // "": it is for organisations; else for spaces of this one
	Limits  Limits
	Created time.Time
	Updated time.Time
}

// Check refuses a quota that cannot be kept.
func (q Quota) Check() error {
	if err := app.CheckName("name", q.Name); err != nil {
		return err
	}
	if _, ok := q.Limits[Domains]; ok && q.Org != "" {
		return fault.New(fault.Invalid, "limits.domains", "a domain belongs to an organisation, not to a space").WithTry("limit domains in the organisation's quota")
	}
	return q.Limits.Check()
}

// Held is a quota and the place that it holds in.
type Held struct {
	Quota
	Place  string        // name of the organisation, or of the space
	In     app.OrgID     // the organisation that it holds in; "": it holds in a space
	Spaces []app.SpaceID // that share it: those of the organisation, or the one
}

// place is how a refusal names where a quota holds.
func (h Held) place() string {
	if h.Org == "" {
		return fmt.Sprintf("organisation %q", h.Place)
	}
	return fmt.Sprintf("space %q", h.Place)
}

// Exceeded is why something is refused: there would be more than a quota allows.
type Exceeded struct {
	Resource           Resource
	Held               Held
	Used, Asked, Limit int
}

// Error says which quota, what is used, and what was asked for.
func (e *Exceeded) Error() string {
	show := e.Resource.amount
	if e.Resource == ProcessMemory || e.Resource == PaidServices {
		return fmt.Sprintf("the quota %q of %s allows %s; %s were asked for", e.Held.Name, e.Held.place(), show(e.Limit), show(e.Asked))
	}
	return fmt.Sprintf("the quota %q of %s allows %s: %s are used, and %s more were asked for",
		e.Held.Name, e.Held.place(), show(e.Limit), show(e.Used), show(e.Asked))
}

// Fault is the refusal with the way out.
func (e *Exceeded) Fault() *fault.Error {
	out := "naru quota set " + e.Held.Name + " " + string(e.Resource) + "=MORE"
	if e.Held.Org != "" {
		out += " --space-quota"
	}
	return fault.New(fault.Conflict, string(e.Resource), "%s", e.Error()).
		WithTry("ask for less, give back what is not needed, or have an admin raise it: %s", out).WithCause(e)
}

// amount is a number of a resource in words.
func (r Resource) amount(n int) string {
	switch r {
	case Memory:
		return size.MiB(n)
	case ProcessMemory:
		return size.MiB(n) + " for one instance"
	case LogRate:
		return fmt.Sprintf("%d bytes of log per second", n)
	case AppTasks:
		return fmt.Sprintf("%d tasks of one app", n)
	}
	return fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(r), "_", " "))
}

// Room refuses more of a resource where a quota allows less. What does not grow
// is never refused.
func (h Held) Room(r Resource, used, more int) error {
	limit, limited := h.Limits[r]
	if !limited || more <= 0 || used+more <= limit {
		return nil
	}
	return (&Exceeded{Resource: r, Held: h, Used: used, Asked: more, Limit: limit}).Fault()
}

func joined(all []Resource) string {
	out := make([]string, len(all))
	for i, r := range all {
		out[i] = string(r)
	}
	return strings.Join(out, ", ")
}
