package admit

import (
	"testing"

	"naru/internal/app"
)

// web is the claim of an app with n instances of one process type.
func web(name string, n, mib int) Claim {
	return Claim{App: app.ID(name), Parts: []Part{{"web", n, mib}}}
}

func TestRoom(t *testing.T) {
	for name, tc := range map[string]struct {
		limits Limits
		want   int
	}{
		"all of it":            {Limits{1000, 0, 0, 1}, 1000},
		"without reserve":      {Limits{1000, 10, 0, 1}, 900},
		"and without builds":   {Limits{1000, 10, 400, 1}, 500},
		"promised twice":       {Limits{1000, 10, 400, 2}, 1000},
		"promised half":        {Limits{1000, 10, 400, 0.5}, 250},
		"builds take it all":   {Limits{1000, 10, 4000, 1}, 0},
		"fractions are no MiB": {Limits{999, 10, 0, 1.5}, 1348},
	} {
		if got := tc.limits.RoomMiB(); got != tc.want {
			t.Errorf("%s: RoomMiB() = %d, want %d", name, got, tc.want)
		}
	}
}

func TestDecide(t *testing.T) {
	limits := Limits{MachineMiB: 1000, Overcommit: 1}
	rolls := func(mib int) func(int) int { return func(n int) int { return n * mib } }
	rolling := func(c Claim, extra int) Claim { c.Extra = extra; return c }
	none := Claim{}
	for name, tc := range map[string]struct {
		limits Limits
		others []Claim
		change Change
		want   Answer
	}{
		"the first app, with room for its like": {limits, nil, Change{Was: none, Want: web("shop", 1, 500)},
			Answer{Fits: true, Free: 1000, Own: 500, Room: 1000}},
		"one that could not be replaced": {limits, nil, Change{Was: none, Want: web("shop", 1, 501)},
			Answer{Free: 1000, Own: 501, Room: 1000}},
		"scaled up to the last MiB": {limits, []Claim{web("api", 2, 200)}, Change{Was: web("shop", 1, 100), Want: web("shop", 4, 100)},
			Answer{Fits: true, Free: 400, Kept: 200, Room: 1000}},
		"scaled up by one more": {limits, []Claim{web("api", 2, 200)}, Change{Was: web("shop", 4, 100), Want: web("shop", 5, 100)},
			Answer{Free: 400, Kept: 200, Room: 1000}},
		"scaled down on a machine that has too much": {limits, []Claim{web("api", 20, 200)}, Change{Was: web("shop", 4, 100), Want: web("shop", 3, 100)},
			Answer{Fits: true, Kept: 200, Room: 1000}},
		"scaled up while another rolls": {limits, []Claim{rolling(web("api", 2, 200), 400)}, Change{Was: web("shop", 1, 100), Want: web("shop", 4, 100)},
			Answer{Later: true, Free: 200, Kept: 400, Room: 1000}},
		"a task needs no second one": {limits, nil, Change{Was: none, Want: Claim{Task: true, Parts: []Part{{"task", 1, 1000}}}},
			Answer{Fits: true, Free: 1000, Room: 1000}},
		"a task beside apps": {limits, []Claim{web("api", 2, 200)}, Change{Was: none, Want: Claim{Task: true, Parts: []Part{{"task", 1, 401}}}},
			Answer{Free: 400, Kept: 200, Room: 1000}},

		"a rollout as fast as it likes": {limits, nil, Change{Was: web("shop", 4, 100), Want: web("shop", 4, 100), Beside: rolls(100), InFlight: 4},
			Answer{Fits: true, InFlight: 4, Free: 1000, Own: 100, Room: 1000}},
		"a rollout with less in flight": {limits, []Claim{web("api", 2, 200)}, Change{Was: web("shop", 4, 100), Want: web("shop", 4, 100), Beside: rolls(100), InFlight: 4},
			Answer{Fits: true, InFlight: 2, Free: 400, Kept: 200, Room: 1000}},
		"a rollout beside another": {limits, []Claim{rolling(web("api", 2, 200), 200)}, Change{Was: web("shop", 4, 100), Want: web("shop", 4, 100), Beside: rolls(100), InFlight: 4},
			Answer{Later: true, Free: 400, Kept: 200, Room: 1000}},
		"a rollout that asks for more memory": {limits, []Claim{web("api", 2, 200)}, Change{Was: web("shop", 4, 100), Want: web("shop", 4, 110), Beside: rolls(110), InFlight: 1},
			Answer{Free: 400, Kept: 200, Room: 1000}},
		"what runs may be replaced one by one, though too much was promised": {limits, []Claim{web("api", 20, 200)}, Change{Was: web("shop", 4, 100), Want: web("shop", 4, 100), Beside: rolls(100), InFlight: 4},
			Answer{Fits: true, InFlight: 1, Kept: 200, Room: 1000}},
		"but not while another is": {limits, []Claim{rolling(web("api", 20, 200), 200)}, Change{Was: web("shop", 4, 100), Want: web("shop", 4, 100), Beside: rolls(100), InFlight: 4},
			Answer{Later: true, Kept: 200, Room: 1000}},
		"the first release takes nothing beside": {limits, []Claim{web("api", 2, 200)}, Change{Was: none, Want: web("shop", 4, 100), Beside: rolls(0), InFlight: 1},
			Answer{Fits: true, InFlight: 1, Free: 400, Kept: 200, Room: 1000}},
		"the first release of too much": {limits, []Claim{web("api", 2, 200)}, Change{Was: none, Want: web("shop", 5, 100), Beside: rolls(0), InFlight: 1},
			Answer{Free: 400, Kept: 200, Room: 1000}},

		"promised twice over": {Limits{MachineMiB: 1000, Overcommit: 2}, []Claim{web("api", 2, 200)}, Change{Was: web("shop", 1, 100), Want: web("shop", 14, 100)},
			Answer{Fits: true, Free: 1400, Kept: 200, Room: 2000}},
		"promised without looking": {Limits{MachineMiB: 1000}, []Claim{web("api", 90, 900)}, Change{Want: web("shop", 90, 900), Beside: rolls(900), InFlight: 22},
			Answer{Fits: true, InFlight: 22}},
		"a machine whose memory nobody knows": {Limits{Overcommit: 1}, nil, Change{Want: web("shop", 90, 900)}, Answer{Fits: true}},
	} {
		if got := Decide(tc.limits, tc.others, tc.change); got != tc.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, tc.want)
		}
	}
}
