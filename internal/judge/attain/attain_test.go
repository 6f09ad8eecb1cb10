package attain_test

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge/attain"
	"naru/internal/judge/objective"
	"naru/internal/observe/metrics"
)

const day = 24 * time.Hour

// now is not on the hour: windows begin and end within slices that are remembered.
var now = time.Date(2026, 11, 21, 12, 17, 0, 0, time.UTC)

// rig is a store of metrics, and Counts that ask it.
type rig struct {
	*attain.Counts
	t     testing.TB
	store *metrics.Store
	at    time.Time // what the clock says
	known map[string]*metrics.Series
}

func start(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, at: now, known: map[string]*metrics.Series{}}
	clock := func() time.Time { return r.at }
	r.store = metrics.New(metrics.Options{Dir: t.TempDir(), Now: clock, OutOfOrder: time.Hour}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.store.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-r.store.Ready()
	r.Counts = r.fresh()
	return r
}

// fresh are Counts that remember nothing.
func (r *rig) fresh() *attain.Counts {
	return attain.New(r.store, func(_ context.Context, id app.ID) (attain.Place, error) {
		return attain.Place{SpaceID: "s1", App: string(id)}, nil
	}, attain.Options{Now: func() time.Time { return r.at }})
}

// sample is a value of a series of the app "shop": "NAME LABEL VALUE LABEL VALUE".
type sample struct {
	series string
	value  float64
}

func (r *rig) write(at time.Time, samples ...sample) {
	r.t.Helper()
	points := make([]metrics.Point, len(samples))
	for i, s := range samples {
		if r.known[s.series] == nil {
			f := strings.Split(s.series, " ")
			l := append([]string{"__name__", f[0], "space_id", "s1", "app", "shop"}, f[1:]...)
			r.known[s.series] = &metrics.Series{Labels: labels.FromStrings(l...)}
		}
		points[i] = metrics.Point{Series: r.known[s.series], Value: s.value}
	}
	if res, err := r.store.Write(r.t.Context(), at, points); err != nil || res.Written != len(samples) {
		r.t.Fatalf("%d of %d written, %v", res.Written, len(samples), err)
	}
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

func (r *rig) judge(o app.Objective, since time.Time, causes ...objective.Cause) objective.Report {
	r.t.Helper()
	if err := o.Check("objective"); err != nil {
		r.t.Fatal(err)
	}
	report, err := objective.Judge(r.t.Context(), r, "shop", o, since, r.at, causes)
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

var profile = app.Journey{Methods: []string{"GET"}, Path: "/profile/{users}"}

// 99.95 % over 28 d and 90 % under 500 ms on GET /profile/{users}: at 100 requests a
// minute there are 4,032,000 and 2,016 may fail. Ten minutes of outage fail 1,000; 4 %
// of what did not fail was slow. Meanwhile the release changed once, and naru began
// its counters again once.
func TestProfileByHand(t *testing.T) {
	r := start(t)
	begin := now.Add(-28 * day)
	const ok, failed, fast = "naru_journey_requests_total journey GET_ status 2xx group ", "naru_journey_requests_total journey GET_ status 5xx group ", "naru_journey_requests_within_total journey GET_ status 2xx le 0.5 group "
	series := func(s, group string) string { return strings.Replace(s+group, "GET_", "GET\u00a0/profile/{users}", 1) }
	var n, bad, quick float64
	group := "shop-v001"
	put := func(at time.Time) {
		r.write(at, r.spaced(sample{series(ok, group), n}), r.spaced(sample{series(failed, group), bad}), r.spaced(sample{series(fast, group), quick}))
	}
	put(begin)
	for m := range 28 * 24 * 60 {
		at := begin.Add(time.Duration(m+1) * time.Minute)
		switch m {
		case 10 * 24 * 60: // another release
			group, n, bad, quick = "shop-v002", 0, 0, 0
			put(at.Add(-time.Minute))
		case 20*24*60 + 7: // naru began again
			n, bad, quick = 0, 0, 0
			put(at.Add(-30 * time.Second))
		}
		if m >= 3*24*60 && m < 3*24*60+10 {
			bad += 100
		} else {
			n, quick = n+100, quick+96
		}
		put(at)
	}
	avail := app.Objective{Name: "profile", Kind: app.Availability, Target: 0.9995, Journeys: []app.Journey{profile}}
	cause := objective.Cause{Kind: objective.Incident, Name: "database", Span: objective.Span{From: begin.Add(3 * day), To: begin.Add(3*day + 4*time.Minute)}}
	rep := r.judge(avail, begin, cause)
	if rep.Good != 4_031_000 || rep.Total != 4_032_000 {
		t.Errorf("got %v good of %v", rep.Good, rep.Total)
	}
	for name, tc := range map[string]struct{ got, want float64 }{
		"measured":               {rep.Ratio, 1 - 1000.0/4_032_000},
		"used":                   {rep.Used, 1000.0 / 2016},
		"budget in minutes":      {rep.Budget.Minutes(), 20.16},
		"left in minutes":        {rep.LeftTime().Minutes(), 10.16},
		"the incident":           {rep.Ledger[0].Bad, 400},
		"the incident, minutes":  {rep.Ledger[0].Time.Minutes(), 4},
		"nobody knows, requests": {rep.Ledger[1].Bad, 600},
	} {
		if !near(tc.got, tc.want, 1e-9*max(1, math.Abs(tc.want))) {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
		}
	}
	quickly := app.Objective{Name: "fast", Kind: app.Latency, Target: 0.9, Threshold: app.Duration(500 * time.Millisecond), Journeys: []app.Journey{profile}}
	rep = r.judge(quickly, begin)
	if want := 0.96 * 4_031_000; rep.Total != 4_032_000 || !near(rep.Good, want, 1e-6) {
		t.Errorf("fast: %v of %v, want %v", rep.Good, rep.Total, want)
	}
	for _, b := range rep.Burns {
		if !b.Known || !near(b.Rate, 0.4, 1e-9) {
			t.Errorf("burn rate of %s: %+v", b.Window, b)
		}
	}
	// By minutes: the ten of the outage are bad, and every other one is good.
	avail.Slice, avail.Target = app.Slice{Length: app.Duration(time.Minute), Target: 0.95}, 0.999
	for range 2 { // counted, then remembered
		if rep = r.judge(avail, begin); rep.Total != 40320 || rep.Good != 40310 || !near(rep.LeftTime().Minutes(), 30.32, 1e-6) {
			t.Errorf("slices: %v of %v, left %s", rep.Good, rep.Total, rep.LeftTime())
		}
	}
}

// spaced has spaces where a series' text cannot.
func (r *rig) spaced(s sample) sample {
	if r.known[s.series] == nil {
		f := strings.Split(s.series, " ")
		l := []string{"__name__", f[0], "space_id", "s1", "app", "shop"}
		for _, part := range f[1:] {
			l = append(l, strings.ReplaceAll(part, "\u00a0", " "))
		}
		r.known[s.series] = &metrics.Series{Labels: labels.FromStrings(l...)}
	}
	return s
}

// What is counted of an app by the class of a status needs no journey; a status
// that is named does.
func TestStatuses(t *testing.T) {
	r := start(t)
	from := now.Add(-time.Hour)
	counts := map[string]float64{
		"naru_gateway_requests_total group shop-v001 class 2xx":            100,
		"naru_gateway_requests_total group shop-v001 class 4xx":            20,
		"naru_gateway_requests_total group shop-v001 class 5xx":            5,
		"naru_gateway_requests_total class 5xx":                            2, // the gateway's own
		"naru_gateway_requests_total class none":                           3,
		"naru_gateway_requests_total group shop-v001:mirror class 5xx":     1000, // nobody waited for these
		"naru_journey_requests_total journey all status 2xx":               100,
		"naru_journey_requests_total journey all status 4xx":               12,
		"naru_journey_requests_total journey all status 429":               8,
		"naru_journey_requests_total journey all status 5xx":               7,
		"naru_journey_requests_total journey all status none":              3,
		"naru_journey_requests_within_total journey all le 1 status 2xx":   90,
		"naru_journey_requests_within_total journey all le 0.5 status 2xx": 50,
		"naru_journey_requests_within_total journey all le 1 status 5xx":   7,
		"naru_journey_requests_within_total journey all le 1 status 429":   8,
		"naru_probe_runs_total probe order outcome good":                   58,
		"naru_probe_runs_total probe order outcome bad":                    2,
		"naru_probe_runs_total probe other outcome bad":                    9,
	}
	for name, v := range counts {
		r.write(from, sample{name, 1000})
		r.write(from.Add(time.Minute), sample{name, 1000 + v})
	}
	of := func(o app.Objective) app.Objective {
		o.Name, o.Target = "x", 0.9
		if o.Kind == "" {
			o.Kind = app.Availability
		}
		return o.Filled()
	}
	for name, tc := range map[string]struct {
		o           app.Objective
		good, total float64
	}{
		"all":                         {of(app.Objective{}), 123, 130},
		"no client's own fault":       {of(app.Objective{Excluded: []string{"4xx"}}), 103, 110},
		"none is bad":                 {of(app.Objective{Bad: []string{"5xx", "none"}}), 120, 130},
		"429 is bad":                  {of(app.Objective{Bad: []string{"5xx", "429"}}), 115, 130},
		"429 does not count":          {of(app.Objective{Excluded: []string{"429"}}), 115, 122},
		"fast":                        {of(app.Objective{Kind: app.Latency, Threshold: app.Duration(time.Second)}), 98, 130},
		"fast, and 4xx is bad":        {of(app.Objective{Kind: app.Latency, Threshold: app.Duration(time.Second), Bad: []string{"4xx", "5xx"}}), 90, 130},
		"within half a second":        {of(app.Objective{Kind: app.Latency, Threshold: app.Duration(500 * time.Millisecond)}), 50, 130},
		"throughput":                  {of(app.Objective{Kind: app.Throughput, Excluded: []string{"5xx"}, Bound: &app.Bound{Op: "gte", Value: 1}}), 123, 123},
		"a probe":                     {of(app.Objective{Kind: app.EndToEnd, Probe: "order"}), 58, 60},
		"a journey nobody counts yet": {of(app.Objective{Journeys: []app.Journey{profile}}), 0, 0},
	} {
		sli := objective.SLI{App: "shop", Objective: tc.o}
		if len(tc.o.Journeys) > 0 {
			sli.Journey = tc.o.Journeys[0]
		}
		got, err := r.Over(t.Context(), sli, from, now)
		if err != nil || got.Good != tc.good && tc.o.Kind != app.Throughput || got.Total != tc.total {
			t.Errorf("%s: %+v, %v, want %v of %v", name, got, err, tc.good, tc.total)
		}
	}
	other := objective.SLI{App: "another", Objective: of(app.Objective{})}
	if got, err := r.Over(t.Context(), other, from, now); err != nil || got.Total != 0 {
		t.Errorf("another app: %+v, %v", got, err)
	}
}

// What is remembered equals what is counted anew, wherever a time begins and ends,
// and as time goes on.
func TestRememberedIsCounted(t *testing.T) {
	r := start(t)
	r.at = now.Add(-3 * day)
	random := rand.New(rand.NewPCG(4, 2))
	good, bad := 0.0, 0.0
	next := now.Add(-4 * day)
	feed := func(until time.Time) {
		for ; !next.After(until); next = next.Add(time.Duration(10+random.IntN(30)) * time.Second) {
			if random.IntN(500) == 0 { // begun again
				good, bad = 0, 0
				r.write(next, sample{"naru_gateway_requests_total class 2xx", 0}, sample{"naru_gateway_requests_total class 5xx", 0})
				continue
			}
			if random.IntN(300) == 0 { // nothing was written for a while
				next = next.Add(time.Duration(random.IntN(120)) * time.Minute)
				continue
			}
			good, bad = good+float64(random.IntN(50)), bad+float64(random.IntN(3))
			r.write(next, sample{"naru_gateway_requests_total class 2xx", good}, sample{"naru_gateway_requests_total class 5xx", bad})
		}
	}
	o := app.Objective{Name: "x", Kind: app.Availability, Target: 0.9}.Filled()
	sli := objective.SLI{App: "shop", Objective: o}
	for range 60 {
		r.at = r.at.Add(time.Duration(random.IntN(100)) * time.Minute)
		if r.at.After(now) {
			r.at = now
		}
		feed(r.at)
		from := r.at.Add(-time.Duration(random.IntN(30*3600)) * time.Second)
		to := from.Add(time.Duration(random.Int64N(int64(r.at.Sub(from)) + 1)))
		if random.IntN(2) == 0 {
			to = r.at
		}
		got, err := r.Over(t.Context(), sli, from, to)
		if err != nil {
			t.Fatal(err)
		}
		// The same in pieces of a few minutes, none of which is remembered.
		want, plain := objective.Count{}, r.fresh()
		for at := from; at.Before(to); {
			end := at.Add(31 * time.Minute)
			if end.After(to) {
				end = to
			}
			c, err := plain.Over(t.Context(), sli, at, end)
			if err != nil {
				t.Fatal(err)
			}
			want.Good, want.Total, at = want.Good+c.Good, want.Total+c.Total, end
		}
		if got != want {
			t.Fatalf("%s to %s: remembered %+v, counted %+v", from, to, got, want)
		}
		length := 5 * time.Minute
		first := from.Truncate(length)
		each, err := r.Each(t.Context(), sli, first, to, length)
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.fresh().Each(t.Context(), sli, first, to, length)
		if err != nil || !slices.Equal(each, again) || len(each) != int(to.Sub(first)/length) {
			t.Fatalf("%d slices of %s from %s differ, %v", len(each), length, first, err)
		}
	}
}

// Nothing is known of what nobody counted, and a young app is judged by its own time.
func TestNoTrafficAndPartialWindows(t *testing.T) {
	r := start(t)
	o := app.Objective{Name: "x", Kind: app.Availability, Target: 0.999}
	if rep := r.judge(o, now.Add(-60*day)); rep.Known || rep.Left != 1 || len(rep.Notes) == 0 {
		t.Errorf("silence: %+v", rep)
	}
	o.Idle = app.IdleGood
	if rep := r.judge(o, now.Add(-60*day)); !rep.Known || rep.Left != 1 {
		t.Errorf("silence that is good: %+v", rep)
	}
	r = start(t)
	begin := now.Add(-3 * day)
	r.write(begin, sample{"naru_gateway_requests_total class 2xx", 0}, sample{"naru_gateway_requests_total class 5xx", 0})
	var good, bad float64
	for m := range 3 * 24 * 60 {
		if m >= 1000 && m < 1020 {
			bad += 60
		} else {
			good += 60
		}
		r.write(begin.Add(time.Duration(m+1)*time.Minute), sample{"naru_gateway_requests_total class 2xx", good}, sample{"naru_gateway_requests_total class 5xx", bad})
	}
	if rep := r.judge(o, begin); !near(rep.Ratio, 1-20.0/4320, 1e-12) || !near(rep.Used, 20/40.32, 1e-9) || !near(rep.LeftTime().Minutes(), 20.32, 1e-6) {
		t.Errorf("measured %v, used %v, left %s", rep.Ratio, rep.Used, rep.LeftTime())
	}
}

func TestQueries(t *testing.T) {
	r := start(t)
	begin := now.Add(-2 * time.Hour).Truncate(time.Minute)
	var ok, all float64
	for m := range 121 {
		at := begin.Add(time.Duration(m) * time.Minute)
		age := 10.0
		if m >= 30 && m < 42 {
			age = 100
		}
		ok, all = ok+9, all+10
		r.write(at, sample{"age_seconds", age}, sample{"kept_total", ok}, sample{"asked_total", all}, sample{"many one 1", 1}, sample{"many one 2", 1})
	}
	young := app.Objective{Name: "young", Kind: app.Freshness, Target: 0.9, Query: "max(age_seconds)", Bound: &app.Bound{Op: "lte", Value: 60}, Window: app.Window{Rolling: app.Duration(2 * time.Hour)}}
	if rep := r.judge(young, begin.Add(-day)); rep.Total != 120 || rep.Good != 108 {
		t.Errorf("young: %v of %v", rep.Good, rep.Total)
	}
	kept := app.Objective{Name: "kept", Kind: app.Durability, Target: 0.5, BadQuery: "sum(increase(asked_total[$window])) - sum(increase(kept_total[$window]))", TotalQuery: "sum(increase(asked_total[$window]))", Window: app.Window{Rolling: app.Duration(2 * time.Hour)}}
	if rep := r.judge(kept, begin.Add(-day)); !near(rep.Ratio, 0.9, 1e-3) {
		t.Errorf("kept: %v", rep.Ratio)
	}
	for query, want := range map[string]string{"many": "2 values at a time", "sum(": "unclosed left parenthesis", `"text"`: "must be Scalar"} {
		young.Query = query
		_, err := objective.Judge(t.Context(), r, "shop", young, begin, now, nil)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
	young.Query = `max(age_seconds{space_id="s2"})`
	if rep := r.judge(young, begin.Add(-day)); rep.Known {
		t.Errorf("of another space: %+v", rep.Whole)
	}
}
