package route_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"naru/internal/app"
	"naru/internal/route"
)

func instance(id string, index int, healthy bool) route.InstanceState {
	return route.InstanceState{ID: id, Index: index, Address: "10.64.0." + id + ":8080", Healthy: healthy}
}

func groupState(id string, a app.ID, process string, w route.Weight, in ...route.InstanceState) route.GroupState {
	return route.GroupState{ID: id, Name: "shop-" + id, App: a, Process: process, Port: 8080, Weight: w, Instances: in}
}

func TestBuild(t *testing.T) {
	names := map[app.ID]string{"a": "shop", "b": "blog"}
	dest := func(a app.ID, process string, port int, w route.Weight) route.Destination {
		return route.Destination{App: a, Process: process, Port: port, Weight: w}
	}
	for name, tc := range map[string]struct {
		destinations []route.Destination
		groups       []route.GroupState
		want         string // groups as JSON; "none": the route is not in the table
	}{
		"healthy instances by index": {
			[]route.Destination{dest("a", "", 0, 0)},
			[]route.GroupState{groupState("1", "a", "web", 100, instance("2", 1, true), instance("3", 2, false), instance("1", 0, true))},
			`[{"id":"1","name":"shop-1","weight":100,"instances":[{"id":"1","address":"10.64.0.1:8080","index":0},{"id":"2","address":"10.64.0.2:8080","index":1}]}]`,
		},
		"two ports of a process, from long ago": {
			[]route.Destination{dest("a", "", 9000, 30), dest("a", "web", 9001, 70)},
			[]route.GroupState{groupState("1", "a", "web", 100, instance("1", 0, true))},
			`[{"id":"1","name":"shop-1","weight":70,"instances":[{"id":"1","address":"10.64.0.1:9001","index":0}]}]`,
		},
		"group weights of a rollout": {
			[]route.Destination{dest("a", "web", 0, 0)},
			[]route.GroupState{groupState("2", "a", "web", 10), groupState("1", "a", "web", 90)},
			`[{"id":"1","name":"shop-1","weight":90,"instances":[]},{"id":"2","name":"shop-2","weight":10,"instances":[]}]`,
		},
		"a pair is one where both are behind the route": {
			[]route.Destination{dest("a", "web", 0, 0)},
			[]route.GroupState{
				{ID: "1", Name: "shop-1", App: "a", Process: "web", Weight: 90, Pair: "9"}, {ID: "2", Name: "shop-2", App: "a", Process: "web", Weight: 10, Pair: "1"},
			},
			`[{"id":"1","name":"shop-1","weight":90,"instances":[]},{"id":"2","name":"shop-2","weight":10,"pair":"1","instances":[]}]`,
		},
		"destinations times groups": {
			[]route.Destination{dest("a", "web", 0, 25), dest("b", "web", 0, 75)},
			[]route.GroupState{groupState("1", "a", "web", 95), groupState("2", "a", "web", 5), groupState("3", "b", "web", 100)},
			`[{"id":"1","name":"shop-1","weight":2375,"instances":[]},{"id":"2","name":"shop-2","weight":125,"instances":[]},` +
				`{"id":"3","name":"shop-3","app":{"id":"b","name":"blog"},"weight":7500,"instances":[]}]`,
		},
		"a destination with weight 0 among others takes nothing": {
			[]route.Destination{dest("a", "web", 0, 100), dest("b", "web", 0, 0)},
			[]route.GroupState{groupState("1", "a", "web", 100), groupState("3", "b", "web", 100)},
			`[{"id":"1","name":"shop-1","weight":100,"instances":[]},{"id":"3","name":"shop-3","app":{"id":"b","name":"blog"},"weight":0,"instances":[]}]`,
		},
		"other process types stay out": {
			[]route.Destination{dest("a", "web", 0, 0)},
			[]route.GroupState{groupState("1", "a", "worker", 100)},
			`[]`,
		},
		"another port": {
			[]route.Destination{dest("a", "web", 9000, 0)},
			[]route.GroupState{groupState("1", "a", "web", 100, instance("1", 0, true))},
			`[{"id":"1","name":"shop-1","weight":100,"instances":[{"id":"1","address":"10.64.0.1:9000","index":0}]}]`,
		},
		"the port it has": {
			[]route.Destination{dest("a", "web", 8080, 0)},
			[]route.GroupState{{ID: "1", Name: "shop-1", App: "a", Process: "web", Port: 8080, Weight: 100, Instances: []route.InstanceState{
				{ID: "1", Address: "127.0.0.1:34567", Healthy: true}}}},
			`[{"id":"1","name":"shop-1","weight":100,"instances":[{"id":"1","address":"127.0.0.1:34567","index":0}]}]`,
		},
		"a route without destinations": {nil, nil, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			table := route.Build(route.Input{Boot: "b", Apps: names, Groups: tc.groups, Routes: []route.Route{
				{ID: "r", Host: "shop.example", Path: "/", Destinations: tc.destinations}}})
			if tc.want == "none" {
				if len(table.Routes) != 0 {
					t.Errorf("routes %+v", table.Routes)
				}
				return
			}
			got, err := json.Marshal(table.Routes[0].Groups)
			if err != nil || string(got) != tc.want {
				t.Errorf("groups\n got %s\nwant %s", got, tc.want)
			}
			if err := table.Check(); err != nil {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

func TestBuildDoesNotDependOnOrder(t *testing.T) {
	in := route.Input{Boot: "b", Apps: map[app.ID]string{"a": "shop"}, Static: []route.Entry{
		{ID: "api", Host: "api.example", Path: "/", Groups: []route.Group{}}}}
	for i := range 20 {
		id := string(rune('a' + i))
		in.Routes = append(in.Routes, route.Route{ID: route.ID(id), Host: id + ".example", Path: "/", Destinations: []route.Destination{{App: "a"}}})
		in.Groups = append(in.Groups, groupState(id, "a", "web", 5, instance("1", 0, true), instance("2", 1, true)))
	}
	want, _ := json.Marshal(route.Build(in))
	for range 20 {
		rand.Shuffle(len(in.Routes), func(i, j int) { in.Routes[i], in.Routes[j] = in.Routes[j], in.Routes[i] })
		rand.Shuffle(len(in.Groups), func(i, j int) { in.Groups[i], in.Groups[j] = in.Groups[j], in.Groups[i] })
		slices.Reverse(in.Groups[0].Instances)
		if got, _ := json.Marshal(route.Build(in)); string(got) != string(want) {
			t.Fatal("another order gave another table")
		}
	}
}
