package route

import (
	"cmp"
	"slices"

	"naru/internal/app"
)

// Share fills in the weights of groups: those that were given one keep it, the
// others of the same app and process type share what is left of 100 by their
// healthy instances, at least 1 for each that has one while there is enough. The
// weights of a process type sum to 100, unless all that it has were given others.
func Share(groups []GroupState) {
	byProcess := map[processKey][]*GroupState{}
	for i := range groups {
		key := processKey{groups[i].App, groups[i].Process}
		byProcess[key] = append(byProcess[key], &groups[i])
	}
	for _, of := range byProcess {
		share(of)
	}
}

func share(groups []*GroupState) {
	left := Weight(100)
	var free []*GroupState
	for _, g := range groups {
		if g.Given != nil {
			g.Weight = *g.Given
			left -= g.Weight
		} else {
			g.Weight = 0
			free = append(free, g)
		}
	}
	left = max(left, 0)
	total := 0
	for _, g := range free {
		total += g.healthy()
	}
	if total == 0 { // nobody to prefer: the gateway asks only those that have an instance
		for i, g := range free {
			g.Weight = left / Weight(len(free))
			if i < int(left)%len(free) {
				g.Weight++
			}
		}
		return
	}
	rest := left
	for _, g := range free {
		if n := g.healthy(); n > 0 {
			g.Weight = max(min(1, rest), left*Weight(n)/Weight(total))
			g.Weight = min(g.Weight, rest)
			rest -= g.Weight
		}
	}
	if rest > 0 { // what rounding left goes to the largest
		slices.MaxFunc(free, func(a, b *GroupState) int {
			return cmp.Or(cmp.Compare(a.healthy(), b.healthy()), cmp.Compare(b.ID, a.ID))
		}).Weight += rest
	}
}

func (g *GroupState) healthy() (n int) {
	for _, i := range g.Instances {
		if i.Healthy {
			n++
		}
	}
	return n
}

// guarded returns the guard that an entry's group has there: one whose baseline
// is not behind the entry has nothing to compare with.
func guarded(g *Guard, groups []Group) *Guard {
	if g == nil || !slices.ContainsFunc(groups, func(o Group) bool { return o.ID == g.Baseline }) {
		return nil
	}
	return g
}

// paired returns the pair that an entry's group has there; "" where it is not
// behind the entry.
func paired(id string, groups []Group) string {
	if id == "" || !slices.ContainsFunc(groups, func(o Group) bool { return o.ID == id }) {
		return ""
	}
	return id
}

// ParseMatch makes a match of "header:NAME=VALUE" or "cookie:NAME=VALUE".
func ParseMatch(text string) (*Match, error) {
	kind, name, value, err := app.ParseMatch(text)
	if err != nil {
		return nil, err
	}
	if kind == "cookie" {
		return &Match{Cookie: name, Value: value}, nil
	}
	return &Match{Header: name, Value: value}, nil
}
