package canary

import (
	"math"
	"testing"
)

var none = math.NaN() // in a row: not published, or not there

// want is what a row of the published tables says.
type want struct {
	class          Class
	critical       bool
	low, high, mid float64
	effect         float64
}

func (w want) check(t *testing.T, r Result) {
	t.Helper()
	if r.Class != w.class || r.Critical != w.critical {
		t.Errorf("%s, critical %v; want %s, %v (%s)", r.Class, r.Critical, w.class, w.critical, r.Why)
	}
	near := func(what string, got, want, by float64) {
		if !math.IsNaN(want) && math.Abs(got-want) > by {
			t.Errorf("%s = %v, want %v", what, got, want)
		}
	}
	near("low", r.Low, w.low, 0.006)
	near("high", r.High, w.high, 0.006)
	near("shift", r.Shift, w.mid, 0.06)
	switch {
	case math.IsNaN(w.effect):
	case r.Effect == nil:
		t.Errorf("no effect, want %v", w.effect)
	default:
		near("effect", *r.Effect, w.effect, 0.006)
	}
	if r.Class != Pass && r.Why == "" {
		t.Error("no reason")
	}
}

func ratio(decrease, increase float64) Effect {
	return Effect{AllowedDecrease: decrease, AllowedIncrease: increase}
}

func critical(e Effect, decrease, increase float64) Effect {
	e.CriticalDecrease, e.CriticalIncrease = decrease, increase
	return e
}

// TestPublishedClassifications are the cases of the original's own tests. Where
// we differ on purpose, the row says so: the point estimate of rows 12 and 14 is
// the median of the differences, where the original stops somewhere between the
// two differences beside it. Rows 8, 9, 19 and 20 have samples of our own with
// the published properties, their own were not printed.
func TestPublishedClassifications(t *testing.T) {
	const (
		five   = "20 22 21 25 30"
		small  = "1 2.2 1.1 2.5 3"
		ten    = "10 12.2 10.1 12.5 23"
		spread = "54.9 54.5 55.1 55.6 57.4"
		shares = ".05 .05 .016667 .016667 .016667 .05 .033333 .05 .05 .133333"
	)
	cl98 := limits{level: 0.98, tolerance: 0.2, minimum: 1}
	cles := func(decrease, increase float64) Effect {
		return Effect{Measure: CLES, AllowedDecrease: decrease, AllowedIncrease: increase}
	}
	for name, tc := range map[string]struct {
		canary, baseline string
		m                Metric
		l                limits // zero: tolerance 0.10 at 0.95
		want             want
	}{
		"1 alike":                          {canary: e10, baseline: c10, want: want{Pass, false, -1.06, 1.09, 0.06, 1.0009}},
		"2 high":                           {canary: e20, baseline: c10, want: want{High, false, 9.34, 11.62, 10.62, 2.068}},
		"3 low":                            {canary: e10, baseline: c20, want: want{Low, false, -11.11, -8.80, -9.90, 0.4907}},
		"4 low, only an increase fails":    {canary: e10, baseline: c20, m: Metric{Direction: Increase}, want: want{Pass, false, -11.11, -8.80, -9.90, 0.4907}},
		"5 high, only a decrease fails":    {canary: e20, baseline: c10, m: Metric{Direction: Decrease}, want: want{Pass, false, 9.34, 11.62, 10.62, 2.068}},
		"6 high, an increase fails":        {canary: e20, baseline: c10, m: Metric{Direction: Increase}, want: want{High, false, 9.34, 11.62, 10.62, 2.068}},
		"7 low, a decrease fails":          {canary: e10, baseline: c20, m: Metric{Direction: Decrease}, want: want{Low, false, -11.11, -8.80, -9.90, 0.4907}},
		"10 high beyond what is allowed":   {canary: five, baseline: small, m: Metric{Effect: ratio(0.8, 1.2)}, want: want{High, false, 17.80, 27.80, 20.0, 12.041}},
		"11 low beyond what is allowed":    {canary: e10, baseline: c20, m: Metric{Direction: Decrease, Effect: ratio(0.8, 1.2)}, want: want{Low, false, -11.11, -8.80, -9.90, 0.4907}},
		"12 the original stops at -10.78":  {canary: ten, baseline: five, m: Metric{Effect: ratio(0.5, 1)}, want: want{Pass, false, -17.80, 1, -10, 0.5746}},
		"13 critical high":                 {canary: five, baseline: small, m: Metric{Critical: true, Effect: critical(Effect{}, 1, 1.2)}, want: want{High, true, 17.80, 27.80, 20, 12.041}},
		"14 critical low; there -18.08":    {canary: "2 2 2 2 3", baseline: "10 20.2 10.1 20.5 30", m: Metric{Critical: true, Effect: critical(Effect{}, 1.2, 1)}, want: want{Low, true, -28, -8, -18.2, 0.1211}},
		"15 high, critical only from 13":   {canary: five, baseline: small, m: Metric{Critical: true, Effect: critical(ratio(1, 5), 1, 13)}, want: want{High, false, 17.80, 27.80, 20, 12.041}},
		"16 allowed up to 13":              {canary: five, baseline: small, m: Metric{Critical: true, Effect: critical(ratio(1, 13), 1, 15)}, want: want{Pass, false, 17.80, 27.80, 20, 12.041}},
		"17 critical":                      {canary: five, baseline: small, m: Metric{Critical: true}, want: want{High, true, 17.80, 27.80, 20, 12.041}},
		"18 low by how often":              {canary: el, baseline: cl, m: Metric{Effect: cles(0.2, 0.8)}, l: cl98, want: want{Low, false, -4.75, -2.01, -3.39, 0.12}},
		"19 all above, by how often":       {canary: "101..160", baseline: "1..60", m: Metric{Effect: cles(0.2, 0.8)}, l: cl98, want: want{High, false, none, none, 100, 1}},
		"20 slightly above, by how often":  {canary: "8.42..67.42", baseline: "1..60", m: Metric{Effect: cles(0.5, 0.8)}, l: cl98, want: want{Pass, false, none, none, none, 0.62}},
		"21 one number":                    {canary: "1 1 1", baseline: "1 1", m: Metric{Direction: Decrease}, want: want{Pass, false, 0, 0, 0, none}},
		"22 identical in another order":    {canary: "1 2 3 4 5", baseline: "5 4 3 2 1", m: Metric{Direction: Decrease}, want: want{Pass, false, 0, 0, 0, none}},
		"23 one differs":                   {canary: "0 1 1 1 1", baseline: "1 1 1 1 1", m: Metric{Direction: Decrease}, want: want{Pass, false, -1, 0, 0, 0.8}},
		"24 no canary":                     {baseline: "1..5", want: want{Nodata, false, 0, 0, 0, none}},
		"25 no canary, critical":           {baseline: "1..5", m: Metric{Critical: true}, want: want{Nodata, true, 0, 0, 0, none}},
		"26 no canary, NaN is zero":        {baseline: "1..5", m: Metric{NaNIsZero: true}, want: want{Pass, false, 0, 0, 0, none}},
		"27 nothing, critical":             {m: Metric{Critical: true}, want: want{Nodata, true, 0, 0, 0, none}},
		"28 one far above":                 {canary: "1 1 1 1 10", baseline: "5x1", want: want{Pass, false, 0, 9, 0, 2.8}},
		"29 two numbers":                   {canary: "5x10", baseline: "5x1", want: want{High, false, 9, 9, 9, 10}},
		"30 against zeros":                 {canary: "5x10", baseline: "5x0", want: want{High, false, 10, 10, 10, none}},
		"31 spread against zeros":          {canary: spread, baseline: "5x0", m: Metric{Effect: ratio(0.8, 1.2)}, want: want{High, false, 54.5, 57.4, 55.1, none}},
		"32 zeros against spread":          {canary: "5x0", baseline: spread, m: Metric{Effect: ratio(0.8, 1.2)}, want: want{Low, false, -57.4, -54.5, -55.1, none}},
		"33 shares against zeros":          {canary: shares, baseline: "10x0", m: Metric{Critical: true, NaNIsZero: true, Effect: critical(Effect{}, 0.8, 1.2)}, want: want{High, true, 0.0167, 0.05, 0.05, none}},
		"34 zeros":                         {canary: "5x0", baseline: "5x0", m: Metric{Effect: ratio(0.8, 1.2)}, want: want{Pass, false, 0, 0, 0, none}},
		"must have data, and is critical":  {baseline: "1..5", m: Metric{MustHave: true, Critical: true}, want: want{Nodata, true, 0, 0, 0, none}},
		"must have data, and has none":     {canary: "1..5", m: Metric{MustHave: true}, want: want{NodataFail, false, 0, 0, 0, none}},
		"too few points are no data":       {canary: "9x5", baseline: "9x1", l: limits{0.98, 0.25, 10}, want: want{Nodata, false, 0, 0, 0, none}},
		"too few of a critical one, as 25": {canary: "9x5", baseline: "90x1", m: Metric{Critical: true}, l: limits{0.98, 0.25, 10}, want: want{Nodata, true, 0, 0, 0, none}},
	} {
		t.Run(name, func(t *testing.T) {
			l := tc.l
			if l == (limits{}) {
				l = limits{level: 0.95, tolerance: 0.10, minimum: 1}
			}
			r := classify(tc.m, Samples{Baseline: set(t, tc.baseline), Canary: set(t, tc.canary)}, l)
			tc.want.check(t, r)
		})
	}
}

// TestMostlyZeros are rows 8 and 9: counts that are nearly all 0. The original
// says High, since its root finder stops 0.00002 beside the true shift of 0.
// Exactly, the interval is 0 to 0 and it is Pass. Error counts are for package
// sequential, which finds such a difference.
func TestMostlyZeros(t *testing.T) {
	sparse := func(count int, mean float64) []float64 {
		v := make([]float64, 210)
		for i := range count { // spread from half to one and a half times their mean
			v[i] = mean * 210 / float64(count) * (0.5 + float64(i)/float64(count-1))
		}
		return v
	}
	s := Samples{Canary: sparse(64, 0.658), Baseline: sparse(17, 0.148)}
	for name, allowed := range map[string]float64{"8": 1, "9": 5} {
		t.Run(name, func(t *testing.T) {
			r := classify(Metric{Effect: ratio(1, allowed)}, s, limits{0.95, 0.10, 1})
			want{Pass, false, 0, 0, 0, 4.447}.check(t, r)
		})
	}
}

// TestWithTheJudgesOwnNumbers are cases with the tolerance and level that the
// judge uses.
func TestWithTheJudgesOwnNumbers(t *testing.T) {
	for name, tc := range map[string]struct {
		baseline, canary string
		m                Metric
		want             want
	}{
		"half a unit up":                           {"10..19", "10.5..19.5", Metric{}, want{Pass, false, -3.5, 4.5, 0.5, none}},
		"twice":                                    {"10..19", "10..19*2", Metric{}, want{High, false, 8, 21, 14.5, 2}},
		"twice, 2.5 times allowed":                 {"10..19", "10..19*2", Metric{Effect: Effect{AllowedIncrease: 2.5}}, want{Pass, false, 8, 21, 14.5, 2}},
		"twice, only a decrease fails":             {"10..19", "10..19*2", Metric{Direction: Decrease}, want{Pass, false, 8, 21, 14.5, 2}},
		"twice, critical from 1.5":                 {"10..19", "10..19*2", Metric{Critical: true, Effect: Effect{CriticalIncrease: 1.5}}, want{High, true, 8, 21, 14.5, 2}},
		"twice, critical from 3":                   {"10..19", "10..19*2", Metric{Critical: true, Effect: Effect{CriticalIncrease: 3}}, want{High, false, 8, 21, 14.5, 2}},
		"a fifth more":                             {"10..19", "10..19*1.2", Metric{}, want{Pass, false, -1.4, 7.2, 2.9, 1.2}},
		"half":                                     {"10..19*2", "10..19", Metric{Direction: Decrease}, want{Low, false, -21, -8, -14.5, 0.5}},
		"interval too wide":                        {"1..10", "6..15", Metric{}, want{Pass, false, 1, 9, 5, 1.91}},
		"five are too few although separate":       {"1..5", "6..10", Metric{}, want{Pass, false, 1, 9, 5, none}},
		"three":                                    {"1 2 3", "4 5 6", Metric{}, want{High, false, 1, 5, 3, none}},
		"two are enough for the original":          {"1 2", "10 11", Metric{}, want{High, false, 8, 10, 9, none}},
		"two and one; the original's shift is 8":   {"1 2", "10", Metric{}, want{High, false, 8, 9, 8.5, none}},
		"one and one":                              {"1", "10", Metric{}, want{Error, false, 0, 0, 0, none}},
		"one against zeros":                        {"0 0 0", "5", Metric{}, want{Error, false, 0, 0, 0, none}},
		"one in ten":                               {"10x0", "9x0 5", Metric{Direction: Increase}, want{Pass, false, 0, 0, 0, none}},
		"five in ten":                              {"10x0", "5x0 5x5", Metric{Direction: Increase}, want{Pass, false, 0, 5, 2.5, none}},
		"eight in ten":                             {"10x0", "2x0 8x5", Metric{Direction: Increase}, want{High, false, 5, 5, 5, none}},
		"one outlier does not matter":              {"10 10 11 11 12 12 13 13 14 14", "10 10 11 11 12 12 13 13 14 500", Metric{}, want{Pass, false, -2, 2, 0, none}},
		"one unit each":                            {"6x5", "6x6", Metric{Direction: Increase}, want{High, false, 1, 1, 1, 1.2}},
		"negative numbers have no ratio of use":    {"5x-5", "5x-10", Metric{}, want{Pass, false, -5, -5, -5, 2}},
		"by how often, but the interval decides":   {"1..10", "6..15", Metric{Effect: Effect{Measure: CLES, AllowedDecrease: 0.5, AllowedIncrease: 0.8}}, want{Pass, false, 1, 9, 5, 0.875}},
		"an outlier is left out where that is set": {"10..19", "10..19 1000", Metric{Outliers: 3}, want{Pass, false, 0, 0, 0, none}},
	} {
		t.Run(name, func(t *testing.T) {
			r := classify(tc.m, Samples{Baseline: set(t, tc.baseline), Canary: set(t, tc.canary)}, limits{0.98, 0.25, 1})
			tc.want.check(t, r)
		})
	}
}

func TestClean(t *testing.T) {
	nan := math.NaN()
	for name, tc := range map[string]struct {
		in   []float64
		zero bool
		want []float64
	}{
		"left out":          {[]float64{0, 1, nan, 1, 0}, false, []float64{0, 1, 1, 0}},
		"nothing is left":   {[]float64{nan, nan, nan}, false, []float64{}},
		"replaced":          {[]float64{nan, 10.1, 20.2, 30.3, nan, 40.4}, true, []float64{0, 10.1, 20.2, 30.3, 0, 40.4}},
		"infinities are no": {[]float64{math.Inf(1), 1}, false, []float64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := clean(tc.in, tc.zero)
			if len(got) != len(tc.want) {
				t.Fatalf("%v, want %v", got, tc.want)
			}
			for i := range got {
				if got[i] != tc.want[i] {
					t.Errorf("%v, want %v", got, tc.want)
				}
			}
		})
	}
}

func TestOutliers(t *testing.T) {
	for name, tc := range map[string]struct {
		in      string
		factor  float64
		reduced bool
		want    int // left
		high    float64
	}{
		"50 is far":                       {"21 23 24 25 50 29 23 21", 3, true, 7, 48.53},
		"one in a hundred":                {"99x1 100", 3, true, 99, 1.99},
		"50 without the reduced fences":   {"21 23 24 25 50 29 23 21", 1.5, false, 7, none},
		"both sides, not reduced":         {"1 1 1 5 -1 -1 -1 -5", 1.5, false, 6, none},
		"nothing far":                     {"1..10", 3, true, 10, none},
		"one value has no range to leave": {"1", 3, true, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			v := set(t, tc.in)
			low, high := fences(v, tc.factor, tc.reduced)
			left := 0
			for _, f := range v {
				if f >= low && f <= high {
					left++
				}
			}
			if left != tc.want || !math.IsNaN(tc.high) && math.Abs(high-tc.high) > 0.01 {
				t.Errorf("%d left, upper fence %v; want %d, %v", left, high, tc.want, tc.high)
			}
		})
	}
	if got := inliers(nil, 3); len(got) != 0 {
		t.Errorf("inliers of nothing: %v", got)
	}
	eighths := set(t, "0 0.5 1 1.5 2 2.5 3 3.5")
	if a, b := percentile(eighths, 0.05), percentile(eighths, 0.5); math.Abs(a-0.175) > 1e-12 || b != 1.75 {
		t.Errorf("percentiles %v and %v, want 0.175 and 1.75", a, b)
	}
}

func TestEffectSizes(t *testing.T) {
	for name, tc := range map[string]struct {
		x, y string
		f    func(x, y []float64) float64
		want float64
	}{
		"ten times":       {"10", "1", meanRatio, 10},
		"a tenth":         {"10", "100", meanRatio, 0.1},
		"equally often":   {"1 2 3", "1 2 3", cles, 0.5},
		"always":          {"4 5", "1 2 3", cles, 1},
		"never":           {"1", "2 3", cles, 0},
		"ties count half": {"2", "1 2", cles, 0.75},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.f(set(t, tc.x), set(t, tc.y)); math.Abs(got-tc.want) > 1e-12 {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
	if got := meanRatio([]float64{1}, []float64{0}); !math.IsNaN(got) {
		t.Errorf("ratio to 0 is %v, want none", got)
	}
}

func TestInterval(t *testing.T) {
	in, ok := shift(set(t, "10 20 30 40"), set(t, "1..4"), 0.95)
	if want := (interval{6, 39, 22.5}); !ok || in != want {
		t.Errorf("%v, want %v", in, want)
	}
}
