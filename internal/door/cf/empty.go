package cf

// emptyRoutes are lists of what naru has none of. Clients ask for them on the way
// to something else and do without.
func emptyRoutes() []endpoint {
	var all []endpoint
	for _, path := range []string{
		"/v3/isolation_segments", "/v3/security_groups", "/v3/service_route_bindings", "/v3/service_offerings", "/v3/service_plans", "/v3/service_brokers", "/v3/route_policies",
	} {
		all = append(all, endpoint{pattern: "GET " + path, do: (*Door).nothing})
	}
	return all
}

// nothing is an empty list. Whatever it is filtered by, there is nothing in it.
func (d *Door) nothing(c *call) error {
	none, p, err := cut(c, []struct{}{})
	if err != nil {
		return err
	}
	return c.ok(page[struct{}]{Pagination: p, Resources: none, Included: map[string]any{}})
}
