package dora_test

import (
	"math"
	"testing"
	"time"

	"naru/internal/judge/dora"
	"naru/internal/judge/objective"
)

// 30 days with incidents of 10, 20 and 60 minutes.
func TestTrouble(t *testing.T) {
	from := end.Add(-30 * day)
	var in []dora.Incident
	for i, m := range []time.Duration{10, 20, 60} {
		at := from.Add(time.Duration(i+1) * day)
		in = append(in, dora.Incident{Of: shop, Opened: at, Restored: at.Add(m * time.Minute)})
	}
	got := dora.TroubleOf(shop, from, end, in)
	if got.N != 3 || got.MTTR != 30*time.Minute || got.Median != 20*time.Minute || got.Downtime != 90*time.Minute ||
		got.MTTF != 14370*time.Minute || got.MTBF != 14400*time.Minute || math.Abs(got.Availability-0.99791667) > 1e-8 {
		t.Errorf("got %+v", got)
	}
	if used := objective.Used(0.999, 1-got.Availability); math.Abs(used-2.0833333) > 1e-6 {
		t.Errorf("%v of the budget of 99.9 %% was used, want 208 %%", used)
	}
	if a := float64(got.MTTF) / float64(got.MTTF+got.MTTR); math.Abs(a-got.Availability) > 1e-12 {
		t.Errorf("MTTF / (MTTF + MTTR) = %v, availability %v", a, got.Availability)
	}
}

func TestTroubleAtTheEdges(t *testing.T) {
	from := end.Add(-10 * time.Hour)
	at := func(h float64) time.Time { return from.Add(time.Duration(h * float64(time.Hour))) }
	for name, tc := range map[string]struct {
		in   []dora.Incident
		n    int
		down time.Duration
	}{
		"none":               {nil, 0, 0},
		"goes on":            {[]dora.Incident{{Of: shop, Opened: at(9)}}, 1, time.Hour},
		"two at once":        {[]dora.Incident{{Of: shop, Opened: at(1), Restored: at(3)}, {Of: shop, Opened: at(2), Restored: at(4)}}, 2, 3 * time.Hour},
		"one in another":     {[]dora.Incident{{Of: shop, Opened: at(1), Restored: at(5)}, {Of: shop, Opened: at(2), Restored: at(3)}}, 2, 4 * time.Hour},
		"ended before begun": {[]dora.Incident{{Of: shop, Opened: at(2), Restored: at(1)}}, 1, 0},
		"before":             {[]dora.Incident{{Of: shop, Opened: at(-1), Restored: at(1)}}, 0, 0},
		"of another app":     {[]dora.Incident{{Of: blog, Opened: at(1), Restored: at(2)}}, 0, 0},
	} {
		if got := dora.TroubleOf(shop, from, end, tc.in); got.N != tc.n || got.Downtime != tc.down {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
