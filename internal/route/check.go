package route

import (
	"cmp"
	"fmt"
	"net"
	"strconv"

	"naru/internal/fault"
)

// Bounds of a table.
const (
	MaxRoutes = 200_000 // entries
	MaxGroups = 1_000   // groups of one entry
)

// Check refuses a table the gateway could not serve as written. The error's
// field is the key of the first problem: "routes[3].groups[0].weight".
func (t *Table) Check() error {
	if p := t.problem(); p != nil {
		return fault.New(fault.Invalid, p.key, "%s", p.what)
	}
	return nil
}

// problem is what is wrong at a key.
type problem struct{ key, what string }

// under puts the problem of a list's element in its place. Keys are written only
// where there is a problem: tables have many instances.
func (p *problem) under(list string, i int) *problem {
	if p != nil {
		p.key = list + "[" + strconv.Itoa(i) + "]" + p.key
	}
	return p
}

func (t *Table) problem() *problem {
	if len(t.Routes) > MaxRoutes {
		return &problem{"routes", fmt.Sprintf("%d routes are more than the %d allowed", len(t.Routes), MaxRoutes)}
	}
	type place struct{ host, path, when string }
	seen := make(map[place]int, len(t.Routes))
	for i := range t.Routes {
		e := &t.Routes[i]
		p := e.problem()
		at := place{e.Host, e.Path, e.When.Key()}
		if first, ok := seen[at]; ok && p == nil {
			p = &problem{"", fmt.Sprintf("%s is already routes[%d]", Name(e.Host, e.Path), first)}
		}
		if p != nil {
			return p.under("routes", i)
		}
		seen[at] = i
	}
	return cmp.Or(t.journeyProblem(), t.streamProblem())
}

func (e *Entry) problem() *problem {
	if e.ID == "" {
		return &problem{".id", "is missing"}
	}
	if what := hostProblem(e.Host); what != "" {
		return &problem{".host", fmt.Sprintf("%q is not a host name: %s", e.Host, what)}
	}
	if what := pathProblem(e.Path); what != "" {
		return &problem{".path", fmt.Sprintf("%q cannot be a path: %s", e.Path, what)}
	}
	if e.Limits != nil && e.Limits.Body < 0 {
		return &problem{".limits.body", "must not be negative"}
	}
	if p := first(sub(".when", e.When), sub(".policy", e.Policy)); p != nil {
		return p
	}
	return groupsProblem(e.Groups)
}

func groupsProblem(groups []Group) *problem {
	if len(groups) > MaxGroups {
		return &problem{".groups", fmt.Sprintf("%d groups are more than the %d allowed", len(groups), MaxGroups)}
	}
	for i := range groups {
		p := groups[i].problem()
		for j := range i {
			if p == nil && groups[j].ID == groups[i].ID {
				p = &problem{".id", fmt.Sprintf("%q is already groups[%d]", groups[i].ID, j)}
			}
		}
		if p != nil {
			return p.under(".groups", i)
		}
	}
	return nil
}

func (g *Group) problem() *problem {
	if g.ID == "" {
		return &problem{".id", "is missing"}
	}
	if g.Weight < 0 || g.Weight > MaxShare {
		return &problem{".weight", fmt.Sprintf("%d is not between 0 and %d", g.Weight, MaxShare)}
	}
	if g.Protocol != "" && g.Protocol != HTTP2 {
		return &problem{".protocol", fmt.Sprintf("%q is not %s; leave it out for HTTP/1.1", g.Protocol, HTTP2)}
	}
	if g.Guard != nil {
		if p := g.Guard.problem(); p != nil {
			return &problem{".guard" + p.key, p.what}
		}
	}
	if g.Match != nil {
		if p := g.Match.problem(); p != nil {
			return &problem{".match" + p.key, p.what}
		}
	}
	if g.Pair == g.ID {
		return &problem{".pair", "is the group itself"}
	}
	for i, in := range g.Instances {
		if in.ID == "" {
			return (&problem{".id", "is missing"}).under(".instances", i)
		}
		if !addressOK(in.Address) {
			return (&problem{".address", fmt.Sprintf("%q is not HOST:PORT", in.Address)}).under(".instances", i)
		}
	}
	return nil
}

func addressOK(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n <= 65535
}
