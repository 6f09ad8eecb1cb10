package route

import (
	"cmp"
	"slices"

	"naru/internal/app"
)

// Input is everything a table is built from, as the store and the runtime have
// it now.
type Input struct {
	Boot   string            // boot id the instances were started under
	Apps   map[app.ID]string // names of apps, for error pages and access records
	Routes []Route
	Groups []GroupState
	Static []Entry // routes of the platform itself (api., registry., console.); copied as they are

	Counted map[app.ID][]Counted // what objectives need counted
}

// GroupState is a server group with its weight and the instances it has.
type GroupState struct {
	ID        string
	Name      string
	App       app.ID
	Process   string
	Port      int     // what its instances' addresses point at; 0 where unknown
	Given     *Weight // what a rollout or a person gave it; nil: see Share
	Weight    Weight  // among the groups of the same app and process; filled in by Share
	Guard     *Guard  // of the weight, nil without one
	Match     *Match  // requests that come here whatever the weights say
	Pair      string  // id of the group that copies of requests compare it with; "": none are made
	Instances []InstanceState
}

// InstanceState is an instance as the runtime reports it.
type InstanceState struct {
	ID      string
	Index   int
	Address string // IP:PORT
	Healthy bool
}

// Build makes a table: destinations times group weights, healthy instances
// only, sorted, so that equal input gives an equal table. Version and Written
// are left for whoever publishes it.
func Build(in Input) Table {
	byProcess := map[processKey][]GroupState{}
	for _, g := range in.Groups {
		key := processKey{g.App, g.Process}
		byProcess[key] = append(byProcess[key], g)
	}
	t := Table{Boot: in.Boot, Routes: make([]Entry, 0, len(in.Routes)+len(in.Static))}
	own := map[string]bool{}
	for i := range in.Static {
		own[in.Static[i].Host] = true
	}
	for _, r := range in.Routes {
		switch {
		case len(r.Destinations) == 0 || own[r.Host]:
		case r.TCP != nil:
			t.TCP = append(t.TCP, stream(r, byProcess, in.Apps))
		default:
			t.Routes = append(t.Routes, entry(r, byProcess, in.Apps))
		}
	}
	t.Routes = append(t.Routes, in.Static...)
	slices.SortStableFunc(t.Routes, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path), cmp.Compare(a.ID, b.ID))
	})
	slices.SortStableFunc(t.TCP, compareStreams)
	for a, counted := range in.Counted {
		if len(counted) > 0 {
			t.Journeys = append(t.Journeys, Journeys{App: string(a), Counted: counted})
		}
	}
	slices.SortFunc(t.Journeys, func(a, b Journeys) int { return cmp.Compare(a.App, b.App) })
	return t
}

type processKey struct {
	app     app.ID
	process string
}

// entry turns a route into its line of the table. A route whose apps have no
// instance stays in the table: its visitors read 503 and not 404.
func entry(r Route, groups map[processKey][]GroupState, names map[app.ID]string) Entry {
	owner := r.Destinations[0].App
	e := Entry{
		ID: string(r.ID), Host: r.Host, Path: r.Path, When: r.When,
		App: App{ID: string(owner), Name: names[owner]}, Groups: []Group{},
		Timeouts: r.Timeouts, Limits: r.Limits, Policy: r.Policy,
	}
	equal := !slices.ContainsFunc(r.Destinations, func(d Destination) bool { return d.Weight > 0 })
	for i, d := range r.Destinations {
		if slices.ContainsFunc(r.Destinations[i+1:], d.same) {
			continue // what was stored when a process could be had at two ports; the gateways would refuse the whole table
		}
		share := d.Weight
		if equal {
			share = 100
		}
		for _, g := range groups[processKey{d.App, d.process()}] {
			out := Group{ID: g.ID, Name: g.Name, Weight: int(share) * int(g.Weight), Instances: healthy(g, d.Port), Guard: g.Guard, Match: g.Match, Pair: g.Pair, Protocol: d.Protocol}
			if d.App != owner {
				out.App = &App{ID: string(d.App), Name: names[d.App]}
			}
			e.Groups = append(e.Groups, out)
		}
	}
	percent(e.Groups)
	for i := range e.Groups {
		e.Groups[i].Guard = guarded(e.Groups[i].Guard, e.Groups)
		e.Groups[i].Pair = paired(e.Groups[i].Pair, e.Groups)
	}
	slices.SortStableFunc(e.Groups, func(a, b Group) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return e
}

// healthy lists a group's healthy instances by index, at another port where the
// destination names one.
func healthy(g GroupState, port int) []Instance {
	out := []Instance{}
	for _, in := range g.Instances {
		if !in.Healthy {
			continue
		}
		address := in.Address
		if port != 0 && port != g.Port {
			address = withPort(address, port)
		}
		out = append(out, Instance{ID: in.ID, Address: address, Index: in.Index})
	}
	slices.SortFunc(out, func(a, b Instance) int { return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.ID, b.ID)) })
	return out
}

// percent writes the products as plain percentages where nothing is lost by it.
func percent(groups []Group) {
	for _, g := range groups {
		if g.Weight%100 != 0 {
			return
		}
	}
	for i := range groups {
		groups[i].Weight /= 100
	}
}
