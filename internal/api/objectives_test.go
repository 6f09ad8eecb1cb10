package api_test

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge/objective"
	series "naru/internal/observe/metrics"
	"naru/internal/pipeline/promise"
	"naru/internal/store"
)

// promised is the real service over counts that nobody has added to.
func promised(st *store.Store) *promise.Service {
	queries := series.New(series.Options{}, slog.New(slog.DiscardHandler))
	return promise.New(st, objective.NewTally(), queries.CheckQuery, promise.Limits{Journeys: 3, Retention: 35 * 24 * time.Hour}, time.Now)
}

// The wire's objectives are the domain's, field by field: both are rewritten as the
// same JSON.
func TestObjectivesOnTheWire(t *testing.T) {
	for _, pair := range []struct{ a, b reflect.Type }{
		{reflect.TypeFor[app.Objective](), reflect.TypeFor[client.Objective]()},
		{reflect.TypeFor[app.Journey](), reflect.TypeFor[client.Journey]()},
		{reflect.TypeFor[app.Slice](), reflect.TypeFor[client.Slice]()},
		{reflect.TypeFor[app.Bound](), reflect.TypeFor[client.Bound]()},
		{reflect.TypeFor[app.Probe](), reflect.TypeFor[client.AppProbe]()},
	} {
		keys := func(of reflect.Type) map[string]bool {
			out := map[string]bool{}
			for i := range of.NumField() {
				name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
				out[name] = true
			}
			return out
		}
		if a, b := keys(pair.a), keys(pair.b); !reflect.DeepEqual(a, b) {
			t.Errorf("%s has %v, %s has %v", pair.a, a, pair.b, b)
		}
	}
}

func TestObjectivesAreApplied(t *testing.T) {
	w := newWorld(t, api.Config{})
	shop := w.app("shop").ID
	w.user("developer", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	in := w.dev("developer").App("shop")
	ctx := t.Context()
	avail := client.Objective{Name: "profile", Kind: "availability", Target: 0.999, Window: "month in Europe/Berlin", Journeys: []client.Journey{{Methods: []string{"GET"}, Path: "/profile/{user}"}}}
	apply := func(dry bool, all ...client.Objective) (client.ObjectiveChanges, error) {
		return in.ApplyObjectives(ctx, client.ApplyObjectives{Objectives: all, DryRun: dry})
	}
	changes := func(c client.ObjectiveChanges) (out string) {
		for _, one := range c.Changes {
			out += one.Change + " " + one.Name + ";"
		}
		return out
	}
	for _, step := range []struct {
		dry    bool
		target float64
		want   string
	}{
		{true, 0.999, "added profile;"}, {false, 0.999, "added profile;"}, {false, 0.999, "unchanged profile;"},
		{true, 0.99, "changed profile;"}, {false, 0.99, "changed profile;"},
	} {
		avail.Target = step.target
		if c, err := apply(step.dry, avail); err != nil || changes(c) != step.want {
			t.Errorf("dry %t at %v: %s, %v, want %s", step.dry, step.target, changes(c), err, step.want)
		}
	}
	d, err := in.Objectives(ctx)
	if err != nil || len(d.Objectives) != 1 || d.Objectives[0].Origin != "applied" || !reflect.DeepEqual(d.Objectives[0].Objective, avail) {
		t.Errorf("kept %+v, %v", d, err)
	}
	l, err := in.Reports(ctx)
	if err != nil || len(l.Items) != 1 || l.Items[0].Known || l.Items[0].Left != 1 || l.Items[0].Text != "99 % of GET /profile/{user} do not fail, over month in Europe/Berlin" {
		t.Errorf("reports %+v, %v", l, err)
	}
	if l, err := w.dev("developer").Reports(ctx); err != nil || len(l.Items) != 1 || l.Items[0].App != "shop" {
		t.Errorf("reports of the space %+v, %v", l, err)
	}

	for name, tc := range map[string]struct {
		o     client.Objective
		kind  fault.Kind
		field string
		want  string
	}{
		"over 100 %":    {client.Objective{Name: "x", Kind: "availability", Target: 1}, fault.Invalid, "objectives[0].target", "leaves no budget"},
		"no such probe": {client.Objective{Name: "x", Kind: "end_to_end", Target: 0.9, Probe: "order"}, fault.Invalid, "objectives[0].probe", `no probe "order"`},
		"no PromQL":     {client.Objective{Name: "x", Kind: "freshness", Target: 0.9, Query: "sum(", Bound: &client.Bound{Op: "lt", Value: 1}}, fault.Invalid, "objectives[0].query", "no PromQL"},
		"no window":     {client.Objective{Name: "x", Kind: "availability", Target: 0.9, Window: "now and then"}, fault.Invalid, "objectives[0]", "no window"},
		"too long":      {client.Objective{Name: "x", Kind: "availability", Target: 0.9, Window: "quarter"}, fault.Invalid, "objectives[0].window", "metrics are kept"},
		"too many": {client.Objective{Name: "x", Kind: "availability", Target: 0.9, Journeys: []client.Journey{{Path: "/a"}, {Path: "/b"}, {Path: "/c"}}}, fault.TooLarge, "objectives",
			"4 journeys would be counted, and an app may have 3 (objectives.journeys)"},
	} {
		_, err := apply(false, tc.o)
		if f := fault.Of(err); f.Kind != tc.kind || f.Field != tc.field || !strings.Contains(f.Message, tc.want) || f.Try == "" && name != "no window" {
			t.Errorf("%s: %+v", name, f)
		}
	}

	// What the manifest declares is not applied over, and the other way round.
	must(t, w.store.SetObjectives(ctx, shop, app.FromManifest, []app.Objective{{Name: "all", Kind: app.Availability, Target: 0.9}}, "ada"))
	if _, err := apply(false, client.Objective{Name: "all", Kind: "availability", Target: 0.99}); !fault.Is(err, fault.Conflict) {
		t.Errorf("over the manifest's: %v", err)
	}
	if err := in.DeleteObjective(ctx, "all"); !fault.Is(err, fault.Conflict) {
		t.Errorf("delete the manifest's: %v", err)
	}
	must(t, in.DeleteObjective(ctx, "profile"))
	if err := in.DeleteObjective(ctx, "profile"); !fault.Is(err, fault.NotFound) {
		t.Errorf("delete it twice: %v", err)
	}
}

func TestMaintenanceIsAnnounced(t *testing.T) {
	w := newWorld(t, api.Config{})
	shop := w.app("shop").ID
	w.user("developer", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	in := w.dev("developer").App("shop")
	ctx := t.Context()
	must(t, w.store.SetObjectives(ctx, shop, app.FromManifest, []app.Objective{{Name: "all", Kind: app.Availability, Target: 0.999, Idle: app.IdleGood}}, "ada"))
	begin := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	a, err := in.Announce(ctx, client.NewMaintenance{From: begin, To: begin.Add(20*time.Minute + 9600*time.Millisecond), Reason: "new database"})
	must(t, err)
	// 20.16 minutes are half of the 40.32 of 28 days at 99.9 %.
	if len(a.Objectives) != 1 || a.Objectives[0].Reserved < 0.4999 || a.Objectives[0].Reserved > 0.5001 || a.State != "announced" {
		t.Errorf("announced %+v", a)
	}
	if _, err := in.Announce(ctx, client.NewMaintenance{From: begin.Add(time.Hour), To: begin.Add(2 * time.Hour), Reason: "more"}); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "is free") {
		t.Errorf("more than is free: %v", err)
	}
	for name, m := range map[string]client.NewMaintenance{
		"past":      {From: begin.Add(-2 * time.Hour), To: begin, Reason: "x"},
		"no end":    {From: begin, To: begin, Reason: "x"},
		"no reason": {From: begin, To: begin.Add(time.Minute)},
		"too far":   {From: begin.Add(400 * 24 * time.Hour), To: begin.Add(401 * 24 * time.Hour), Reason: "x"},
	} {
		if _, err := in.Announce(ctx, m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := in.Reports(ctx)
	if err != nil || len(l.Items) != 1 || len(l.Items[0].Ahead) != 1 || l.Items[0].Ahead[0].Name != "new database" {
		t.Errorf("reports %+v, %v", l, err)
	}
	m, err := in.CancelMaintenance(ctx, a.ID)
	if err != nil || m.State != "cancelled" {
		t.Errorf("cancelled %+v, %v", m, err)
	}
	if l, err := in.Reports(ctx); err != nil || l.Items[0].Reserved != 0 {
		t.Errorf("after it was cancelled: %+v, %v", l, err)
	}
	if all, err := in.Maintenance(ctx, false); err != nil || len(all.Items) != 1 {
		t.Errorf("listed %+v, %v", all, err)
	}
}
