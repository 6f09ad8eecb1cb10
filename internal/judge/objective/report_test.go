package objective_test

import (
	"math"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/judge/objective"
)

// feed is steady traffic with bad spells, as counters show it each minute.
type feed struct {
	perMinute float64
	bad       []spell
}

type spell struct {
	after, lasts time.Duration // from the begin
	share        float64       // of requests that are bad
}

// run fills a tally from begin to end.
func (f feed) run(t *testing.T, tally *objective.Tally, of objective.SLI, begin, end time.Time) {
	t.Helper()
	var good, total float64
	add := func(at time.Time) {
		if err := tally.Add(of, objective.Sample{At: at, Good: good, Total: total}); err != nil {
			t.Fatal(err)
		}
	}
	add(begin)
	for at := begin; at.Before(end); at = at.Add(time.Minute) {
		bad := 0.0
		for _, s := range f.bad {
			if from := begin.Add(s.after); !at.Before(from) && at.Before(from.Add(s.lasts)) {
				bad = s.share
			}
		}
		total += f.perMinute
		good += f.perMinute * (1 - bad)
		add(at.Add(time.Minute))
	}
}

var profile = app.Journey{Methods: []string{"GET"}, Path: "/profile/{users}"}

func judge(t *testing.T, tally objective.Counts, o app.Objective, since, now time.Time, causes ...objective.Cause) objective.Report {
	t.Helper()
	if err := o.Check("objective"); err != nil {
		t.Fatal(err)
	}
	r, err := objective.Judge(t.Context(), tally, "shop", o, since, now, causes)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, d := range r.Ledger {
		sum += d.Budget
	}
	if r.Known && !near(sum, r.Used, 1e-9) {
		t.Errorf("the ledger sums up to %v, used is %v", sum, r.Used)
	}
	return r
}

func sli(o app.Objective, journey int) objective.SLI {
	s := objective.SLI{App: "shop", Objective: o}
	if journey >= 0 {
		s.Journey = o.Journeys[journey]
	}
	return s
}

// 99.95 % over 28 d on GET /profile/{users}: at 100 requests a minute there are
// 4,032,000 and 2,016 may fail. Ten minutes of outage fail 1,000.
func TestAvailabilityOfAJourney(t *testing.T) {
	o := app.Objective{Name: "profile", Kind: app.Availability, Target: 0.9995, Journeys: []app.Journey{profile}}
	now := at(t, "2026-11-21T12:00:00Z")
	begin := now.Add(-28 * day)
	tally := objective.NewTally()
	feed{100, []spell{{3 * day, 10 * time.Minute, 1}}}.run(t, tally, sli(o, 0), begin, now)
	r := judge(t, tally, o, begin, now)
	if r.Good != 4_031_000 || r.Total != 4_032_000 {
		t.Errorf("got %v good of %v", r.Good, r.Total)
	}
	for name, tc := range map[string]struct{ got, want float64 }{
		"measured":          {r.Ratio, 1 - 1000.0/4_032_000},
		"used":              {r.Used, 1000.0 / 2016},
		"left":              {r.Left, 1016.0 / 2016},
		"budget in minutes": {r.Budget.Minutes(), 20.16},
		"left in minutes":   {r.LeftTime().Minutes(), 10.16},
	} {
		if !near(tc.got, tc.want, 1e-9) {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
		}
	}
	if !r.Met() || !r.Exhausted.IsZero() || len(r.Notes) != 0 {
		t.Errorf("met %t, exhausted %v, notes %v", r.Met(), r.Exhausted, r.Notes)
	}
}

// 90 % under 500 ms over 28 d: 4 % were slow, so 40 % of the budget is used.
func TestLatencyOfAJourney(t *testing.T) {
	o := app.Objective{Name: "profile-fast", Kind: app.Latency, Target: 0.9, Threshold: app.Duration(500 * time.Millisecond), Journeys: []app.Journey{profile}}
	now := at(t, "2026-11-21T12:00:00Z")
	tally := objective.NewTally()
	feed{50, []spell{{0, 28 * day, 0.04}}}.run(t, tally, sli(o, 0), now.Add(-28*day), now)
	r := judge(t, tally, o, now.Add(-28*day), now)
	if !near(r.Ratio, 0.96, 1e-9) || !near(r.Left, 0.6, 1e-9) || !near(r.LeftTime().Hours(), 0.6*67.2, 1e-6) {
		t.Errorf("measured %v, left %v = %v h", r.Ratio, r.Left, r.LeftTime().Hours())
	}
	for _, b := range r.Burns {
		if !b.Known || !near(b.Rate, 0.4, 1e-9) {
			t.Errorf("burn rate of %s: %v", b.Window, b)
		}
	}
	if len(r.Burns) != 7 {
		t.Errorf("%d burn rates", len(r.Burns))
	}
}

// Four journeys summed into one: traffic decides. By weights: importance does.
func TestFourJourneys(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	paths := []string{"/", "/search", "/cart", "/pay"}
	perMinute := []float64{100, 50, 40, 10}
	bad := []float64{0, 0, 0, 0.1}
	make4 := func(weights []float64, targets []float64) (app.Objective, *objective.Tally) {
		o := app.Objective{Name: "shop", Kind: app.Availability, Target: 0.99}
		for i, p := range paths {
			j := app.Journey{Path: p}
			if weights != nil {
				j.Weight, j.Target = weights[i], targets[i]
			}
			o.Journeys = append(o.Journeys, j)
		}
		tally := objective.NewTally()
		for i := range paths {
			feed{perMinute[i], []spell{{0, 28 * day, bad[i]}}}.run(t, tally, sli(o, i), now.Add(-28*day), now)
		}
		return o, tally
	}

	o, tally := make4(nil, nil)
	r := judge(t, tally, o, now.Add(-28*day), now)
	if !near(r.Ratio, 1-1.0/200, 1e-12) || !near(r.Left, 0.5, 1e-9) || len(r.Parts) != 1 {
		t.Errorf("summed: measured %v, left %v", r.Ratio, r.Left)
	}

	// Weights 1, 2, 2, 5 of 10: sum(w*SLI)/sum(w) = (1+2+2+4.5)/10 = 0.95.
	// Allowed: (1*0.01 + 2*0.01 + 2*0.01 + 5*0.05)/10 = 0.03; used = 0.05/0.03.
	o, tally = make4([]float64{1, 2, 2, 5}, []float64{0, 0, 0, 0.95})
	incident := objective.Cause{Kind: objective.Incident, Name: "payments", Span: objective.Span{From: now.Add(-14 * day), To: now}}
	r = judge(t, tally, o, now.Add(-28*day), now, incident)
	if !near(r.Ratio, 0.95, 1e-12) || !near(r.Target, 0.97, 1e-12) || !near(r.Used, 5.0/3, 1e-9) || len(r.Parts) != 4 {
		t.Errorf("weighted: measured %v of %v, used %v", r.Ratio, r.Target, r.Used)
	}
	if len(r.Ledger) != 2 || r.Ledger[0].Name != "payments" || !near(r.Ledger[0].Budget, 5.0/6, 1e-9) || !near(r.Ledger[1].Budget, 5.0/6, 1e-9) {
		t.Errorf("half of it was during the incident: %v", r.Ledger)
	}
}

func TestNoTraffic(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	for idle, want := range map[app.Idle]struct {
		known bool
		left  float64
	}{
		app.IdleUnknown: {false, 1},
		"":              {false, 1},
		app.IdleGood:    {true, 1},
		app.IdleBad:     {true, -9}, // all bad at 90 %: ten times the budget
	} {
		for name, slice := range map[string]app.Slice{"events": {}, "slices": {Length: app.Duration(time.Minute), Target: 0.9}} {
			o := app.Objective{Name: "idle", Kind: app.Availability, Target: 0.9, Idle: idle, Slice: slice}
			r := judge(t, objective.NewTally(), o, now.Add(-60*day), now)
			if r.Known != want.known || !near(r.Left, want.left, 1e-9) {
				t.Errorf("%s of %s: known %t, left %v, want %t, %v", idle, name, r.Known, r.Left, want.known, want.left)
			}
			if !want.known && (r.Met() || len(r.Notes) == 0) {
				t.Errorf("%s of %s: silence must be shown, and is no success: %v", idle, name, r.Notes)
			}
		}
	}
}

func TestAJourneyNobodyTakes(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	for idle, want := range map[app.Idle]float64{app.IdleUnknown: 0.98, app.IdleGood: 0.985, app.IdleBad: 0.735} {
		o := app.Objective{Name: "two", Kind: app.Availability, Target: 0.9, Idle: idle, Journeys: []app.Journey{{Path: "/a", Weight: 3}, {Path: "/b", Weight: 1}}}
		tally := objective.NewTally()
		feed{10, []spell{{0, 28 * day, 0.02}}}.run(t, tally, sli(o, 0), now.Add(-28*day), now)
		if r := judge(t, tally, o, now.Add(-28*day), now); !near(r.Ratio, want, 1e-9) {
			t.Errorf("%s: got %v, want %v", idle, r.Ratio, want)
		}
	}
}

// An app that is 3 days old had 20 minutes of outage: half of the 40.32 minutes of
// 28 d are used, though 99.54 % were measured.
func TestPartialWindow(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	begin := now.Add(-3 * day)
	for name, slice := range map[string]app.Slice{"events": {}, "slices": {Length: app.Duration(time.Minute), Target: 0.9}} {
		o := app.Objective{Name: "young", Kind: app.Availability, Target: 0.999, Slice: slice}
		tally := objective.NewTally()
		feed{60, []spell{{day, 20 * time.Minute, 1}}}.run(t, tally, sli(o, -1), begin, now)
		r := judge(t, tally, o, begin, now)
		if !near(r.Ratio, 1-20.0/4320, 1e-12) || !near(r.Used, 20/40.32, 1e-9) || !near(r.LeftTime().Minutes(), 20.32, 1e-6) {
			t.Errorf("%s: measured %v, used %v, %v min left", name, r.Ratio, r.Used, r.LeftTime().Minutes())
		}
		if r.Observed != 3*day || len(r.Notes) != 1 || r.Notes[0] != "counting began 3d ago: the figures are of 3d out of 28d" {
			t.Errorf("%s: observed %s, notes %q", name, r.Observed, r.Notes)
		}
	}
}

// On the 21st of a month of 30 days 43.2 minutes were allowed for all of it.
func TestCalendarMonth(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	o := app.Objective{Name: "month", Kind: app.Availability, Target: 0.999, Window: app.Window{Calendar: app.Month}}
	tally := objective.NewTally()
	begin := at(t, "2026-10-20T00:00:00Z")
	// 100 minutes in October do not matter; 30 in November do.
	feed{60, []spell{{day, 100 * time.Minute, 1}, {15 * day, 30 * time.Minute, 1}}}.run(t, tally, sli(o, -1), begin, now)
	r := judge(t, tally, o, begin, now)
	if !near(r.Budget.Minutes(), 43.2, 1e-9) || !near(r.LeftTime().Minutes(), 13.2, 1e-6) || !near(r.Used, 30/43.2, 1e-9) {
		t.Errorf("budget %s, left %s, used %v", r.Budget, r.LeftTime(), r.Used)
	}
}

func TestTimeSlices(t *testing.T) {
	now := at(t, "2026-11-21T12:00:30Z") // in the middle of a slice
	begin := now.Truncate(time.Minute).Add(-28 * day)
	o := app.Objective{Name: "slices", Kind: app.Availability, Target: 0.999, Slice: app.Slice{Length: app.Duration(time.Minute), Target: 0.95}}
	tally := objective.NewTally()
	// 12 minutes with 6 % of failures are bad, 100 with 5 % are good.
	feed{100, []spell{{day, 12 * time.Minute, 0.06}, {2 * day, 100 * time.Minute, 0.05}}}.run(t, tally, sli(o, -1), begin, now.Truncate(time.Minute))
	r := judge(t, tally, o, begin.Add(-day), now)
	if r.Total != 40320 || r.Good != 40308 || !near(r.Used, 12/40.32, 1e-9) || !near(r.LeftTime().Minutes(), 28.32, 1e-6) {
		t.Errorf("%v of %v slices good, used %v, left %s", r.Good, r.Total, r.Used, r.LeftTime())
	}
}

func TestThroughputAndGauges(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	begin := now.Add(-28 * day)
	o := app.Objective{Name: "rate", Kind: app.Throughput, Target: 0.9, Bound: &app.Bound{Op: "gte", Value: 2}}
	tally := objective.NewTally()
	feed{120, nil}.run(t, tally, sli(o, -1), begin, now)
	if r := judge(t, tally, o, begin, now); r.Ratio != 1 || r.Total != 40320 {
		t.Errorf("120 a minute are 2 a second: %v of %v", r.Good, r.Total)
	}
	tally = objective.NewTally()
	feed{119, nil}.run(t, tally, sli(o, -1), begin, now)
	if r := judge(t, tally, o, begin, now); r.Ratio != 0 {
		t.Errorf("119 a minute are less: %v", r.Ratio)
	}
	o = app.Objective{Name: "age", Kind: app.Freshness, Target: 0.9, Query: "time() - data_written", Bound: &app.Bound{Op: "lte", Value: 60}}
	tally = objective.NewTally()
	feed{1, []spell{{0, 2 * day, 1}}}.run(t, tally, sli(o, -1), begin, now)
	if r := judge(t, tally, o, begin, now); !near(r.Ratio, 26.0/28, 1e-12) || !near(r.Left, 1-20.0/28, 1e-9) {
		t.Errorf("two days of 28 were stale: %v, left %v", r.Ratio, r.Left)
	}
}

// A counter that begins again loses nothing of what it showed; a clock that is set
// back brings neither negative numbers nor events twice.
func TestResetsAndClocks(t *testing.T) {
	o := app.Objective{Name: "odd", Kind: app.Availability, Target: 0.9}
	begin := at(t, "2026-11-21T12:00:00Z")
	tally := objective.NewTally()
	of := sli(o, -1)
	for i, s := range []objective.Sample{{Good: 1000, Total: 1000}, {Good: 1090, Total: 1100}, {Good: 45, Total: 50}, {Good: 90, Total: 100}} {
		s.At = begin.Add(time.Duration(i) * time.Minute)
		if err := tally.Add(of, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := tally.Add(of, objective.Sample{At: begin.Add(time.Minute), Good: 1, Total: 1}); err == nil {
		t.Error("a sample of the past was taken")
	}
	now := begin.Add(3 * time.Minute)
	if r := judge(t, tally, o, begin, now); r.Total != 200 || r.Good != 180 {
		t.Errorf("got %v of %v, want 180 of 200", r.Good, r.Total)
	}
	r := judge(t, tally, o, begin.Add(time.Hour), now) // the app began in the future
	if r.Known || r.Observed != 0 || r.Left != 1 || len(r.Notes) != 1 {
		t.Errorf("after the clock was set back: known %t, observed %s, left %v, notes %v", r.Known, r.Observed, r.Left, r.Notes)
	}
	odd := fixed{objective.Count{Good: math.NaN(), Total: math.Inf(1)}}
	if r := judge(t, odd, o, begin.Add(-60*day), now); r.Known {
		t.Errorf("no number was taken for one: %+v", r.Whole)
	}
	odd = fixed{objective.Count{Good: 10.5, Total: 10}}
	if r := judge(t, odd, o, begin.Add(-60*day), now); r.Ratio != 1 || r.Left != 1 {
		t.Errorf("more good ones than there are: %+v", r.Whole)
	}
}

// fixed tells the same of every time.
type fixed struct{ c objective.Count }
