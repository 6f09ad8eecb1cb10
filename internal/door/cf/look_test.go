package cf

import (
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
	"naru/internal/run"
)

// What the client waits for is decided by the states of the newest instances.
func TestSpots(t *testing.T) {
	now := time.Now()
	old, young := run.Group{ID: "old", Process: "web", Created: now.Add(-time.Hour)}, run.Group{ID: "young", Process: "web", Created: now}
	in := func(g run.Group, index int, s run.State, crashes int) run.Instance {
		return run.Instance{ID: run.InstanceID(string(g.ID) + string(rune('0'+index))), Group: g.ID, Index: index, State: s, Crashes: crashes, Created: g.Created}
	}
	sized := func(g run.Group, n int) run.Group { g.App, g.Size = "a", n; return g }
	canary := run.Group{ID: "canary", App: "a", Process: "front", Size: 1, Created: now}
	for _, c := range []struct {
		name      string
		stopped   bool
		groups    []run.Group
		instances []run.Instance
		want      string
	}{
		{"stopped", true, []run.Group{old}, []run.Instance{in(old, 0, run.Draining, 0)}, "DOWN DOWN"},
		{"asked for a moment ago", false, nil, nil, "STARTING STARTING"},
		{"one of two", false, []run.Group{old}, []run.Instance{in(old, 0, run.Healthy, 0), in(old, 1, run.Starting, 0)}, "RUNNING STARTING"},
		{"the old does not count for the new", false, []run.Group{old, young}, []run.Instance{in(old, 0, run.Healthy, 0), in(old, 1, run.Healthy, 0), in(young, 0, run.Starting, 0)}, "STARTING STARTING"},
		{"the new is there, the old stands in", false, []run.Group{old, young}, []run.Instance{in(old, 1, run.Healthy, 0), in(young, 0, run.Healthy, 0)}, "RUNNING RUNNING"},
		{"crashed", false, []run.Group{old}, []run.Instance{in(old, 0, run.Crashed, 1), in(old, 1, run.Pending, 2)}, "CRASHED CRASHED"},
		{"unhealthy runs", false, []run.Group{old}, []run.Instance{in(old, 0, run.Unhealthy, 0), in(old, 1, run.Healthy, 0)}, "RUNNING RUNNING"},
		{"above what is wanted", false, []run.Group{old}, []run.Instance{in(old, 2, run.Healthy, 0)}, "STARTING STARTING"},
		{"a canary that is of another process", false, []run.Group{sized(old, 2), sized(young, 0), canary}, []run.Instance{in(old, 0, run.Healthy, 0), in(old, 1, run.Healthy, 0)}, "RUNNING RUNNING"},
		{"a canary on its way to its step", false, []run.Group{sized(old, 2), sized(young, 0), canary}, []run.Instance{in(old, 0, run.Healthy, 0)}, "STARTING STARTING"},
		{"its rollout has no group yet", false, []run.Group{old}, []run.Instance{in(old, 0, run.Healthy, 0), in(old, 1, run.Healthy, 0)}, "STARTING STARTING"},
		{"the whole app is to have none yet", false, []run.Group{sized(old, 2), sized(young, 0)}, []run.Instance{in(old, 0, run.Healthy, 0)}, "STARTING STARTING"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := app.App{ID: "a", State: app.Started, Image: "i", Scale: map[string]int{"web": 2}}
			if c.stopped {
				a.State = app.Stopped
			}
			v := sight{beginning: map[app.ID]bool{"a": strings.Contains(c.name, "no group yet")}, steps: map[app.ID]bool{"a": !strings.Contains(c.name, "on its way")}, groups: map[app.ID][]run.Group{"a": c.groups}, instances: map[run.GroupID][]run.Instance{}}
			for _, i := range c.instances {
				v.instances[i.Group] = append(v.instances[i.Group], i)
			}
			var got []string
			for _, s := range v.spots(a, "web") {
				got = append(got, s.state)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func TestHostsAreTakenApart(t *testing.T) {
	cfg := Config{AppsDomain: "apps.example"}
	for host, want := range map[string][2]string{
		"shop.apps.example": {"shop", "apps.example"}, "a.b.apps.example": {"a.b", "apps.example"}, "apps.example": {"", "apps.example"},
		"www.shop.com": {"", "www.shop.com"}, "*.shop.com": {"*", "shop.com"}, "*.apps.example": {"*", "apps.example"},
	} {
		label, domain := cfg.hostOf(host)
		if [2]string{label, domain} != want {
			t.Errorf("%s: got %q in %q", host, label, domain)
		}
		if joined(label, domain) != host {
			t.Errorf("%s: together again it is %s", host, joined(label, domain))
		}
	}
}

func TestProcessesHaveTheirOwnIDs(t *testing.T) {
	const a = "01a1ff71-5433-7617-b63d-acca9bfe259a"
	for _, process := range []string{"web", "worker", "a-b"} {
		if gotApp, got := processOf(processGUID(a, process)); gotApp != a || got != process {
			t.Errorf("%s: got %s of %s", process, got, gotApp)
		}
	}
}

// Services of a manifest are the same whether they are said by name or with what
// their binding is called.
func TestServicesOfManifestsAreCompared(t *testing.T) {
	named := func(name, binding string) any { return map[string]any{"name": name, "binding_name": binding} }
	was := []any{"db", named("drain", "logs")}
	for _, c := range []struct {
		name  string
		value []any
		want  string
	}{
		{"the same", []any{"db", named("drain", "logs")}, ""},
		{"in another order", []any{named("drain", "logs"), map[string]any{"name": "db"}}, ""},
		{"one more", []any{"db", "cache"}, "add /applications/0/services/1"},
		{"another binding", []any{named("drain", "lines")}, "replace /applications/0/services/0/binding_name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			for _, d := range differences("/applications/0/services", was, true, any(c.value)) {
				got += d.Op + " " + d.Path
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// At a step is a rollout that goes on, from when the step has its traffic until the
// steps are done.
func TestOnStep(t *testing.T) {
	steps, now := app.Strategy{Kind: app.Canary, Steps: []app.Step{{Weight: 20, Hold: true}}}, time.Now()
	for name, c := range map[string]struct {
		r    rollout.Rollout
		want bool
	}{
		"it waits there":      {rollout.Rollout{Spec: steps, State: rollout.Paused, Reached: now}, true},
		"it is on its way":    {rollout.Rollout{Spec: steps, State: rollout.Shifting}, false},
		"all steps are done":  {rollout.Rollout{Spec: steps, State: rollout.Shifting, Step: 1, Reached: now}, false},
		"there are no steps":  {rollout.Rollout{State: rollout.Shifting, Reached: now}, false},
		"it has ended":        {rollout.Rollout{Spec: steps, State: rollout.Done, Reached: now}, false},
		"it has gone back":    {rollout.Rollout{Spec: steps, State: rollout.RolledBack, Reached: now}, false},
		"it is on a way back": {rollout.Rollout{Spec: steps, State: rollout.Aborting, Reached: now}, true},
	} {
		if got := onStep(c.r); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
