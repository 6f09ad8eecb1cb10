package openslo_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge/openslo"
)

func all(t testing.TB) []openslo.Object {
	t.Helper()
	data, err := os.ReadFile("testdata/all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := openslo.Parse("all.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestEveryKindIsRead(t *testing.T) {
	counted := map[openslo.Kind]int{}
	for _, o := range all(t) {
		counted[o.Kind]++
	}
	for _, k := range openslo.Kinds() {
		if counted[k] == 0 {
			t.Errorf("no %s was read", k)
		}
	}
	o := all(t)[0]
	if got := o.Metadata.Labels["team"]; len(got) != 2 || o.Metadata.Labels["costCentre"][0] != "project1" || o.Metadata.DisplayName != "The shop" {
		t.Errorf("got %+v", o.Metadata)
	}
}

func TestObjectives(t *testing.T) {
	got, err := openslo.Objectives(all(t))
	if err != nil {
		t.Fatal(err)
	}
	jobs := app.Objective{
		Kind: app.EndToEnd, Window: app.Window{Rolling: app.Duration(14 * 24 * time.Hour)},
		BadQuery: "sum(increase(jobs_failed_total[$window]))", TotalQuery: "sum(increase(jobs_total[$window]))",
	}
	ours, promised := jobs, jobs
	ours.Name, ours.Target, promised.Name, promised.Target = "jobs-1", 0.999, "jobs-2", 0.99
	want := []app.Objective{
		ours, promised,
		{
			Name: "waiting", Kind: app.EndToEnd, Target: 0.995, Idle: app.IdleBad, Query: "max(lag)", Bound: &app.Bound{Op: "lt", Value: 500},
			Window: app.Window{Calendar: app.Month, Start: "2022-01-01T12:00", Zone: "America/New_York"}, Slice: app.Slice{Length: app.Duration(5 * time.Minute)},
		},
		{
			Name: "ready-made", Kind: app.EndToEnd, Target: 0.99, Window: app.DefaultWindow, Query: "slo:errors:ratio",
			Bound: &app.Bound{Op: "lte", Value: 1 - 0.95}, Slice: app.Slice{Length: app.Duration(time.Minute)},
		},
		{
			Name: "journeys", Kind: app.Availability, Target: 0.999, Window: app.DefaultWindow,
			Journeys: []app.Journey{{Methods: []string{"POST"}, Path: "/pay", Weight: 3}, {Methods: []string{"GET"}, Path: "/item/{id}", Weight: 1, Target: 0.99}},
		},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d, want %d", len(got), len(want))
	}
	for i, d := range got {
		w := want[i]
		if w.Bound != nil && d.Objective.Bound != nil && d.Objective.Bound.Op == w.Bound.Op && d.Objective.Bound.Value-w.Bound.Value < 1e-9 {
			d.Objective.Bound = w.Bound
		}
		if !reflect.DeepEqual(d.Objective, w) || d.Service != "shop" {
			t.Errorf("%s: got %+v\nwant %+v", d.Service, d.Objective, w)
		}
	}
}

// What is written is read as the same again, both objects and objectives.
func TestRoundTrip(t *testing.T) {
	objects := all(t)
	data, err := openslo.Render(objects)
	if err != nil {
		t.Fatal(err)
	}
	again, err := openslo.Parse("again.yaml", data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if len(again) != len(objects) {
		t.Fatalf("%d objects became %d", len(objects), len(again))
	}
	for i := range objects {
		objects[i].File, objects[i].Line, again[i].File, again[i].Line = "", 0, "", 0
		if !reflect.DeepEqual(objects[i], again[i]) {
			t.Errorf("got %+v\nwant %+v", again[i], objects[i])
		}
	}

	minute := app.Slice{Length: app.Duration(time.Minute), Target: 0.95}
	objectives := []app.Objective{
		{Name: "a", Kind: app.Availability, Target: 0.9995, Window: app.DefaultWindow, Journeys: []app.Journey{{Methods: []string{"GET"}, Path: "/profile/{users}"}}, Bad: []string{"5xx", "none"}, Excluded: []string{"404"}},
		{Name: "b", Kind: app.Latency, Target: 0.9, Threshold: app.Duration(512 * time.Millisecond), Window: app.Window{Calendar: app.Month, Zone: "Europe/Berlin"}, Slice: minute, Idle: app.IdleGood, Description: "fast"},
		{Name: "c", Kind: app.Availability, Target: 0.99, Window: app.Window{Calendar: app.Quarter}, Journeys: []app.Journey{{Path: "/", Weight: 1}, {Path: "/pay", Weight: 4.5, Target: 0.999}}},
		{Name: "d", Kind: app.Throughput, Target: 0.9, Window: app.Window{Calendar: app.Week, Every: 2, Start: "2026-01-05T12:00"}, Bound: &app.Bound{Op: "gte", Value: 50}},
		{Name: "e", Kind: app.Freshness, Target: 0.9, Window: app.Window{Rolling: app.Duration(36 * time.Hour)}, Query: "age", Bound: &app.Bound{Op: "lte", Value: 60}, Slice: app.Slice{Length: app.Duration(5 * time.Minute)}},
		{Name: "f", Kind: app.Durability, Target: 0.99999, Window: app.DefaultWindow, BadQuery: "lost[$window]", TotalQuery: "kept[$window]"},
		{Name: "g", Kind: app.EndToEnd, Target: 0.9, Window: app.DefaultWindow, Probe: "order"},
	}
	made, err := openslo.FromObjectives("shop", objectives)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = openslo.Render(made); err != nil {
		t.Fatal(err)
	}
	if made, err = openslo.Parse("made.yaml", data); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	got, err := openslo.Objectives(made)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	for i, o := range objectives {
		if !reflect.DeepEqual(got[i].Objective, o) || got[i].Service != "shop" {
			t.Errorf("got  %+v\nwant %+v", got[i].Objective, o)
		}
	}
	objectives[1].Slice.Length = app.Duration(30 * time.Second)
	if _, err := openslo.FromObjectives("shop", objectives); !fault.Is(err, fault.Unsupported) {
		t.Errorf("slices of 30 s: %v", err)
	}
}

const object = `apiVersion: openslo/v1
kind: SLO
metadata: {name: x}
spec:
  service: shop
  budgetingMethod: Occurrences
  indicator:
    metadata: {name: y}
    spec:
      ratioMetric:
        good: {metricSource: {type: Prometheus, spec: {query: "good[$window]"}}}
        total: {metricSource: {type: Prometheus, spec: {query: "all[$window]"}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  objectives:
  - target: 0.99
`

func TestWrongObjectsAreNamed(t *testing.T) {
	if _, err := openslo.Parse("f.yaml", []byte(object)); err != nil {
		t.Fatal(err)
	}
	replaced := func(old, new string) string {
		if !strings.Contains(object, old) {
			t.Fatalf("%q is not in the object", old)
		}
		return strings.Replace(object, old, new, 1)
	}
	for name, tc := range map[string]struct{ in, want string }{
		"nothing":            {"", "f.yaml: there is no object"},
		"only a comment":     {"# x\n---\n", "there is no object"},
		"no YAML":            {"a: [", "f.yaml: "},
		"text":               {"hello", "f.yaml:1: it is no object"},
		"alpha":              {replaced("openslo/v1", "openslo/v1alpha"), `f.yaml:1: x: apiVersion: "openslo/v1alpha" is not read, openslo/v1 is`},
		"another kind":       {replaced("kind: SLO", "kind: SLA"), `f.yaml:2: x: kind: "SLA" is no kind`},
		"a key":              {replaced("budgetingMethod", "budgettingMethod"), "f.yaml:6: x: spec.budgettingMethod: there is no such key, did you mean budgetingMethod?"},
		"a key of an object": {replaced("target: 0.99", "target: 0.99\n    traget: 1"), "f.yaml:16: x: spec.objectives.0.traget: there is no such key, did you mean target?"},
		"a name":             {replaced("{name: x}", "{name: X_Y}"), `f.yaml:3: X_Y: metadata.name: "X_Y" is no name`},
		"100 %":              {replaced("0.99", "1"), "f.yaml:15: x: spec.objectives.0.target: 1 is not from 0 to below 1"},
		"two targets":        {replaced("0.99", "0.99\n    targetPercent: 99"), "want one of target and targetPercent"},
		"no method":          {replaced("Occurrences", "Guesses"), `spec.budgetingMethod: "Guesses" is not`},
		"no slices":          {replaced("Occurrences", "Timeslices"), "Timeslices needs one above 0"},
		"good and bad":       {replaced("        total:", "        bad: {metricSource: {type: Prometheus, spec: {query: x}}}\n        total:"), "want one of good and bad"},
		"both windows":       {replaced("isRolling: true", "isRolling: true, calendar: {startTime: 2022-01-01 12:00:00, timeZone: UTC}"), "a rolling window has no calendar"},
		"no window":          {replaced("isRolling: true", "isRolling: false"), "want isRolling: true or a calendar"},
		"a length":           {replaced("4w", "4 weeks"), "is no duration"},
		"a zone":             {replaced("isRolling: true", "calendar: {startTime: 2022-01-01 12:00:00, timeZone: Mars}"), `"Mars" is no time zone`},
		"a type":             {replaced("target: 0.99", "target: [KEY-1]"), "line 15 has another type"},
		"a long description": {replaced("service: shop", "service: shop\n  description: "+strings.Repeat("x", 1051)), "more than 1050 characters"},
		"both indicators":    {replaced("target: 0.99", "target: 0.99\n    indicatorRef: z"), "not both"},
		"a loop":             {"apiVersion: openslo/v1\nkind: Service\nmetadata: {name: x}\nspec: &a\n  description: y\n  more: [*a]\n", "nested more than"},
		"a billion laughs":   {"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "parts"},
		"no connection":      {"apiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: x}\nspec: {type: Datadog}\n", "spec.connectionDetails: it is missing"},
		"two conditions":     {"apiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: {name: x}\nspec:\n  conditions: [{conditionRef: a}, {conditionRef: b}]\n  notificationTargets: [{targetRef: c}]\n", "several windows need a policy each"},
	} {
		_, err := openslo.Parse("f.yaml", []byte(tc.in))
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "KEY-1") {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		} else if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: no fault for people: %v", name, err)
		}
	}
	// What is right is read beside what is wrong.
	got, err := openslo.Parse("f.yaml", []byte(object+"---\n"+replaced("0.99", "2")))
	if len(got) != 1 || err == nil || !strings.Contains(err.Error(), "f.yaml:31") {
		t.Errorf("got %d objects, %v", len(got), err)
	}
}

func TestWhatCannotBeJudgedIsNamed(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, want string }{
		"another system":   {"type: Prometheus, spec: {query: \"good", "type: Datadog, spec: {query: \"good", "metrics of type Datadog are not read"},
		"two systems":      {"type: Prometheus, spec: {query: \"all[$window]\"}", "type: naru, spec: {kind: all}", "some events with Prometheus and all with naru"},
		"over which time":  {"good[$window]", "good", "$window is replaced"},
		"no such source":   {"type: Prometheus, spec: {query: \"good", "metricSourceRef: nowhere, spec: {query: \"good", `no data source "nowhere"`},
		"mean of ratios":   {"Occurrences", "RatioTimeslices", "RatioTimeslices is the mean"},
		"nothing promised": {"target: 0.99", "target: 0", "above 0 %"},
		"a minute":         {"duration: 4w, isRolling: true", "duration: 1m, calendar: {startTime: 2022-01-01 12:00:00, timeZone: UTC}", "m is minutes, M months"},
		"ten minutes":      {"4w", "10m", "is not between 1h and 366d"},
		"no such SLI":      {"indicator:\n    metadata: {name: y}\n    spec:\n      ratioMetric:\n        good: {metricSource: {type: Prometheus, spec: {query: \"good[$window]\"}}}\n        total: {metricSource: {type: Prometheus, spec: {query: \"all[$window]\"}}}", "indicatorRef: nowhere", `no SLI "nowhere"`},
	} {
		if !strings.Contains(object, tc.old) {
			t.Fatalf("%s: %q is not in the object", name, tc.old)
		}
		in := strings.Replace(object, tc.old, tc.new, 1)
		if tc.new == "RatioTimeslices" {
			in = strings.Replace(in, "target: 0.99", "target: 0.99\n    timeSliceWindow: 1m", 1)
		}
		objects, err := openslo.Parse("f.yaml", []byte(in))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = openslo.Objectives(objects)
		if !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "f.yaml:1: x: it is right, and naru cannot judge it: ") {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	objects, err := openslo.Parse("f.yaml", []byte(object+"---\n"+object))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := openslo.Objectives(objects); len(got) != 1 || err == nil || !strings.Contains(err.Error(), "two objectives") {
		t.Errorf("the same twice: %d, %v", len(got), err)
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/all.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(object))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, err := openslo.Parse("f", data)
		if err != nil && fault.Of(err).Kind == fault.Internal {
			t.Errorf("no fault for people: %v", err)
		}
		if _, err := openslo.Objectives(objects); err != nil && fault.Of(err).Kind == fault.Internal {
			t.Errorf("no fault for people: %v", err)
		}
	})
}
