package cf

import (
	"naru/internal/auth"
)

// withoutRoutes are what Cloud Foundry has and naru has not: who may is told why and
// what to do instead, who may not is told so, and what would be one of them is not
// there.
func withoutRoutes() []endpoint {
	var all []endpoint
	add := func(pattern string, do func(*Door, *call) error) {
		all = append(all, endpoint{pattern: pattern, do: do})
	}
	const (
		groups   = "naru has no security groups: instances of different spaces never reach each other, and what they reach outside is the network's affair"
		segments = "naru has no isolation segments: one platform is one segment; run another naru for another one"
		events   = "naru keeps no usage events; what happened is in cf events and naru events"
		stacks   = "naru's stacks are its foundations: naru bake makes one, and gc forgets it"
	)
	add("GET /v3/security_groups/{guid}", absent("Security group"))
	add("POST /v3/security_groups", refusing(auth.PlatformManage, groups))
	for _, pattern := range []string{
		"PATCH /v3/security_groups/{guid}", "DELETE /v3/security_groups/{guid}",
		"POST /v3/security_groups/{guid}/relationships/running_spaces", "POST /v3/security_groups/{guid}/relationships/staging_spaces",
		"DELETE /v3/security_groups/{guid}/relationships/running_spaces/{space}", "DELETE /v3/security_groups/{guid}/relationships/staging_spaces/{space}",
	} {
		add(pattern, absent("Security group"))
	}
	add("POST /v3/isolation_segments", func(_ *Door, c *call) error {
		if !c.can(auth.PlatformManage, place{}) {
			return notAuthorized
		}
		return disabled(segments) // what cannot be processed the client takes for one that is there already
	})
	for _, pattern := range []string{
		"GET /v3/isolation_segments/{guid}", "PATCH /v3/isolation_segments/{guid}", "DELETE /v3/isolation_segments/{guid}",
		"GET /v3/isolation_segments/{guid}/organizations", "GET /v3/isolation_segments/{guid}/relationships/organizations",
		"POST /v3/isolation_segments/{guid}/relationships/organizations", "GET /v3/isolation_segments/{guid}/relationships/spaces",
		"DELETE /v3/isolation_segments/{guid}/relationships/organizations/{org}",
	} {
		add(pattern, absent("Isolation segment"))
	}
	add("PATCH /v3/organizations/{guid}/relationships/default_isolation_segment", func(d *Door, c *call) error {
		if _, err := d.org(c, c.guid(), auth.OrgManage); err != nil {
			return err
		}
		return noneOf(c, segments)
	})
	add("PATCH /v3/spaces/{guid}/relationships/isolation_segment", func(d *Door, c *call) error {
		p, err := d.space(c, c.guid(), auth.SpaceRead)
		if err != nil {
			return err
		}
		if !c.can(auth.OrgManage, place{org: p.org}) {
			return notAuthorized
		}
		return noneOf(c, segments)
	})
	for _, kind := range []string{"app", "service"} {
		path := "/v3/" + kind + "_usage_events"
		add("GET "+path, nothingOf(kind+"_usage_events"))
		add("GET "+path+"/{guid}", absent("Usage event"))
		add("POST "+path+"/actions/destructively_purge_all_and_reseed", refusing(auth.PlatformManage, events))
	}
	add("POST /v3/stacks", refusing(auth.PlatformManage, stacks))
	add("DELETE /v3/stacks/{guid}", refusing(auth.PlatformManage, stacks))
	return all
}

// absent answers that there is no such thing.
func absent(thing string) func(*Door, *call) error {
	return func(*Door, *call) error { return missing(thing) }
}

// refusing answers who may do something that naru does not.
func refusing(do auth.Action, why string) func(*Door, *call) error {
	return func(_ *Door, c *call) error {
		if !c.can(do, place{}) {
			return notAuthorized
		}
		return unprocessable.saying(why)
	}
}

// noneOf takes that a place is in no segment, as it is, and refuses another.
func noneOf(c *call, why string) error {
	var in toOne
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.guid() != "" {
		return unprocessable.saying(why)
	}
	return c.ok(none())
}
