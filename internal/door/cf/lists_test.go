package cf_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"naru/internal/artifact"
)

// asked is what a list can be asked, as testdata/lists.txt has it.
type asked struct {
	path                     string
	params, orders, includes []string
}

func lists(t *testing.T) []asked {
	t.Helper()
	text, err := os.ReadFile("testdata/lists.txt")
	must(t, err)
	var all []asked
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		path, rest, _ := strings.Cut(line, ":")
		parts := append(strings.Split(rest, "|"), "", "")
		all = append(all, asked{path, strings.Fields(parts[0]), strings.Fields(parts[1]), strings.Fields(parts[2])})
	}
	return all
}

// Every list answers what Cloud Foundry's can be asked, and says of everything else
// what Cloud Foundry says.
func TestEveryListIsAskedAlike(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.login("admin")
	_, err := w.store.SetFoundation(t.Context(), artifact.Foundation{Name: "classic"})
	must(t, err)
	stack := w.ask(200, "GET", "/v3/stacks", "")["resources"].([]any)[0].(map[string]any)["guid"].(string)
	paths := strings.NewReplacer("{app}", string(a.ID), "{org}", string(w.org.ID), "{space}", string(w.space.ID), "{package}", a.Image, "{stack}", stack)
	for _, l := range lists(t) {
		t.Run(l.path, func(t *testing.T) {
			path := paths.Replace(l.path)
			good := func(query string) map[string]any {
				t.Helper()
				status, _, answer := w.do("GET", path+"?"+query, "")
				if status != 200 {
					t.Errorf("%s: got %d %v", query, status, answer)
				}
				return answer
			}
			bad := func(query, want string) {
				t.Helper()
				status, _, answer := w.do("GET", path+"?"+query, "")
				if got := strings.Join(details(answer), "; "); status != 400 || !strings.HasPrefix(got, "10005 CF-BadQueryParameter The query parameter is invalid: "+want) {
					t.Errorf("%s: got %d %s, want %s", query, status, got, want)
				}
			}
			for _, p := range append(l.params, "guids", "created_ats[gt]=2020-01-01T00:00:00Z", "created_ats[lte]=2020-01-01T00:00:00Z") {
				name, value, given := strings.Cut(p, "=")
				if !given {
					value = "x"
				}
				good(url.QueryEscape(name) + "=" + url.QueryEscape(value))
				good(url.QueryEscape(name) + "=" + url.QueryEscape(value) + "&order_by=-created_at&page=1&per_page=5000")
			}
			for _, order := range append(l.orders, "created_at", "updated_at") {
				good("order_by=" + order)
				good("order_by=-" + order)
				good("order_by=%2B" + order)
			}
			for _, name := range l.includes {
				if _, ok := good("include=" + name)["included"].(map[string]any); !ok {
					t.Errorf("include=%s: nothing is included", name)
				}
			}
			far := good("page=1000000000&per_page=5000")
			if all, _ := far["resources"].([]any); len(all) != 0 || far["pagination"].(map[string]any)["next"] != nil {
				t.Errorf("beyond the end: %v", far)
			}
			bad("nonsense=1", "Unknown query parameter(s): 'nonsense'. Valid parameters are: 'page', 'per_page', 'order_by'")
			bad("nonsense[gt]=1&odd=", "Unknown query parameter(s): 'nonsense[gt]', 'odd'. Valid parameters are: ")
			bad("page=0", "Page must be a positive integer")
			bad("page=first", "Page must be a positive integer")
			bad("per_page=0", "Per page must be a positive integer")
			bad("per_page=5001", "Per page must be between 1 and 5000")
			bad("order_by=colour", "Order by can only be: 'created_at', 'updated_at'")
			bad("created_ats=yesterday", "Created ats has an invalid timestamp format. Timestamps should be formatted as 'YYYY-MM-DDThh:mm:ssZ'")
			bad("updated_ats[about]=2020-01-01T00:00:00Z", "Updated ats Invalid relational operator: 'about'")
			bad("created_ats[lt]=2020-01-01T00:00:00Z,2021-01-01T00:00:00Z", "Created ats only accepts one value when using a relational operator")
			if len(l.includes) > 0 {
				bad("include=moon", "Invalid included resource: 'moon'. Valid included resources are: '"+strings.Join(l.includes, "', '")+"'")
				bad("include="+l.includes[0]+","+l.includes[0], "Duplicate included resource: '"+l.includes[0]+"'")
			}
			if strings.Contains(fmt.Sprint(l.params), "label_selector") {
				bad("label_selector=a%20in%20b", "")
				for _, selector := range []string{"a", "!a", "a=b", "a==b", "a!=b", "a in (b,c)", "a notin (b, c)", "a,!b,c!=d,e in (f)"} {
					good("label_selector=" + url.QueryEscape(selector))
				}
			} else {
				bad("label_selector=a", "Unknown query parameter(s): 'label_selector'")
			}
		})
	}
}

// What is included is what the things of the page belong to, each once.
func TestWhatIsIncluded(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.login("admin")
	route := w.ask(200, "GET", "/v3/apps/"+string(a.ID)+"/routes", "")["resources"].([]any)[0].(map[string]any)["guid"].(string)
	w.ask(201, "POST", "/v3/roles", `{"type":"space_auditor","relationships":{"user":{"data":{"username":"admin"}},"space":{"data":{"guid":"`+string(w.space.ID)+`"}}}}`)
	w.ask(201, "POST", "/v3/roles", `{"type":"organization_auditor","relationships":{"user":{"data":{"username":"admin"}},"organization":{"data":{"guid":"`+string(w.org.ID)+`"}}}}`)
	role := w.ask(200, "GET", "/v3/roles?types=space_auditor", "")["resources"].([]any)[0].(map[string]any)["guid"].(string)
	space, org := w.space.Name, w.org.Name
	for _, c := range []struct{ path, want string }{
		{"/v3/apps?include=space", "spaces:" + space},
		{"/v3/apps?include=space.organization", "organizations:" + org + " spaces:" + space},
		{"/v3/apps/" + string(a.ID) + "?include=space", "spaces:" + space},
		{"/v3/apps/" + string(a.ID) + "?include=org", "organizations:" + org + " spaces:" + space},
		{"/v3/spaces?include=organization", "organizations:" + org},
		{"/v3/spaces/" + string(w.space.ID) + "?include=org", "organizations:" + org},
		{"/v3/routes?include=domain,space.organization", "domains:localhost organizations:" + org + " spaces:" + space},
		{"/v3/routes/" + route + "?include=domain", "domains:localhost"},
		{"/v3/routes/" + route + "?include=space", "spaces:" + space},
		{"/v3/apps/" + string(a.ID) + "/routes?include=domain", "domains:localhost"},
		{"/v3/roles?types=space_auditor,organization_auditor&include=user,space,organization", "organizations:" + org + " spaces:" + space + " users:<nil>"},
		{"/v3/roles/" + role + "?include=space", "spaces:" + space},
		{"/v3/roles/" + role + "?include=user", "users:<nil>"},
		{"/v3/service_plans?include=service_offering&fields[service_offering.service_broker]=name,guid", "service_brokers: service_offerings:"},
		{"/v3/service_route_bindings?include=service_instance&route_guids=x", "service_instances:"},
	} {
		t.Run(c.path, func(t *testing.T) {
			included, _ := w.ask(200, "GET", c.path, "")["included"].(map[string]any)
			var got []string
			for _, key := range []string{"domains", "organizations", "service_brokers", "service_instances", "service_offerings", "spaces", "users"} {
				if all, there := included[key].([]any); there {
					var names []string
					for _, one := range all {
						names = append(names, fmt.Sprint(one.(map[string]any)["name"]))
					}
					got = append(got, key+":"+strings.Join(names, ","))
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
