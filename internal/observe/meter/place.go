package meter

import (
	"strings"

	"naru/internal/app"
	"naru/internal/route"
)

// Place is where a pair belongs, in words for labels.
type Place struct {
	Route string // host and path, or "tcp:20000"
	Group string // name
	App   string // name
	In    Home
}

// Home is the space of an app; zero where there are none.
type Home struct {
	Org   app.OrgID
	Space app.SpaceID
	Name  string // "default/dev"
}

// Directory finds the place of a route and a group by their ids; a group of "" is
// what a gateway answered itself, one with route.Copies behind it the copies it
// was sent. Those of a comparison, with route.Pairs, are where their group is. Of a group that is not there any more it says what it can, and that it
// is not known: the app of the route is most likely the group's.
type Directory func(routeID, groupID string) (Place, bool)

// Listed makes a directory of a table. home may be nil: then nothing has a space.
func Listed(t *route.Table, home func(app.ID) Home) Directory {
	type at struct {
		name  string
		entry *route.Entry
		group *route.Group
	}
	all := make(map[key]at, 2*len(t.Routes))
	list := func(name string, e *route.Entry) {
		all[key{e.ID, ""}] = at{name, e, nil}
		for j := range e.Groups {
			all[key{e.ID, e.Groups[j].ID}] = at{name, e, &e.Groups[j]}
		}
	}
	for i := range t.Routes {
		list(route.Name(t.Routes[i].Host, t.Routes[i].Path), &t.Routes[i])
	}
	for i := range t.TCP {
		list(t.TCP[i].Name(), t.TCP[i].Entry())
	}
	return func(routeID, groupID string) (Place, bool) {
		groupID, copies := strings.CutSuffix(strings.TrimSuffix(groupID, route.Pairs), route.Copies)
		found, ok := all[key{routeID, groupID}]
		if !ok {
			if found, there := all[key{routeID, ""}]; there {
				p := Place{Route: found.name, Group: groupID, App: found.entry.App.Name}
				if home != nil {
					p.In = home(app.ID(found.entry.App.ID))
				}
				return p, false
			}
			return Place{Route: routeID, Group: groupID}, false
		}
		p, of := Place{Route: found.name}, found.entry.App
		if g := found.group; g != nil {
			if p.Group = g.Name; copies {
				p.Group += route.Copies
			}
			if g.App != nil {
				of = *g.App
			}
		}
		p.App = of.Name
		if home != nil {
			p.In = home(app.ID(of.ID))
		}
		return p, true
	}
}
