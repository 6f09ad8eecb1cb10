package route_test

import (
	"testing"

	"pgregory.net/rapid"

	"naru/internal/route"
)

func TestShare(t *testing.T) {
	given := func(w route.Weight) *route.Weight { return &w }
	group := func(id string, weight *route.Weight, healthy int) route.GroupState {
		g := route.GroupState{ID: id, Process: "web", Given: weight}
		for range healthy {
			g.Instances = append(g.Instances, route.InstanceState{Healthy: true})
		}
		g.Instances = append(g.Instances, route.InstanceState{})
		return g
	}
	for name, tc := range map[string]struct {
		groups []route.GroupState
		want   []route.Weight
	}{
		"alone":                     {[]route.GroupState{group("a", nil, 2)}, []route.Weight{100}},
		"by instances":              {[]route.GroupState{group("a", nil, 3), group("b", nil, 1)}, []route.Weight{75, 25}},
		"rounded to the largest":    {[]route.GroupState{group("a", nil, 2), group("b", nil, 1)}, []route.Weight{67, 33}},
		"one of many":               {[]route.GroupState{group("a", nil, 300), group("b", nil, 1)}, []route.Weight{99, 1}},
		"a canary":                  {[]route.GroupState{group("a", nil, 3), group("b", given(10), 1)}, []route.Weight{90, 10}},
		"prepared":                  {[]route.GroupState{group("a", nil, 3), group("b", given(0), 0)}, []route.Weight{100, 0}},
		"promoted":                  {[]route.GroupState{group("a", nil, 3), group("b", given(100), 3)}, []route.Weight{0, 100}},
		"two old ones and a canary": {[]route.GroupState{group("a", nil, 3), group("b", nil, 1), group("c", given(50), 1)}, []route.Weight{38, 12, 50}},
		"nobody healthy":            {[]route.GroupState{group("a", nil, 0), group("b", nil, 0)}, []route.Weight{50, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			route.Share(tc.groups)
			for i, g := range tc.groups {
				if g.Weight != tc.want[i] {
					t.Errorf("%s weighs %d, want %d", g.ID, g.Weight, tc.want[i])
				}
			}
		})
	}
}

// TestSharesSumTo100: whatever there is, while one group has no weight of its
// own or the given ones sum to it.
func TestSharesSumTo100(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		left := 100
		groups := make([]route.GroupState, rapid.IntRange(1, 6).Draw(t, "groups"))
		for i := range groups {
			groups[i] = route.GroupState{ID: string(rune('a' + i)), Process: "web"}
			for range rapid.IntRange(0, 50).Draw(t, "healthy") {
				groups[i].Instances = append(groups[i].Instances, route.InstanceState{Healthy: true})
			}
			if i > 0 && rapid.Bool().Draw(t, "given") {
				w := route.Weight(rapid.IntRange(0, left).Draw(t, "weight"))
				groups[i].Given = &w
				left -= int(w)
			}
		}
		route.Share(groups)
		sum := route.Weight(0)
		for _, g := range groups {
			if g.Weight < 0 {
				t.Fatalf("%+v", g)
			}
			sum += g.Weight
		}
		if sum != 100 {
			t.Fatalf("weights sum to %d", sum)
		}
	})
}
