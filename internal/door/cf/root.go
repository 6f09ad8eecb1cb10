package cf

func rootRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /{$}", open: true, do: (*Door).root},
		{pattern: "GET /v3/{$}", open: true, do: (*Door).v3},
		{pattern: "GET /v3", open: true, do: (*Door).v3},
		{pattern: "GET /v3/info", open: true, do: (*Door).info},
	}
}

type described struct {
	Href string            `json:"href"`
	Meta map[string]string `json:"meta,omitempty"`
}

// root says where the parts are. Those that naru does not have are null.
func (d *Door) root(c *call) error {
	return c.ok(map[string]any{"links": map[string]*described{
		"self":                {Href: c.at.api},
		"cloud_controller_v2": nil,
		"cloud_controller_v3": {Href: c.at.api + "/v3", Meta: map[string]string{"version": Version}},
		"network_policy_v0":   nil,
		"network_policy_v1":   nil,
		"login":               {Href: c.at.login},
		"uaa":                 {Href: c.at.uaa},
		"credhub":             nil,
		"routing":             {Href: c.at.api + "/routing"},
		"logging":             nil,
		"log_cache":           {Href: c.at.logCache},
		"log_stream":          nil,
		"app_ssh":             d.ssh(c),
	}})
}

// v3 lists where the API's things are.
func (d *Door) v3(c *call) error {
	links := map[string]link{"self": {Href: c.at.api + "/v3"}}
	for _, name := range []string{
		"apps", "audit_events", "buildpacks", "builds", "deployments", "domains", "droplets", "feature_flags", "info", "isolation_segments",
		"organizations", "organization_quotas", "packages", "processes", "roles", "routes", "security_groups", "service_credential_bindings",
		"service_instances", "spaces", "space_quotas", "stacks", "tasks", "users",
	} {
		links[name] = link{Href: c.at.api + "/v3/" + name}
	}
	return c.ok(map[string]any{"links": links})
}

func (d *Door) info(c *call) error {
	return c.ok(map[string]any{
		"build": d.cfg.Build, "name": "naru", "version": 0, "description": "naru, with the API of Cloud Foundry", "custom": map[string]any{},
		"cli_version":    map[string]string{"minimum": "8.8.0", "recommended": ""},
		"osbapi_version": "2.17",
		"links":          map[string]link{"self": {Href: c.at.api + "/v3/info"}, "support": {}},
	})
}
