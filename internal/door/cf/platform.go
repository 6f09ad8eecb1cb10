package cf

import (
	"cmp"
	"slices"
	"time"

	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/source"
)

func platformRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/stacks", do: (*Door).listStacks},
		{pattern: "GET /v3/stacks/{guid}", do: (*Door).getStack},
		{pattern: "GET /v3/feature_flags", do: (*Door).listFlags},
		{pattern: "GET /v3/feature_flags/{name}", do: (*Door).getFlag},
		{pattern: "PATCH /v3/feature_flags/{name}", do: (*Door).changeFlag},
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

// flag is a feature that Cloud Foundry can switch; naru has it or not.
type flag struct {
	name string
	on   bool
}

// flags are what naru lets people do, in Cloud Foundry's words.
func flags() []flag {
	return []flag{
		{"app_bits_upload", true}, {"app_scaling", true}, {"diego_cnb", false}, {"diego_docker", true}, {"env_var_visibility", true},
		{"hash_based_routing", false}, {"hide_marketplace_from_unauthenticated_users", false}, {"private_domain_creation", true},
		{"resource_matching", true}, {"route_creation", true}, {"route_sharing", false}, {"service_instance_creation", false},
		{"service_instance_sharing", false}, {"set_roles_by_username", true}, {"space_developer_env_var_visibility", true},
		{"space_scoped_private_broker_creation", false}, {"task_creation", true}, {"unset_roles_by_username", true}, {"user_org_creation", false},
	}
}

type flagResource struct {
	Name    string          `json:"name"`
	Enabled bool            `json:"enabled"`
	Updated *stamp          `json:"updated_at"`
	Message *string         `json:"custom_error_message"`
	Links   map[string]link `json:"links"`
}

func (c *call) flagResource(f flag) flagResource {
	return flagResource{Name: f.name, Enabled: f.on, Links: map[string]link{"self": {Href: c.at.api + "/v3/feature_flags/" + f.name}}}
}

var flagList = list[flag]{
	times: func(flag) (time.Time, time.Time) { return began, began },
	guid:  func(f flag) string { return f.name },
}

func (d *Door) listFlags(c *call) error { return show(c, flagList, flags(), c.flagResource) }

func (c *call) flag() (flag, error) {
	all := flags()
	i := slices.IndexFunc(all, func(f flag) bool { return f.name == c.r.PathValue("name") })
	if i < 0 {
		return flag{}, missing("Feature flag")
	}
	return all[i], nil
}

func (d *Door) getFlag(c *call) error {
	f, err := c.flag()
	if err != nil {
		return err
	}
	return c.ok(c.flagResource(f))
}

// changeFlag takes what is so already; naru's features are not switched.
func (d *Door) changeFlag(c *call) error {
	f, err := c.flag()
	if err != nil {
		return err
	}
	if !c.can(auth.PlatformManage, place{}) {
		return notAuthorized
	}
	var in struct {
		Enabled *bool `json:"enabled"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Enabled == nil || *in.Enabled != f.on {
		return unprocessable.saying("naru cannot switch the feature " + f.name + ": who may do what is decided by roles and quotas")
	}
	return c.ok(c.flagResource(f))
}
