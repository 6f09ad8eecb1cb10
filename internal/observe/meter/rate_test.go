package meter

import (
	"testing"

	"naru/internal/route"
)

func TestRequestsOfGroups(t *testing.T) {
	m := New(Limits{Series: 3})
	had := func(id, group string, ok, failed uint64) route.Counter {
		c := route.Counter{Route: id, Group: group}
		c.Classes[2], c.Classes[5] = ok, failed
		return c
	}
	m.Counters("one", []route.Counter{had("r1", "g1", 5, 1), had("r2", "g1", 2, 0), had("r1", "g2", 100, 0)})
	m.Counters("two", []route.Counter{had("r1", "g1", 1, 0)})
	for name, tc := range map[string]struct {
		groups []string
		want   uint64
	}{
		"one group over routes and gateways": {[]string{"g1"}, 9},
		"two groups":                         {[]string{"g1", "g2"}, 109},
		"one that had none":                  {[]string{"g9"}, 0},
		"none":                               {nil, 0},
	} {
		if got, ok := m.Requests(tc.groups...); got != tc.want || !ok {
			t.Errorf("%s: %d, %v, want %d", name, got, ok, tc.want)
		}
	}
	m.Counters("two", []route.Counter{had("r3", "g3", 1, 0)}) // one more than there is a place for
	if n, ok := m.Requests("g3"); ok {
		t.Errorf("%d, though it was counted together with others", n)
	}
}
