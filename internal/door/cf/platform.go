package cf

import (
	"cmp"
	"slices"
	"time"

	"naru/internal/artifact"
	"naru/internal/source"
)

func platformRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/stacks", do: (*Door).listStacks},
		{pattern: "GET /v3/stacks/{guid}", do: (*Door).getStack},
	}
}

// item is what has a name and a place in a list.
type item struct {
	name     string
	position int
	stack    string
	about    string
	pack     *source.Buildpack // that was uploaded; nil for what is naru's own
}

// guid is the id of an item of a kind.
func (i item) guid(kind string) string {
	if i.pack != nil {
		return string(i.pack.ID)
	}
	return named(kind, i.name)
}

func (i item) times() (created, updated time.Time) {
	if i.pack != nil {
		return i.pack.Created, i.pack.Updated
	}
	t := began.Add(time.Duration(i.position) * time.Second)
	return t, t
}

func items(kind string) list[item] {
	return list[item]{
		filters: map[string]func(item) []string{
			"names":     single(func(i item) string { return i.name }),
			"stacks":    single(func(i item) string { return i.stack }),
			"lifecycle": func(item) []string { return []string{"buildpack"} },
			"default":   func(i item) []string { return []string{map[bool]string{true: "true", false: "false"}[i.position == 1]} },
		},
		orders: map[string]func(item) string{"name": func(i item) string { return i.name }, "position": func(i item) string { return string(rune(i.position)) }, "lifecycle": func(item) string { return "buildpack" }},
		times:  item.times,
		guid:   func(i item) string { return i.guid(kind) },
	}
}

// stacks are the foundations that there are: one is made when a build first needs
// it.
func (d *Door) stacks(c *call) ([]item, error) {
	bases, err := d.Bases.Foundations(c.ctx())
	slices.SortFunc(bases, func(a, b artifact.Foundation) int { return cmp.Compare(a.Name, b.Name) })
	n := 0
	return each(bases, func(f artifact.Foundation) item {
		n++
		return item{name: f.Name, position: n, about: "foundation of naru: " + f.ABI}
	}), err
}

func (c *call) stackResource(i item) any {
	guid := named("stack", i.name)
	return struct {
		resource
		Name        string `json:"name"`
		Description string `json:"description"`
		State       string `json:"state"`
		Build       string `json:"build_rootfs_image"`
		Run         string `json:"run_rootfs_image"`
		Default     bool   `json:"default"`
	}{c.thing(guid, began, began, "/v3/stacks/"+guid), i.name, i.about, "ACTIVE", i.name, i.name, i.position == 1}
}

func (d *Door) listStacks(c *call) error {
	all, err := d.stacks(c)
	if err != nil {
		return err
	}
	return show(c, items("stack"), all, c.stackResource)
}

func (d *Door) getStack(c *call) error {
	all, err := d.stacks(c)
	if err != nil {
		return err
	}
	return pick(c, "stack", "Stack", all, c.stackResource)
}

// pick answers with the item that the path names.
func pick(c *call, kind, thing string, all []item, encode func(item) any) error {
	for _, i := range all {
		if i.guid(kind) == c.guid() {
			return c.ok(encode(i))
		}
	}
	return missing(thing)
}
