package rendezvous

import (
	"fmt"
	"testing"
)

// best is where a value goes, of places by their names.
func best(value string, weights map[string]int) (name string) {
	top := -1.0
	for place, weight := range weights {
		if s := Weighted(Hash(value), Hash(place), weight); s > top {
			name, top = place, s
		}
	}
	return name
}

func TestPlacesGetWhatTheyWeigh(t *testing.T) {
	const values = 20_000
	got := map[string]int{}
	for i := range values {
		got[best(fmt.Sprint("visitor ", i), map[string]int{"a": 60, "b": 30, "c": 10})]++
	}
	for name, want := range map[string]int{"a": 12_000, "b": 6000, "c": 2000} { // equal in each run: nothing is drawn
		if n := got[name]; n < want-300 || n > want+300 {
			t.Errorf("%s gets %d of %d, want about %d", name, n, values, want)
		}
	}
}

func TestValuesMoveOnlyWhereWeightsGo(t *testing.T) {
	before, after := map[string]int{"a": 80, "b": 10, "c": 10}, map[string]int{"a": 80, "b": 30, "c": 10}
	for i := range 5000 {
		value := fmt.Sprint(i)
		if was, is := best(value, before), best(value, after); was != is && is != "b" {
			t.Fatalf("%s moved from %s to %s", value, was, is)
		}
	}
}

// What is kept outside, by apps for instance, must find its place again after an
// update.
func TestPlacesOutliveUpdates(t *testing.T) {
	if got, want := Score(Hash("ann"), Hash([]byte("place"))), uint64(10985654986592343255); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}
