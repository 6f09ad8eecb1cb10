package cf

// emptyLists are lists of what naru has none of, with what Cloud Foundry lets them
// be asked. Clients ask for them on the way to something else and do without.
var emptyLists = map[string]list[struct{}]{
	"isolation_segments": {also: []string{"names", "organization_guids"}, orders: byNothing("name")},
	"security_groups": {
		also:       []string{"names", "running_space_guids", "staging_space_guids", "globally_enabled_running", "globally_enabled_staging"},
		unlabelled: true,
	},
	"service_route_bindings": {
		also: []string{"service_instance_guids", "service_instance_names", "route_guids"}, includes: []string{"route", "service_instance"},
	},
	"service_offerings": {
		also:   []string{"available", "broker_catalog_ids", "service_broker_guids", "service_broker_names", "names", "space_guids", "organization_guids"},
		orders: byNothing("name"), fields: []string{"service_broker"},
	},
	"service_plans": {
		also: []string{
			"available", "broker_catalog_ids", "names", "organization_guids", "service_broker_guids", "service_broker_names",
			"service_instance_guids", "service_offering_guids", "service_offering_names", "space_guids",
		},
		orders: byNothing("name"), includes: []string{"space.organization", "service_offering"}, fields: []string{"service_offering.service_broker"},
	},
	"service_brokers":      {also: []string{"names", "space_guids"}, orders: byNothing("name")},
	"route_policies":       {also: []string{"route_guids", "space_guids", "sources", "source_guids"}, includes: []string{"source", "route"}},
	"app_usage_events":     {also: []string{"after_guid"}, unlabelled: true},
	"service_usage_events": {also: []string{"after_guid", "service_instance_types", "service_offering_guids"}, unlabelled: true},
	"sidecars":             {unlabelled: true},
}

// byNothing are orders of a list without things.
func byNothing(names ...string) map[string]func(struct{}) string {
	out := map[string]func(struct{}) string{}
	for _, name := range names {
		out[name] = func(struct{}) string { return "" }
	}
	return out
}

func emptyRoutes() []endpoint {
	var all []endpoint
	for _, kind := range []string{
		"isolation_segments", "security_groups", "service_route_bindings", "service_offerings", "service_plans", "service_brokers", "route_policies",
	} {
		all = append(all, endpoint{pattern: "GET /v3/" + kind, do: nothingOf(kind)})
	}
	return all
}

// nothingOf answers with a list of which there is nothing.
func nothingOf(kind string) func(*Door, *call) error {
	return func(d *Door, c *call) error { return d.nothing(c, kind) }
}

// nothing is the empty list of a kind. What is asked of it has to be what the list
// can be asked; nothing is in it.
func (d *Door) nothing(c *call, kind string) error {
	l := emptyLists[kind]
	if _, err := l.choose(c.r.URL.Query(), nil); err != nil {
		return err
	}
	if _, err := selecting(c, l, nil); err != nil {
		return err
	}
	none, p, err := cut(c, []struct{}{})
	if err != nil {
		return err
	}
	return c.ok(page[struct{}]{Pagination: p, Resources: none, Included: c.noneIncluded()})
}
