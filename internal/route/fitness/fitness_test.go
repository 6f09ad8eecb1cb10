package fitness

import (
	"slices"
	"testing"
	"time"
)

var terms = Terms{First: time.Hour, Max: 3 * time.Hour}

// hours are as many from now on, in unix nanoseconds.
func hours(n int) int64 { return time.Now().Add(time.Duration(n) * time.Hour).UnixNano() }

func TestWhoRefusesIsLeftAlone(t *testing.T) {
	var f Fitness
	if !f.Serving() || !f.Ready(hours(0), terms) {
		t.Fatal("one that nothing is known of is not in service")
	}
	if !f.Refused(terms) || f.Serving() || f.Ready(hours(0), terms) {
		t.Error("it is in service")
	}
	if !f.Ready(hours(2), terms) {
		t.Error("it does not come back after its term")
	}
	if f.Ready(hours(2), terms) {
		t.Error("it gets a second request before the first one has ended")
	}
	for _, want := range []time.Duration{2 * time.Hour, 3 * time.Hour, 3 * time.Hour} {
		if f.Refused(terms) {
			t.Error("it goes out of service twice")
		}
		if got := f.Term(terms); got != want {
			t.Errorf("its term is %s, want %s", got, want)
		}
	}
	if !f.Worked(0, false, 1) || !f.Serving() || !f.Sound() {
		t.Error("it worked and is still out")
	}
	if f.Worked(0, false, 1) {
		t.Error("it comes back twice")
	}
}

func TestWhoIsUnwellIsNotReady(t *testing.T) {
	var f Fitness
	f.Unwell(1)
	f.Unwell(1)
	f.Unwell(-1)
	if f.Serving() || f.Ready(hours(1), terms) {
		t.Error("it is in service while a question is answered badly")
	}
	f.Unwell(-1)
	if !f.Serving() || !f.Ready(hours(0), terms) {
		t.Error("it is not in service")
	}
}

func TestOutlier(t *testing.T) {
	type seen struct{ requests, failed int }
	const none = ""
	for name, tc := range map[string]struct {
		one     seen
		others  []seen
		already int // of the others are out
		want    string
	}{
		"all its requests fail":    {seen{20, 20}, []seen{{20, 0}, {20, 0}}, 0, "20 of 20 requests failed, of its siblings' 0 of 40"},
		"half of them":             {seen{40, 20}, []seen{{20, 1}}, 0, "20 of 40 requests failed, of its siblings' 1 of 20"},
		"less than half":           {seen{40, 19}, []seen{{40, 0}}, 0, none},
		"too few to know":          {seen{19, 19}, []seen{{40, 0}}, 0, none},
		"siblings that do nothing": {seen{40, 40}, []seen{{10, 0}, {9, 0}}, 0, none},
		"siblings that fail too":   {seen{40, 40}, []seen{{20, 0}, {20, 8}}, 0, none},
		"half of the group is out": {seen{40, 40}, []seen{{20, 0}, {20, 0}, {20, 0}}, 2, none},
		"less than half is out":    {seen{40, 40}, []seen{{20, 0}, {20, 0}, {20, 0}}, 1, "40 of 40 requests failed, of its siblings' 0 of 60"},
	} {
		t.Run(name, func(t *testing.T) {
			group := make([]*Fitness, 1+len(tc.others))
			for i, s := range append([]seen{tc.one}, tc.others...) {
				group[i] = &Fitness{}
				for n := range s.requests {
					group[i].Saw(n < s.failed, 1000)
				}
				if i > 0 && i <= tc.already {
					group[i].Refused(terms)
				}
			}
			if got := group[0].Outlier(slices.Values(group), 1000); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if got := group[0].Outlier(slices.Values(group), 1000+lookBack); got != none {
				t.Errorf("what was long ago says %q", got)
			}
		})
	}
}

func TestAnOutlierComesBackSlowly(t *testing.T) {
	terms := Terms{First: time.Hour, Max: 8 * time.Hour}
	var f Fitness
	for range 40 {
		f.Saw(true, 1000)
	}
	if !f.Expel(1000, terms) || f.Serving() || f.Term(terms) != 4*time.Hour {
		t.Fatalf("out: %v, for %s", !f.Serving(), f.Term(terms))
	}
	if f.Worked(1000, false, 1500) || f.Serving() {
		t.Error("a request from before brought it back")
	}
	if !f.Ready(hours(5), terms) {
		t.Fatal("it is not tried after its term")
	}
	if f.Worked(2000, true, 2500) || f.Serving() || f.Term(terms) != 8*time.Hour {
		t.Errorf("out after a try that failed: %v, for %s", !f.Serving(), f.Term(terms))
	}
	if !f.Worked(2000, false, 3000) || !f.Serving() {
		t.Fatal("a try that was well did not bring it back")
	}
	if all, _ := f.seen.Sum(3000, lookBack); all != 0 {
		t.Errorf("%d requests from before are still counted", all)
	}
	for _, tc := range []struct {
		at          int64
		least, most int // of 1000 requests that had better go elsewhere
	}{
		{3000, 1000, 1000}, {3000 + slowReturn/2, 350, 650}, {3000 + slowReturn, 0, 0},
	} {
		if !f.Recovering() {
			t.Errorf("at %d ms it has its full share", tc.at)
		}
		n := 0
		for range 1000 {
			if f.Returning(tc.at) {
				n++
			}
		}
		if n < tc.least || n > tc.most {
			t.Errorf("at %d ms %d of 1000 requests had better go elsewhere, want %d to %d", tc.at, n, tc.least, tc.most)
		}
	}
	if f.Recovering() || f.expelled.Load() != 0 {
		t.Error("it is never forgotten")
	}
}
