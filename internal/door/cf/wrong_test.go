package cf_test

import (
	"fmt"
	"strings"
	"testing"

	"naru/internal/auth"
)

// What Cloud Foundry refuses of packages, routes, quotas, roles and users is refused
// in its words.
func TestWrongRequestsAreRefused(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.login("admin")
	domain := w.domain()
	app, space, org := string(a.ID), string(w.space.ID), string(w.org.ID)
	guid := func(method, path, body string) string {
		t.Helper()
		return fmt.Sprint(w.ask(201, method, path, body)["guid"])
	}
	inApp := `"relationships":{"app":{"data":{"guid":"` + app + `"}}}`
	inSpace := `"relationships":{"space":{"data":{"guid":"` + space + `"}},"domain":{"data":{"guid":"` + domain + `"}}}`
	image := guid("POST", "/v3/packages", `{"type":"docker","data":{"image":"registry.example.com/a:1"},`+inApp+`}`)
	awaiting := guid("POST", "/v3/packages", `{"type":"bits",`+inApp+`}`)
	route := guid("POST", "/v3/routes", `{"host":"taken","path":"/here",`+inSpace+`}`)
	guid("POST", "/v3/routes", `{"host":"taken",`+inSpace+`}`)
	quota := guid("POST", "/v3/organization_quotas", `{"name":"small"}`)
	guid("POST", "/v3/organization_quotas", `{"name":"other"}`)
	ofOrg := `"relationships":{"organization":{"data":{"guid":"` + org + `"}}}`
	spaceQuota := guid("POST", "/v3/space_quotas", `{"name":"tiny","relationships":{"organization":{"data":{"guid":"`+org+`"}},"spaces":{"data":[{"guid":"`+space+`"}]}}}`)
	w.ask(200, "POST", "/v3/organization_quotas/"+quota+"/relationships/organizations", `{"data":[{"guid":"`+org+`"}]}`)
	role := func(kind, user, place string) string {
		return `{"type":"` + kind + `","relationships":{"user":{"data":` + user + `},` + place + `}}`
	}
	const dev = `{"username":"dev"}`
	atSpace, atOrg := `"space":{"data":{"guid":"`+space+`"}}`, `"organization":{"data":{"guid":"`+org+`"}}`
	limit := func(section, name, value string) string {
		return `{"name":"q","` + section + `":{"` + name + `":` + value + `}}`
	}
	to := func(rest string) string { return `{"destinations":[{"app":{"guid":"` + app + `"}` + rest + `}]}` }
	const (
		packages, routes, roles, quotas = "POST /v3/packages", "POST /v3/routes", "POST /v3/roles", "POST /v3/organization_quotas"
		form                            = `must be either "*" or contain only alphanumeric characters, "_", or "-"`
		aSpace                          = "Invalid space. Ensure that the space exists and you have access to it."
		anOrg                           = "Invalid organization. Ensure that the organization exists and you have access to it."
	)
	destinations := "/v3/routes/" + route + "/destinations"
	w.login("dev")
	status, _, answer := w.do("POST", "/v3/routes", `{"host":"*",`+inSpace+`}`)
	if got := strings.Join(details(answer), ""); status != 422 || got != "10008 CF-UnprocessableEntity You do not have sufficient permissions to create a route with a wildcard host on a domain not scoped to an organization." {
		t.Errorf("a route of all hosts: %d %s", status, got)
	}
	w.login("admin")
	for _, c := range []struct{ name, ask, body, want string }{
		{"package, type", packages, `{"type":"jar",` + inApp + `}`, "Type must be one of 'bits, docker'"},
		{"package, app", packages, `{"type":"bits","relationships":{"app":{"data":{"guid":"x"}}}}`, "App is invalid. Ensure it exists and you have access to it."},
		{"package, image", packages, `{"type":"docker","data":{},` + inApp + `}`, "Data Image required"},
		{"package, bits with an image", packages, `{"type":"bits","data":{"image":"a"},` + inApp + `}`, "Data Data must be empty if provided for bits packages"},
		{"package, copied", packages + "?source_guid=x", "{" + inApp + "}", "Source package is invalid. Ensure it exists and you have access to it."},
		{"upload of an image", "POST /v3/packages/" + image + "/upload", "", "Package type must be bits."},
		{"upload of nothing", "POST /v3/packages/" + awaiting + "/upload", "", "Upload must include either resources or bits"},
		{"download of an image", "GET /v3/packages/" + image + "/download", "", "Package type must be bits."},
		{"download of nothing", "GET /v3/packages/" + awaiting + "/download", "", "Package has no bits to download."},
		{"build too early", "POST /v3/builds", `{"package":{"guid":"` + awaiting + `"}}`, "400 1004 CF-BadRequest Bad request: Cannot stage package whose state is not ready."},
		{"matches, no list", "POST /v3/resource_matches", `{"resources":{}}`, "Resources must be an array"},
		{"matches, none", "POST /v3/resource_matches", `{"resources":[]}`, "Resources must have at least 1 resource"},
		{"matches, too many", "POST /v3/resource_matches", `{"resources":[` + strings.Repeat("{},", 5000) + `{}]}`, "Resources array can have at most 5000 resources"},

		{"route, space", routes, `{"host":"x","relationships":{"space":{"data":{"guid":"x"}},"domain":{"data":{"guid":"` + domain + `"}}}}`, aSpace},
		{"route, domain", routes, `{"host":"x","relationships":{"space":{"data":{"guid":"` + space + `"}},"domain":{"data":{"guid":"x"}}}}`, "Invalid domain. Ensure that the domain exists and you have access to it."},
		{"route, host", routes, `{"host":"no good",` + inSpace + `}`, "Host " + form},
		{"route, stars", routes, `{"host":"**",` + inSpace + `}`, "Host " + form},
		{"route, long host", routes, `{"host":"` + strings.Repeat("x", 64) + `",` + inSpace + `}`, "Host is too long (maximum is 63 characters)"},
		{"route, no host", routes, `{` + inSpace + `}`, "Missing host. Routes in shared domains must have a host defined."},
		{"route, path", routes, `{"host":"x","path":"a",` + inSpace + `}`, "Path must begin with /"},
		{"route, path of nothing", routes, `{"host":"x","path":"/",` + inSpace + `}`, "Path cannot be exactly /"},
		{"route, query", routes, `{"host":"x","path":"/a?b",` + inSpace + `}`, "Path cannot contain ?"},
		{"route, long path", routes, `{"host":"x","path":"/` + strings.Repeat("x", 128) + `",` + inSpace + `}`, "Path is too long (maximum is 128 characters)"},
		{"route, port", routes, `{"host":"x","port":1234,` + inSpace + `}`, "Routes with protocol 'http' do not support ports."},
		{"route, large port", routes, `{"host":"x","port":65536,` + inSpace + `}`, "Port must be less than or equal to 65535"},
		{"route, negative port", routes, `{"host":"x","port":-1,` + inSpace + `}`, "Port must be greater than or equal to 0"},
		{"route, twice", routes, `{"host":"taken",` + inSpace + `}`, "Route already exists with host 'taken' for domain 'localhost'."},
		{"route, path twice", routes, `{"host":"taken","path":"/here",` + inSpace + `}`, "Route already exists with host 'taken' and path '/here' for domain 'localhost'."},
		{"route, unknown", "GET /v3/routes/x", "", "404 10010 CF-ResourceNotFound Route not found"},
		{"no destinations", "POST " + destinations, `{"destinations":[]}`, "Destinations must be an array containing between 1 and 100 destination objects."},
		{"destination, app", "POST " + destinations, `{"destinations":[{"app":{"guid":"x"}}]}`, `App(s) with guid(s) "x" do not exist or you do not have access.`},
		{"destination, weight", "POST " + destinations, to(`,"weight":5`), "Destinations[0]: weighted destinations can only be used when replacing all destinations."},
		{"destination, protocol", "POST " + destinations, to(`,"protocol":"http3"`), "Destinations[0]: protocol must be 'http1', 'http2' or 'tcp'."},
		{"destination, port", "POST " + destinations, to(`,"port":65536`), "Destinations[0]: port must be a positive integer between 1024 and 65535 inclusive."},
		{"destinations, one weight", "PATCH " + destinations, `{"destinations":[{"app":{"guid":"` + app + `"},"weight":50},{"app":{"guid":"` + app + `"},"port":9000}]}`, "Destinations cannot contain both weighted and unweighted destinations."},
		{"destinations, weight", "PATCH " + destinations, to(`,"weight":101`), "Destinations[0]: weight must be a positive integer between 1 and 100."},
		{"destinations, sum", "PATCH " + destinations, to(`,"weight":99`), "Destinations must have weights that sum to 100."},
		{"destination, gone", "DELETE " + destinations + "/x", "", "Unable to unmap route from destination. Ensure the route has a destination with this guid."},
		{"all routes", "DELETE /v3/spaces/" + space + "/routes", "", "400 10005 CF-BadQueryParameter The query parameter is invalid: Mass delete not supported for routes. Use 'unmapped=true' parameter to delete all unmapped routes."},

		{"quota, name", quotas, `{"name":""}`, "Name can't be blank"},
		{"quota, twice", quotas, `{"name":"small"}`, "Organization Quota 'small' already exists."},
		{"quota, renamed", "PATCH /v3/organization_quotas/" + quota, `{"name":"other"}`, "Organization Quota 'other' already exists."},
		{"quota, memory", quotas, limit("apps", "total_memory_in_mb", "-1"), "Apps Total memory in mb must be greater than or equal to 0"},
		{"quota, no number", quotas, limit("apps", "per_process_memory_in_mb", `"much"`), "Apps Per process memory in mb is not a number"},
		{"quota, a part", quotas, limit("apps", "total_instances", "1.5"), "Apps Total instances must be an integer"},
		{"quota, too much", quotas, limit("apps", "per_app_tasks", "2147483648"), "Apps Per app tasks must be less than or equal to 2147483647"},
		{"quota, services", quotas, limit("services", "total_service_instances", "-5"), "Services Total service instances must be greater than or equal to 0"},
		{"quota, paid", quotas, limit("services", "paid_services_allowed", `"yes"`), "Services Paid services allowed must be a boolean"},
		{"quota, routes", quotas, limit("routes", "total_routes", "-5"), "Routes Total routes must be greater than or equal to 0"},
		{"quota, domains", quotas, limit("domains", "total_domains", "-5"), "Domains Total domains must be greater than or equal to 0"},
		{"quota, unknown", quotas, limit("apps", "colour", "1"), "Apps Unknown field(s): 'colour'"},
		{"quota, no object", quotas, `{"name":"q","apps":5}`, "Apps must be an object"},
		{"quota, orgs", quotas, `{"name":"q","relationships":{"organizations":{"data":[{"guid":"x"}]}}}`, `Organizations with guids ["x"] do not exist, or you do not have access to them.`},
		{"quota for nobody", "POST /v3/organization_quotas/" + quota + "/relationships/organizations", `{"data":[{"guid":"x"}]}`, `Organizations with guids ["x"] do not exist`},
		{"quota in use", "DELETE /v3/organization_quotas/" + quota, "", "This quota is applied to one or more organizations. Apply different quotas to those organizations before deleting."},
		{"space quota in use", "DELETE /v3/space_quotas/" + spaceQuota, "", "This quota is applied to one or more spaces. Remove this quota from all spaces before deleting."},
		{"space quota, twice", "POST /v3/space_quotas", `{"name":"tiny",` + ofOrg + `}`, "Space Quota 'tiny' already exists."},
		{"space quota, org", "POST /v3/space_quotas", `{"name":"q","relationships":{"organization":{"data":{"guid":"x"}}}}`, "Organization with guid 'x' does not exist, or you do not have access to it."},
		{"space quota, spaces", "POST /v3/space_quotas", `{"name":"q","relationships":{"organization":{"data":{"guid":"` + org + `"}},"spaces":{"data":[{"guid":"x"}]}}}`, `Spaces with guids ["x"] do not exist within the organization specified, or you do not have access to them.`},
		{"space quota for nobody", "POST /v3/space_quotas/" + spaceQuota + "/relationships/spaces", `{"data":[{"guid":"x"}]}`, `Spaces with guids ["x"] do not exist, or you do not have access to them.`},
		{"space quota, taken", "DELETE /v3/space_quotas/" + spaceQuota + "/relationships/spaces/x", "", "Unable to remove quota from space with guid 'x'. Ensure the space quota is applied to this space."},

		{"role, type", roles, role("king", dev, atOrg), `Type must be one of the allowed types ["organization_auditor", "organization_manager", "organization_billing_manager", "organization_user", "space_auditor", "space_manager", "space_developer", "space_supporter"]`},
		{"role, org for a space", roles, role("space_auditor", dev, atOrg), "Relationships Organization cannot be provided with the space role type: 'space_auditor'."},
		{"role, space for an org", roles, role("organization_user", dev, atSpace), "Relationships Space cannot be provided with the organization role type: 'organization_user'."},
		{"role, both", roles, role("organization_user", dev, atOrg+","+atSpace), "Relationships Space cannot be provided with the organization role type: 'organization_user'., Relationships cannot specify both an organization and a space."},
		{"role, nowhere", roles, role("space_auditor", dev, `"x":{}`), "Relationships must specify either a space or an organization."},
		{"role, space", roles, role("space_auditor", dev, `"space":{"data":{"guid":"x"}}`), aSpace},
		{"role, org", roles, role("organization_user", dev, `"organization":{"data":{"guid":"x"}}`), anOrg},
		{"role, nobody", roles, role("organization_user", `{"username":"ghost"}`, atOrg), "No user exists with the username 'ghost'."},
		{"role, nobody there", roles, role("organization_user", `{"username":"dev","origin":"ldap"}`, atOrg), "No user exists with the username 'dev' and origin 'ldap'."},
		{"role, no user", roles, role("organization_user", `{}`, atOrg), "Relationships User must have a username or guid specified"},
		{"role, guid and name", roles, role("organization_user", `{"guid":"x","username":"dev"}`, atOrg), "Relationships Username cannot be specified when identifying user by guid"},
		{"role, origin alone", roles, role("organization_user", `{"origin":"uaa"}`, atOrg), "Relationships User origin cannot be specified without specifying the username, Relationships User must have a username or guid specified"},
		{"role, twice", roles, role("space_developer", dev, atSpace), "User 'dev' already has 'space_developer' role in space '" + w.space.Name + "'."},
		{"role, unknown", "DELETE /v3/roles/x", "", "404 10010 CF-ResourceNotFound Role not found"},
		{"user, of the uaa", "POST /v3/users", `{"username":"new","origin":"uaa"}`, "Origin cannot be 'uaa' when creating a user by username"},
		{"user, nothing", "POST /v3/users", `{}`, "Guid or 'username' and 'origin' must be provided"},
		{"user, all", "POST /v3/users", `{"guid":"x","username":"new","origin":"ldap"}`, "Username cannot be provided with 'guid', Origin cannot be provided with 'guid'"},
		{"user, no origin", "POST /v3/users", `{"username":"new"}`, "Username can only be provided together with 'origin'"},
		{"user, no name", "POST /v3/users", `{"origin":"ldap"}`, "Origin can only be provided together with 'username'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method, path, _ := strings.Cut(c.ask, " ")
			status, _, answer := w.do(method, path, c.body)
			want := c.want
			if _, err := fmt.Sscanf(want, "%d ", new(int)); err != nil {
				want = "422 10008 CF-UnprocessableEntity " + want
			}
			if got := fmt.Sprint(status, " ", strings.Join(details(answer), "; ")); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}
