package route_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/proxyproto"
)

func TestTableOfTCPRoutes(t *testing.T) {
	const groups = `"app": {"id": "a", "name": "a"}, "groups": []`
	for _, tc := range []struct{ name, tcp, want string }{
		{"a port", `{"id": "1", "port": 20000, ` + groups + `}`, ""},
		{"a name", `{"id": "1", "sni": "*.db.example", "proxy": "v2", "timeouts": {"connect": "1s", "idle": "2h"}, "limits": {"connections": 5}, ` + groups + `}`, ""},
		{"neither", `{"id": "1", ` + groups + `}`, "tcp[0]: needs a port, or an sni"},
		{"both", `{"id": "1", "port": 1, "sni": "db.example", ` + groups + `}`, "tcp[0].sni: cannot stand beside a port"},
		{"no id", `{"port": 1, ` + groups + `}`, "tcp[0].id: is missing"},
		{"another route's id", `{"id": "http", "port": 1, ` + groups + `}`, `tcp[0].id: "http" is another route's`},
		{"a port twice", `{"id": "1", "port": 1, ` + groups + `}, {"id": "2", "port": 1, ` + groups + `}`, "tcp[1]: tcp:1 is already tcp[0]"},
		{"a name twice", `{"id": "1", "sni": "x.y", ` + groups + `}, {"id": "2", "sni": "x.y", ` + groups + `}`, "tcp[1]: sni:x.y is already tcp[0]"},
		{"no port", `{"id": "1", "port": 70000, ` + groups + `}`, "tcp[0].port: 70000 is not a port"},
		{"no name", `{"id": "1", "sni": "UPPER", ` + groups + `}`, `tcp[0].sni: "UPPER" is not a host name`},
		{"no version", `{"id": "1", "port": 1, "proxy": "v3", ` + groups + `}`, `tcp[0].proxy: "v3" is not v1 or v2`},
		{"a negative limit", `{"id": "1", "port": 1, "limits": {"connections": -1}, ` + groups + `}`, "tcp[0].limits.connections: must not be negative"},
		{"an unknown key", `{"id": "1", "port": 1, "path": "/", ` + groups + `}`, "tcp[0].path: is not a key of a table"},
		{"a match", `{"id": "1", "port": 1, "app": {"id": "a", "name": "a"}, "groups": [{"id": "g", "name": "g", "weight": 1, "match": {"header": "X"}, "instances": []}]}`, "tcp[0].groups[0].match: is about requests"},
		{"a protocol", `{"id": "1", "port": 1, "app": {"id": "a", "name": "a"}, "groups": [{"id": "g", "name": "g", "weight": 1, "protocol": "http2", "instances": []}]}`, "tcp[0].groups[0].protocol: is about requests"},
		{"a bad address", `{"id": "1", "port": 1, "app": {"id": "a", "name": "a"}, "groups": [{"id": "g", "name": "g", "weight": 1, "instances": [{"id": "i", "address": "x"}]}]}`, `tcp[0].groups[0].instances[0].address: "x" is not HOST:PORT`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := `{"version": 1, "routes": [{"id": "http", "host": "x.y", "path": "/", ` + groups + `}], "tcp": [` + tc.tcp + `]}`
			_, err := route.DecodeFile("t.json", []byte(text))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// TestBuildOfTCPRoutes: groups and weights as for requests, without guards.
func TestBuildOfTCPRoutes(t *testing.T) {
	now := time.Unix(1, 0)
	port, err := route.NewTCP("s", "", route.TCP{Port: 20000, Proxy: proxyproto.V1, Timeouts: route.StreamTimeouts{Idle: app.Duration(time.Hour)}, Connections: 7}, now)
	must(t, err)
	sni, err := route.NewTCP("s", "DB.example", route.TCP{}, now)
	must(t, err)
	port.ID, sni.ID = "p", "n"
	port.Destinations = []route.Destination{route.NewDestination("a1", "db", 5432, 0)}
	sni.Destinations = []route.Destination{route.NewDestination("a1", "db", 0, 0)}
	if port.Name() != "tcp:20000" || sni.Name() != "sni:db.example" {
		t.Errorf("named %s and %s", port.Name(), sni.Name())
	}
	groups := []route.GroupState{
		{ID: "g1", Name: "db-v001", App: "a1", Process: "db", Port: 8080, Weight: 90, Instances: []route.InstanceState{{ID: "i1", Address: "10.0.0.1:8080", Healthy: true}}},
		{ID: "g2", Name: "db-v002", App: "a1", Process: "db", Port: 8080, Weight: 10, Guard: &route.Guard{Key: "r", Baseline: "g1"}, Match: &route.Match{Header: "X"}, Pair: "g1"},
	}
	table := route.Build(route.Input{Apps: map[app.ID]string{"a1": "db"}, Routes: []route.Route{sni, port}, Groups: groups})
	must(t, table.Check())
	got, err := json.Marshal(table.TCP)
	must(t, err)
	want := `[{"id":"n","sni":"db.example","app":{"id":"a1","name":"db"},"groups":[` +
		`{"id":"g1","name":"db-v001","weight":90,"instances":[{"id":"i1","address":"10.0.0.1:8080","index":0}]},{"id":"g2","name":"db-v002","weight":10,"instances":[]}]},` +
		`{"id":"p","port":20000,"app":{"id":"a1","name":"db"},"groups":[` +
		`{"id":"g1","name":"db-v001","weight":90,"instances":[{"id":"i1","address":"10.0.0.1:5432","index":0}]},{"id":"g2","name":"db-v002","weight":10,"instances":[]}],` +
		`"proxy":"v1","timeouts":{"idle":"1h0m0s"},"limits":{"connections":7}}]`
	if string(got) != want {
		t.Errorf("built\n%s, want\n%s", got, want)
	}
	var instances []string
	for in := range table.Instances {
		instances = append(instances, in.ID+" "+in.Address)
	}
	if strings.Join(instances, ",") != "i1 10.0.0.1:8080,i1 10.0.0.1:5432" {
		t.Errorf("instances %v", instances)
	}
	if len(table.Routes) != 0 {
		t.Errorf("routes of requests: %v", table.Routes)
	}
}

func TestTCPRouteIsChecked(t *testing.T) {
	for name, in := range map[string]struct {
		host string
		tcp  route.TCP
	}{
		"no host":            {"", route.TCP{}},
		"a port too high":    {"", route.TCP{Port: 65536}},
		"another version":    {"", route.TCP{Port: 1, Proxy: "v3"}},
		"a negative time":    {"", route.TCP{Port: 1, Timeouts: route.StreamTimeouts{Idle: -1}}},
		"too many at a time": {"", route.TCP{Port: 1, Connections: route.MaxConnections + 1}},
	} {
		if _, err := route.NewTCP("s", in.host, in.tcp, time.Unix(1, 0)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
