package cf

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"

	"naru/internal/app"
)

// checkIncludes refuses what a query wants included and the thing does not have.
func checkIncludes(q url.Values, has []string) error {
	if !q.Has("include") {
		return nil
	}
	seen := map[string]bool{}
	for _, name := range values(q, "include") {
		switch {
		case !slices.Contains(has, name):
			return wrongQuery("Invalid included resource: '%s'. Valid included resources are: '%s'", name, strings.Join(has, "', '"))
		case seen[name]:
			return wrongQuery("Duplicate included resource: '%s'", name)
		}
		seen[name] = true
	}
	return nil
}

// wants reports whether one of these is to be included.
func (c *call) wants(names ...string) bool {
	q := c.r.URL.Query()
	return slices.ContainsFunc(names, func(name string) bool { return asked(q, "include", name) })
}

// around are the spaces of things, and the organisations of those, where the query
// wants them; spaces are those that who asks may see.
func (d *Door) around(c *call, spaces map[app.SpaceID]app.Space, of []app.SpaceID) (map[string]any, error) {
	orgsToo := c.wants("space.organization", "org")
	if !orgsToo && !c.wants("space") {
		return nil, nil //nolint:nilnil // nothing is included
	}
	has := map[app.SpaceID]app.Space{}
	for _, id := range of {
		if s, seen := spaces[id]; seen {
			has[id] = s
		}
	}
	in := slices.SortedFunc(maps.Values(has), func(a, b app.Space) int { return cmp.Compare(a.ID, b.ID) })
	out := map[string]any{"spaces": each(in, c.spaceResource)}
	if !orgsToo {
		return out, nil
	}
	orgs, err := d.orgsOf(c, each(in, func(s app.Space) app.OrgID { return s.Org }))
	out["organizations"] = orgs
	return out, err
}

// orgsOf are those of some organisations that who asks may see, each once.
func (d *Door) orgsOf(c *call, ids []app.OrgID) ([]orgResource, error) {
	orgs, err := d.orgs(c)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(orgs, func(id app.OrgID, _ app.Org) bool { return !slices.Contains(ids, id) })
	return each(slices.SortedFunc(maps.Values(orgs), byName), c.orgResource), nil
}

// includedKeys are the keys of what includes bring, where they are not the plural of
// the include.
var includedKeys = map[string][]string{
	"space.organization": {"spaces", "organizations"}, "org": {"spaces", "organizations"}, "source": {"apps", "spaces", "organizations"},
}

// noneIncluded is what a list without things includes: clients look into what they
// asked for.
func (c *call) noneIncluded() map[string]any {
	q, out := c.r.URL.Query(), map[string]any{}
	add := func(keys ...string) {
		for _, key := range keys {
			out[key] = []struct{}{}
		}
	}
	if q.Has("include") {
		for _, name := range values(q, "include") {
			keys, odd := includedKeys[name]
			if !odd {
				keys = []string{name + "s"}
			}
			add(keys...)
		}
	}
	for name := range q {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(name, "]"), "fields["); ok {
			add(path[strings.LastIndex(path, ".")+1:] + "s")
		}
	}
	return out
}
