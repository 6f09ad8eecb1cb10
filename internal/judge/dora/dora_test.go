package dora_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"naru/internal/judge/dora"
)

const day = 24 * time.Hour

var (
	end   = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	begin = end.Add(-91 * day) // 13 weeks
	shop  = dora.Scope{Org: "acme", Space: "prod", App: "shop"}
	blog  = dora.Scope{Org: "acme", Space: "prod", App: "blog"}
)

func ago(d time.Duration) time.Time { return end.Add(-d) }

func live(id string, of dora.Scope, before time.Duration) dora.Deployment {
	return dora.Deployment{ID: id, Of: of, At: ago(before), Live: true}
}

// every deploys each so often, over all 13 weeks.
func every(step time.Duration) (all []dora.Deployment) {
	for d := time.Hour; d < 91*day; d += step {
		all = append(all, live(fmt.Sprint(len(all)), shop, d))
	}
	return all
}

func TestFrequency(t *testing.T) {
	var burst []dora.Deployment
	for i := range 100 { // a hundred in one hour are one day of one week
		burst = append(burst, live(fmt.Sprint(i), shop, day+time.Duration(i)*30*time.Second))
	}
	var three []dora.Deployment
	for w := range 13 { // three on one day and one on another, each week
		for i, d := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * day} {
			three = append(three, live(fmt.Sprint(w, i), shop, time.Duration(w)*7*day+d))
		}
	}
	for name, tc := range map[string]struct {
		in              []dora.Deployment
		n               int
		perWeek, months float64
		band            dora.Band
	}{
		"several a day":    {every(8 * time.Hour), 273, 7, 90, dora.Daily},
		"every second day": {every(2 * day), 46, 4, 15, dora.Daily},
		"once a week":      {every(7 * day), 13, 1, 4, dora.Weekly},
		"twice a month":    {every(20 * day), 5, 0, 2, dora.Monthly},
		"one burst":        {burst, 100, 0, 0, dora.Yearly},
		"two days a week":  {three, 52, 2, 17, dora.Weekly},
		"never":            {nil, 0, 0, 0, dora.Yearly},
	} {
		f := dora.Figures(shop, begin, end, tc.in, nil).Frequency
		if f.N != tc.n || f.Weeks != 13 || f.DaysPerWeek != tc.perWeek || f.PerMonth != tc.months || f.Band != tc.band {
			t.Errorf("%s: got %+v, want %d, %v days a week, %v a month, %s", name, f, tc.n, tc.perWeek, tc.months, tc.band)
		}
	}
	if f := dora.Figures(shop, end.Add(-3*day), end, every(day), nil).Frequency; f.Weeks != 0 || f.Band != "" || f.N != 3 {
		t.Errorf("three days say nothing of weeks: %+v", f)
	}
}

func TestLeadTime(t *testing.T) {
	commits := func(before ...time.Duration) (out []time.Time) {
		for _, b := range before {
			out = append(out, ago(10*day).Add(-b))
		}
		return out
	}
	for name, tc := range map[string]struct {
		commits []time.Time
		n, out  int
		median  time.Duration
		band    dora.Band
	}{
		"one":                        {commits(time.Hour), 1, 0, time.Hour, dora.Day},
		"odd":                        {commits(30*time.Hour, time.Hour, 100*time.Hour), 3, 0, 30 * time.Hour, dora.Week},
		"even":                       {commits(10*day, 20*day), 2, 0, 15 * day, dora.Month},
		"automated ones left out":    {commits(0, -time.Minute, 2*time.Hour), 1, 2, 2 * time.Hour, dora.Day},
		"a day is not less than one": {commits(day), 1, 0, day, dora.Week},
		"half a year":                {commits(4379 * time.Hour), 1, 0, 4379 * time.Hour, dora.SixMonths},
		"more":                       {commits(4380 * time.Hour), 1, 0, 4380 * time.Hour, dora.Longer},
		"none":                       {nil, 0, 0, 0, ""},
	} {
		d := live("1", shop, 10*day)
		d.Commits = tc.commits
		r := dora.Figures(shop, begin, end, []dora.Deployment{d}, nil)
		if l := r.LeadTime; l.N != tc.n || r.LeftOut != tc.out || l.Median != tc.median || l.Band != tc.band {
			t.Errorf("%s: got %+v, %d left out", name, l, r.LeftOut)
		}
	}
}

// Of ten deployments five failed, each in its own way.
func TestChangeFailures(t *testing.T) {
	var all []dora.Deployment
	for i := range 10 {
		all = append(all, live(fmt.Sprint(i), shop, time.Duration(50-4*i)*day))
	}
	all[1].Live = false                           // went back before all had it
	all[2].Back = all[2].At.Add(10 * time.Minute) // went back later
	all[4].Fixes = "3"                            // mended by the next
	all[7].Rework = true
	incidents := []dora.Incident{
		{Of: shop, Opened: all[5].At.Add(time.Hour), Restored: all[5].At.Add(3 * time.Hour)},                     // soon after
		{Of: shop, Opened: all[6].At.Add(3 * day), Restored: all[6].At.Add(3*day + 30*time.Minute), Change: "6"}, // somebody said so
		{Of: shop, Opened: all[8].At.Add(2 * day), Restored: all[8].At.Add(2*day + 60*time.Minute)},              // long after: of nobody
		{Of: blog, Opened: all[9].At.Add(time.Minute), Restored: all[9].At.Add(time.Hour)},                       // another app
		{Of: shop, Opened: end.Add(-time.Hour)},                                                                  // goes on
	}
	r := dora.Figures(shop, begin, end, all, incidents)
	if f := r.Failures; f.N != 5 || f.Of != 10 || f.Share() != 0.5 || f.Band != dora.Usual {
		t.Errorf("failures %+v", f)
	}
	if r.Rework.N != 2 || r.Rework.Of != 10 {
		t.Errorf("rework %+v", r.Rework)
	}
	if r.Restore.N != 3 || r.Restore.Median != time.Hour || r.Restore.P90 != 2*time.Hour || r.Open != 1 {
		t.Errorf("restore %+v, %d open", r.Restore, r.Open)
	}
	if r.Recovery.N != 3 || r.Recovery.Median != 30*time.Minute { // 10 min, 30 min, 2 h
		t.Errorf("recovery %+v", r.Recovery)
	}
	for bad, want := range map[int]dora.Band{15: dora.Rare, 16: dora.Often, 45: dora.Often, 46: dora.Usual} {
		var all []dora.Deployment
		for i := range 100 {
			d := live(fmt.Sprint(i), shop, time.Duration(i)*time.Hour+1)
			d.Live = i >= bad
			all = append(all, d)
		}
		if got := dora.Figures(shop, begin, end, all, nil).Failures; got.Band != want {
			t.Errorf("%d of 100: %s, want %s", bad, got.Band, want)
		}
	}
}

// The example of the facts: 10, 20 and 60 minutes have a median of 20.
func TestRestore(t *testing.T) {
	var in []dora.Incident
	for i, m := range []time.Duration{60, 10, 20} {
		at := ago(time.Duration(i+2) * day)
		in = append(in, dora.Incident{Of: shop, Opened: at, Restored: at.Add(m * time.Minute)})
	}
	r := dora.Figures(shop, end.Add(-30*day), end, nil, in)
	if r.Restore.N != 3 || r.Restore.Median != 20*time.Minute || r.Restore.P90 != time.Hour || r.Restore.Band != dora.Day {
		t.Errorf("got %+v", r.Restore)
	}
	in[0].Restored = in[0].Opened.Add(-time.Hour) // a clock was wrong
	if r := dora.Figures(shop, begin, end, nil, in); r.Restore.Median != 10*time.Minute {
		t.Errorf("got %+v", r.Restore)
	}
}

func TestScopesAndTimes(t *testing.T) {
	other := dora.Scope{Org: "acme", Space: "dev", App: "shop"}
	in := []dora.Deployment{
		live("a", shop, day), live("b", blog, day), live("c", other, day),
		live("at the begin", shop, 91*day), live("before", shop, 91*day+1), live("at the end", shop, 0),
	}
	for scope, want := range map[dora.Scope]int{
		shop: 2, blog: 1, {Org: "acme", Space: "prod"}: 3, {Org: "acme"}: 4, {}: 4, {Org: "other"}: 0,
	} {
		if got := dora.Figures(scope, begin, end, in, nil).Frequency.N; got != want {
			t.Errorf("%+v: %d deployments, want %d", scope, got, want)
		}
	}
}

// The order in which things are told does not matter.
func TestOrderDoesNotMatter(t *testing.T) {
	all := every(36 * time.Hour)
	var in []dora.Incident
	for i := range all {
		all[i].Commits = []time.Time{all[i].At.Add(-time.Duration(i) * time.Hour)}
		if i%5 == 0 {
			in = append(in, dora.Incident{Of: shop, Opened: all[i].At.Add(time.Hour), Restored: all[i].At.Add(time.Duration(i+1) * time.Hour)})
		}
	}
	want := dora.Figures(shop, begin, end, all, in)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		r.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		if got := dora.Figures(shop, begin, end, all, in); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}
