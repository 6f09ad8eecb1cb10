package cf_test

import (
	"fmt"
	"strings"
	"testing"

	"naru/internal/door/cf"
)

func withPorts(c *cf.Config) { c.FirstPort, c.LastPort = 24230, 24233 }

// The platform's ports are a router group, and routes in its domain are ports.
func TestRoutesOfPorts(t *testing.T) {
	w := newWorldWith(t, withPorts)
	w.login("admin")
	shop := w.shop("shop")
	domains := w.ask(200, "GET", "/v3/domains?names=tcp.localhost", "")["resources"].([]any)
	if len(domains) != 1 || fmt.Sprint(domains[0].(map[string]any)["supported_protocols"]) != "[tcp]" || domains[0].(map[string]any)["router_group"] == nil {
		t.Fatalf("the domain of ports: %v", domains)
	}
	domain := fmt.Sprint(domains[0].(map[string]any)["guid"])
	in := func(more string) string {
		return `{` + more + `"relationships":{"space":{"data":{"guid":"` + string(w.space.ID) + `"}},"domain":{"data":{"guid":"` + domain + `"}}}}`
	}
	made := w.ask(201, "POST", "/v3/routes", in(`"port":24232,`))
	if made["protocol"] != "tcp" || made["port"] != 24232. || made["url"] != "tcp.localhost:24232" || made["host"] != "" {
		t.Errorf("made %v", made)
	}
	for body, want := range map[string]string{
		`"port":24232,`: "Route already exists with port '24232' for domain 'tcp.localhost'.",
		`"port":9,`:     "Port 9 is not one that TCP routes may have: name one from 24230 to 24233, or none",
		`"host":"x",`:   "Hosts are not supported for TCP routes.",
		`"path":"/x",`:  "Paths are not supported for TCP routes.",
	} {
		if got := details(w.ask(422, "POST", "/v3/routes", in(body))); !strings.Contains(fmt.Sprint(got), want) {
			t.Errorf("%s: %v, want %s", body, got, want)
		}
	}
	http := strings.Replace(in(`"port":24231,`), domain, w.domain(), 1)
	if got := details(w.ask(422, "POST", "/v3/routes", http)); !strings.Contains(fmt.Sprint(got), "Routes with protocol 'http' do not support ports.") {
		t.Errorf("a port in a domain of HTTP: %v", got)
	}
	for port, want := range map[string]bool{"24232": true, "24231": false} {
		if got := w.ask(200, "GET", "/v3/domains/"+domain+"/route_reservations?port="+port, "")["matching_route"]; got != want {
			t.Errorf("port %s is taken: %v, want %v", port, got, want)
		}
	}
	w.ask(400, "GET", "/v3/domains/"+domain+"/route_reservations?port=x", "")

	path := "/v3/routes/" + fmt.Sprint(made["guid"])
	w.ask(422, "POST", path+"/destinations", `{"destinations":[{"app":{"guid":"`+string(shop.ID)+`"},"protocol":"http2"}]}`)
	to := w.ask(200, "POST", path+"/destinations", `{"destinations":[{"app":{"guid":"`+string(shop.ID)+`"}}]}`)["destinations"].([]any)
	if len(to) != 1 || to[0].(map[string]any)["protocol"] != "tcp" {
		t.Fatalf("it leads to %v", to)
	}
	if got := w.ask(200, "GET", "/v3/routes?domain_guids="+domain+"&hosts=&paths=&ports=24232", "")["resources"].([]any); len(got) != 1 {
		t.Errorf("found by its port: %v", got)
	}
	w.ask(204, "DELETE", path+"/destinations/"+fmt.Sprint(to[0].(map[string]any)["guid"]), "")
	w.ask(202, "DELETE", path, "")
	w.ask(404, "GET", path, "")
	w.ask(422, "DELETE", "/v3/domains/"+domain, "")
}

// Where there are no ports there is no router group, and no domain of one.
func TestRouterGroups(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*cf.Config)
		path   string
		status int
		want   string
	}{
		{"all", withPorts, "/routing/v1/router_groups", 200, "24230-24233"},
		{"by name", withPorts, "/routing/v1/router_groups?name=default-tcp", 200, "24230-24233"},
		{"by another name", withPorts, "/routing/v1/router_groups?name=other", 404, "Router Group 'other' not found"},
		{"none", func(*cf.Config) {}, "/routing/v1/router_groups", 200, "[]"},
		{"none of a name", func(*cf.Config) {}, "/routing/v1/router_groups?name=default-tcp", 404, "not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldWith(t, c.change)
			w.login("admin")
			status, body := w.raw(c.path)
			if status != c.status || !strings.Contains(string(body), c.want) {
				t.Errorf("got %d %s, want %d with %s", status, body, c.status, c.want)
			}
		})
	}
	w := newWorld(t)
	w.login("admin")
	if got := w.ask(200, "GET", "/v3/domains?names=tcp.localhost", "")["resources"].([]any); len(got) != 0 {
		t.Errorf("a domain of ports where there are none: %v", got)
	}
}

// Options of routes are refused, but for what is so without them.
func TestOptionsOfRoutes(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	routes, err := w.store.RoutesOf(t.Context(), a.ID)
	must(t, err)
	for options, want := range map[string]int{
		`{"loadbalancing":"least-connection"}`: 200, `{"loadbalancing":null}`: 200, `{}`: 200,
		`{"loadbalancing":"round-robin"}`: 422, `{"loadbalancing":"hash","hash_header":"X"}`: 422, `{"other":1}`: 422,
	} {
		w.ask(want, "PATCH", "/v3/routes/"+string(routes[0].ID), `{"options":`+options+`}`)
	}
}
