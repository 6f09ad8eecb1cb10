package route

import (
	"fmt"
	"net"
	"strconv"

	"naru/internal/fault"
)

// MaxRoutes bounds the entries of a table.
const MaxRoutes = 200_000

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

func (t *Table) problem() *problem {
	if len(t.Routes) > MaxRoutes {
		return &problem{"routes", fmt.Sprintf("%d routes are more than the %d allowed", len(t.Routes), MaxRoutes)}
	}
	type place struct{ host, path string }
	seen := make(map[place]int, len(t.Routes))
	for i := range t.Routes {
		e := &t.Routes[i]
		key := "routes[" + strconv.Itoa(i) + "]"
		if p := e.problem(key); p != nil {
			return p
		}
		if first, ok := seen[place{e.Host, e.Path}]; ok {
			return &problem{key, fmt.Sprintf("%s is already routes[%d]", Name(e.Host, e.Path), first)}
		}
		seen[place{e.Host, e.Path}] = i
	}
	return nil
}

func (e *Entry) problem(key string) *problem {
	if e.ID == "" {
		return &problem{key + ".id", "is missing"}
	}
	if what := hostProblem(e.Host); what != "" {
		return &problem{key + ".host", fmt.Sprintf("%q is not a host name: %s", e.Host, what)}
	}
	if what := pathProblem(e.Path); what != "" {
		return &problem{key + ".path", fmt.Sprintf("%q cannot be a path: %s", e.Path, what)}
	}
	if e.Limits != nil && e.Limits.Body < 0 {
		return &problem{key + ".limits.body", "must not be negative"}
	}
	seen := make(map[string]int, len(e.Groups))
	for i := range e.Groups {
		g := &e.Groups[i]
		key := key + ".groups[" + strconv.Itoa(i) + "]"
		if p := g.problem(key); p != nil {
			return p
		}
		if first, ok := seen[g.ID]; ok {
			return &problem{key + ".id", fmt.Sprintf("%q is already groups[%d]", g.ID, first)}
		}
		seen[g.ID] = i
	}
	return nil
}

func (g *Group) problem(key string) *problem {
	if g.ID == "" {
		return &problem{key + ".id", "is missing"}
	}
	if g.Weight < 0 || g.Weight > MaxShare {
		return &problem{key + ".weight", fmt.Sprintf("%d is not between 0 and %d", g.Weight, MaxShare)}
	}
	for i, in := range g.Instances {
		key := key + ".instances[" + strconv.Itoa(i) + "]"
		if in.ID == "" {
			return &problem{key + ".id", "is missing"}
		}
		if !addressOK(in.Address) {
			return &problem{key + ".address", fmt.Sprintf("%q is not HOST:PORT", in.Address)}
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
