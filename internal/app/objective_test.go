package app_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
)

func TestObjectivesAreChecked(t *testing.T) {
	good := app.Objective{Name: "a", Kind: app.Availability, Target: 0.999}
	with := func(change func(*app.Objective)) app.Objective {
		o := good
		change(&o)
		return o
	}
	counting := func(o *app.Objective) {
		o.Kind, o.GoodQuery, o.TotalQuery = app.Durability, "sum(increase(ok[$window]))", "sum(increase(all[$window]))"
	}
	for name, tc := range map[string]struct {
		o    app.Objective
		want string // part of the complaint; "": none
	}{
		"availability":       {good, ""},
		"latency":            {with(func(o *app.Objective) { o.Kind, o.Threshold = app.Latency, app.Duration(time.Second) }), ""},
		"throughput":         {with(func(o *app.Objective) { o.Kind, o.Bound = app.Throughput, &app.Bound{Op: "gte", Value: 5} }), ""},
		"counted by queries": {with(counting), ""},
		"a gauge": {with(func(o *app.Objective) {
			o.Kind, o.Query, o.Bound = app.Freshness, "age", &app.Bound{Op: "lt", Value: 5}
		}), ""},
		"a probe":                {with(func(o *app.Objective) { o.Kind, o.Probe = app.EndToEnd, "order" }), ""},
		"100 %":                  {with(func(o *app.Objective) { o.Target = 1 }), "leaves no budget"},
		"over 100 %":             {with(func(o *app.Objective) { o.Target = 99.9 }), "leaves no budget"},
		"0 %":                    {with(func(o *app.Objective) { o.Target = 0 }), "above 0 %"},
		"no number":              {with(func(o *app.Objective) { o.Target = math.NaN() }), "above 0 %"},
		"no name":                {with(func(o *app.Objective) { o.Name = "" }), "is not a name"},
		"a loud name":            {with(func(o *app.Objective) { o.Name = "Loud" }), "is not a name"},
		"another kind":           {with(func(o *app.Objective) { o.Kind = "beauty" }), "is not a kind"},
		"a policy":               {with(func(o *app.Objective) { o.Idle = "fine" }), "does not say what time without traffic is"},
		"a status":               {with(func(o *app.Objective) { o.Bad = []string{"6xx"} }), "is no status"},
		"latency of what":        {with(func(o *app.Objective) { o.Kind = app.Latency }), "belong together"},
		"a threshold of nothing": {with(func(o *app.Objective) { o.Threshold = 1 }), "belong together"},
		"a query of requests":    {with(func(o *app.Objective) { o.Query = "up" }), "measured by the gateway"},
		"throughput of 0":        {with(func(o *app.Objective) { o.Kind, o.Bound = app.Throughput, &app.Bound{Op: "gte"} }), "above 0"},
		"no source":              {with(func(o *app.Objective) { o.Kind = app.Freshness }), "names 0 sources"},
		"two sources":            {with(func(o *app.Objective) { counting(o); o.Probe = "x" }), "names 2 sources"},
		"no total":               {with(func(o *app.Objective) { counting(o); o.TotalQuery = "" }), "total_query and one of"},
		"good and bad":           {with(func(o *app.Objective) { counting(o); o.BadQuery = "x[$window]" }), "total_query and one of"},
		"over which time":        {with(func(o *app.Objective) { counting(o); o.TotalQuery = "sum(all)" }), "over which time"},
		"a gauge without bound":  {with(func(o *app.Objective) { o.Kind, o.Query = app.Freshness, "age" }), "belong together"},
		"a huge query":           {with(func(o *app.Objective) { counting(o); o.TotalQuery += strings.Repeat(" ", 5000) }), "at most 4096"},
		"journeys of a probe":    {with(func(o *app.Objective) { o.Kind, o.Probe, o.Journeys = app.EndToEnd, "x", []app.Journey{{Path: "/"}} }), "journeys are requests"},
		"a short slice":          {with(func(o *app.Objective) { o.Slice = app.Slice{Length: 1, Target: 0.9} }), "is not between"},
		"a slice without target": {with(func(o *app.Objective) { o.Slice = app.Slice{Length: app.Duration(time.Minute)} }), "needs a share"},
		"too many slices":        {with(func(o *app.Objective) { o.Slice = app.Slice{Length: app.MinSlice, Target: 0.9} }), "more than 100000 slices"},
		"a slice as long as all": {with(func(o *app.Objective) {
			o.Slice, o.Window = app.Slice{Length: app.Duration(time.Hour), Target: 0.9}, app.Window{Rolling: app.MinWindow}
		}), "too long"},
		"a minute":         {with(func(o *app.Objective) { o.Window = app.Window{Rolling: app.Duration(time.Minute)} }), "is not between 1h and 366d"},
		"both windows":     {with(func(o *app.Objective) { o.Window = app.Window{Rolling: app.MinWindow, Calendar: app.Month} }), "not both"},
		"two years":        {with(func(o *app.Objective) { o.Window = app.Window{Calendar: app.Year, Every: 2} }), "more than a year"},
		"nowhere":          {with(func(o *app.Objective) { o.Window = app.Window{Calendar: app.Month, Zone: "Mars/Base"} }), "no time zone"},
		"here":             {with(func(o *app.Objective) { o.Window = app.Window{Calendar: app.Month, Zone: "Local"} }), "no time zone"},
		"some time":        {with(func(o *app.Objective) { o.Window = app.Window{Calendar: app.Month, Start: "soon"} }), "no start"},
		"the same twice":   {with(func(o *app.Objective) { o.Journeys = []app.Journey{{Path: "/"}, {Path: "/"}} }), "there twice"},
		"some weights":     {with(func(o *app.Objective) { o.Journeys = []app.Journey{{Path: "/"}, {Path: "/a", Weight: 1}} }), "has no weight"},
		"targets, no sums": {with(func(o *app.Objective) { o.Journeys = []app.Journey{{Path: "/", Target: 0.9}} }), "summed up"},
	} {
		err := tc.o.Check("objectives[0]")
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "objectives[0].")):
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		case tc.want != "" && !fault.Is(err, fault.Invalid):
			t.Errorf("%s: no fault for people: %v", name, err)
		}
	}
	if err := app.CheckObjectives("objectives", []app.Objective{good, good}); err == nil || !strings.Contains(err.Error(), `two objectives are named "a"`) {
		t.Errorf("twice the same name: %v", err)
	}
	if err := app.CheckObjectives("objectives", make([]app.Objective, app.MaxObjectives+1)); !fault.Is(err, fault.TooLarge) {
		t.Errorf("too many: %v", err)
	}
}

func TestShares(t *testing.T) {
	for text, want := range map[string]float64{"99.99%": 0.9999, "99.999 %": 0.99999, "99.95": 0.9995, "0.999": 0.999, "0.5%": 0.005, "1": 1, "100%": 1, "9999e-4": 0.9999} {
		if got, err := app.ParseShare(text); err != nil || got != want {
			t.Errorf("%s reads as %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "%", "x", "NaN", "Inf%", "1e999"} {
		if got, err := app.ParseShare(text); err == nil {
			t.Errorf("%q reads as %v", text, got)
		}
	}
}

func TestJourneysMatch(t *testing.T) {
	for text, tc := range map[string]struct{ yes, no []string }{
		"GET /profile/{users}":         {[]string{"GET a /profile/1", "GET b /profile/%2F"}, []string{"POST a /profile/1", "GET a /profile/", "GET a /profile", "GET a /profile/1/", "GET a /profile/1/x", "GET a /Profile/1"}},
		"GET,HEAD shop.example.com/":   {[]string{"HEAD shop.example.com /", "GET SHOP.example.com /"}, []string{"GET example.com /", "GET shop.example.com /x"}},
		"/static/{rest...}":            {[]string{"GET a /static/", "PUT a /static/a/b"}, []string{"GET a /static", "GET a /statics/"}},
		"/{a}/x/{b}":                   {[]string{"GET a /1/x/2"}, []string{"GET a /1/y/2", "GET a //x/2"}},
		"/{all...}":                    {[]string{"GET a /", "GET a /x/y"}, nil},
		"/plain":                       {[]string{"GET a /plain"}, []string{"GET a /plain/", "GET a /"}},
		"DELETE /orders/{id}/items/{}": {nil, nil}, // refused below
	} {
		j, err := app.ParseJourney(text)
		if tc.yes == nil {
			if err == nil {
				t.Errorf("%s was read", text)
			}
			continue
		}
		if err != nil || j.String() != text {
			t.Errorf("%s reads as %s, %v", text, j, err)
		}
		for want, requests := range map[bool][]string{true: tc.yes, false: tc.no} {
			for _, r := range requests {
				f := strings.Fields(r)
				if got := j.Matches(f[0], f[1], f[2]); got != want {
					t.Errorf("%s matches %s: %t", text, r, got)
				}
			}
		}
	}
	for _, text := range []string{"", "GET", "profile", "GET /a b", "/a?x", "/{a", "/a}", "/x{a}", "/{a...}/b", "G=T /", "/\x00", "http://a/", "/" + strings.Repeat("x", 2000)} {
		if j, err := app.ParseJourney(text); err == nil {
			t.Errorf("%q reads as %+v", text, j)
		}
	}
}

func TestWindowsReadAndWrite(t *testing.T) {
	for text, want := range map[string]app.Window{
		"28d":                                  app.DefaultWindow,
		"36h":                                  {Rolling: app.Duration(36 * time.Hour)},
		"month":                                {Calendar: app.Month},
		"month in Europe/Berlin":               {Calendar: app.Month, Zone: "Europe/Berlin"},
		"2 weeks from 2026-01-05T12:00 in UTC": {Calendar: app.Week, Every: 2, Start: "2026-01-05T12:00", Zone: "UTC"},
	} {
		got, err := app.ParseWindow(text)
		if err != nil || got != want || want.String() != text {
			t.Errorf("%s reads as %+v, %v, and is written %s", text, got, err, want)
		}
	}
	if w, err := app.ParseWindow("4w"); err != nil || w != app.DefaultWindow {
		t.Errorf("4w reads as %+v, %v", w, err)
	}
	for _, text := range []string{"", " ", "28", "d", "-3d", "99999999d", "0d", "month in", "month near Berlin", "3"} {
		if w, err := app.ParseWindow(text); err == nil && w.Check("w") == nil {
			t.Errorf("%q reads as %+v", text, w)
		}
	}
}

func TestObjectivesSurviveJSON(t *testing.T) {
	want := app.Objective{
		Name: "pay", Kind: app.Latency, Target: 0.9, Threshold: app.Duration(time.Second), Window: app.Window{Calendar: app.Month, Zone: "Europe/Berlin"},
		Journeys: []app.Journey{{Methods: []string{"GET"}, Path: "/a", Weight: 2}}, Slice: app.Slice{Length: app.Duration(time.Minute), Target: 0.9},
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got app.Objective
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s reads as %+v, %v", data, got, err)
	}
	data, err = json.Marshal(app.Objective{Name: "x", Kind: app.Availability, Target: 0.5})
	if err != nil || string(data) != `{"name":"x","kind":"availability","target":0.5}` {
		t.Errorf("got %s, %v", data, err)
	}
}
