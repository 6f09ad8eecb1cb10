package rollout_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
	"naru/internal/route"
)

// stage is a rollout in a world that does what it is told, sooner or later.
type stage struct {
	*world
	ro    rollout.Rollout
	now   time.Time
	moves int
}

func newStage(spec app.Strategy, lanes ...rollout.Lane) *stage {
	s := &stage{world: &world{lanes}, now: time.Unix(1_000_000, 0)}
	s.ro = rollout.Rollout{Spec: spec.Filled(), MaxInFlight: 1, State: rollout.Shifting, Moved: s.now}
	if spec.Doubles() && spec.Kind != app.Rolling {
		for i := range s.lanes {
			if s.lanes[i].Routed && s.lanes[i].New != nil && len(s.lanes[i].Old) > 0 {
				s.lanes[i].New.Weight = 0
			}
		}
	}
	return s
}

// web is a lane of a process type that has n healthy instances and is to be
// replaced.
func web(n int) rollout.Lane {
	return rollout.Lane{
		Process: "web", Routed: true, Want: n, New: &rollout.Side{Group: "new", Weight: rollout.Auto},
		Old: []rollout.Side{{Group: "old", Size: n, Present: n, Healthy: n, Weight: rollout.Auto}},
	}
}

// move plans once and does what the plan says.
func (s *stage) move() rollout.Move {
	m := rollout.Plan(rollout.Situation{Rollout: s.ro, Lanes: s.lanes, Patience: time.Hour, Now: s.now})
	s.moves++
	s.apply(m.Resize)
	each(s.lanes, func(side *rollout.Side) {
		for _, w := range m.Weigh {
			if w.Group == side.Group {
				side.Weight = w.To
			}
		}
	})
	switch {
	case m.To != "":
		if !s.ro.State.CanBecome(m.To) {
			panic(string(s.ro.State) + " cannot become " + string(m.To))
		}
		s.ro.State, s.ro.Reason, s.ro.Moved = m.To, m.Reason, s.now
	case m.Next:
		s.ro.Step, s.ro.Reached = s.ro.Step+1, time.Time{}
	case m.Reach:
		s.ro.Reached = s.now
	}
	return m
}

// still reports that the plan has nothing to do now.
func still(m rollout.Move) bool {
	return len(m.Resize)+len(m.Weigh) == 0 && m.To == "" && !m.Next && !m.Reach
}

// settle lets every instance do what its group wants.
func (s *stage) settle() {
	each(s.lanes, func(side *rollout.Side) { side.Present, side.Healthy = side.Size, side.Size })
}

// shares are the weights of lane i's groups as the table would have them.
func (s *stage) shares(i int) (old, fresh route.Weight) {
	l := s.lanes[i]
	state := func(side rollout.Side) route.GroupState {
		g := route.GroupState{ID: string(side.Group), Process: l.Process}
		if side.Weight >= 0 {
			w := route.Weight(side.Weight)
			g.Given = &w
		}
		for range min(side.Healthy, side.Size) {
			g.Instances = append(g.Instances, route.InstanceState{Healthy: true})
		}
		return g
	}
	var groups []route.GroupState
	for _, o := range l.Old {
		groups = append(groups, state(o))
	}
	if l.New != nil {
		groups = append(groups, state(*l.New))
	}
	route.Share(groups)
	for _, g := range groups {
		if strings.HasPrefix(g.ID, "new") {
			fresh += g.Weight
		} else {
			old += g.Weight
		}
	}
	return old, fresh
}

// until moves on until the plan waits, and returns what it waits for.
func (s *stage) until(t *testing.T) rollout.Move {
	t.Helper()
	for range 100 {
		if m := s.move(); still(m) {
			s.settle()
			if m = s.move(); still(m) {
				return m
			}
		}
		if s.ro.State.Ended() || s.ro.State == rollout.Paused || s.ro.State == rollout.Watching {
			return rollout.Move{}
		}
	}
	t.Fatalf("never comes to rest: %+v", s.ro)
	return rollout.Move{}
}

func steps(t *testing.T, text string) []app.Step {
	t.Helper()
	s, err := app.ParseSteps(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCanaryGoesByItsSteps(t *testing.T) {
	watch := app.Duration(10 * time.Minute)
	s := newStage(app.Strategy{Kind: app.Canary, Steps: steps(t, "10%/2m,50%/hold"), Watch: &watch}, web(4))
	at := func(size, weight int, what string) {
		t.Helper()
		if l := s.lanes[0]; l.New.Size != size || l.New.Weight != weight || l.Old[0].Size != 4 {
			t.Errorf("%s: new %+v, old %+v", what, *l.New, l.Old[0])
		}
	}
	if m := s.until(t); m.Wait != 2*time.Minute {
		t.Errorf("waits for %s, want 2m", m.Wait)
	}
	at(1, 10, "at the first step")
	s.now = s.now.Add(2 * time.Minute)
	s.until(t)
	at(2, 50, "at the second step")
	if s.ro.State != rollout.Paused {
		t.Fatalf("state %s at a step that holds", s.ro.State)
	}
	if m := s.move(); !still(m) {
		t.Errorf("moves while it is paused: %+v", m)
	}
	var err error
	if s.ro, err = s.ro.Steer(rollout.Resume, "ada", s.now); err != nil {
		t.Fatal(err)
	}
	s.until(t)
	at(4, 100, "after all steps")
	if s.ro.State != rollout.Watching {
		t.Fatalf("state %s, want watching", s.ro.State)
	}
	if m := s.until(t); m.Wait != watch.Std() {
		t.Errorf("watches for %s", m.Wait)
	}
	s.now = s.now.Add(watch.Std())
	s.settle()
	s.move()
	s.settle()
	if s.move(); s.ro.State != rollout.Done || s.lanes[0].Old[0].Size != 0 {
		t.Errorf("%s with %+v after the watch", s.ro.State, s.lanes[0].Old)
	}
}

func TestJudgedStepsWaitForTheirVerdict(t *testing.T) {
	s := newStage(app.Strategy{Kind: app.Canary, Steps: steps(t, "10%/judge")}, web(1))
	if m := s.until(t); !still(m) || m.Wait != 0 {
		t.Fatalf("does not wait: %+v", m)
	}
	situation := rollout.Situation{Rollout: s.ro, Lanes: s.lanes, Now: s.now.Add(time.Hour)}
	for outcome, ok := range map[rollout.Outcome]func(rollout.Move) bool{
		rollout.Unsure: still,
		rollout.Pass:   func(m rollout.Move) bool { return m.Next },
		rollout.Fail:   func(m rollout.Move) bool { return m.To == rollout.Aborting && m.Reason == "too slow" },
	} {
		situation.Verdict = rollout.Verdict{Outcome: outcome, Reason: "too slow"}
		if m := rollout.Plan(situation); !ok(m) {
			t.Errorf("verdict %d: %+v", outcome, m)
		}
	}
}

func TestRecreateNeverRunsTwo(t *testing.T) {
	s := newStage(app.Strategy{Kind: app.Recreate}, web(2))
	for range 20 {
		s.move()
		if l := s.lanes[0]; l.Old[0].Present > 0 && l.New.Size > 0 {
			t.Fatalf("both run: %+v, %+v", l.Old[0], *l.New)
		}
		s.settle()
	}
	if s.ro.State != rollout.Done || s.lanes[0].New.Size != 2 {
		t.Errorf("%s with %+v", s.ro.State, *s.lanes[0].New)
	}
}

// TestWhatTrippedLosesItsWeightFirst: the old group is ready, so no size changes
// before the weight is back.
func TestWhatTrippedLosesItsWeightFirst(t *testing.T) {
	for _, state := range []rollout.State{rollout.Shifting, rollout.Paused, rollout.Watching} {
		s := newStage(app.Strategy{Kind: app.Canary, Steps: steps(t, "50%/hold")}, web(2))
		s.until(t)
		s.ro.State = state
		var ok bool
		if s.ro, ok = s.ro.Tripped(route.Trip{Measure: route.Errors}, s.now); !ok || s.ro.State != rollout.Aborting {
			t.Fatalf("a trip while %s: %s", state, s.ro.State)
		}
		if m := s.move(); len(m.Weigh) != 1 || m.Weigh[0].To != 0 || len(m.Resize) > 0 {
			t.Errorf("first move of the way back: %+v", m)
		}
		s.until(t)
		if s.move(); s.ro.State != rollout.RolledBack {
			t.Errorf("ends %s", s.ro.State)
		}
	}
	if _, ok := (rollout.Rollout{State: rollout.Done}).Tripped(route.Trip{}, time.Time{}); ok {
		t.Error("what is over went back")
	}
}

func TestAWayBackThatLeadsNowhereEnds(t *testing.T) {
	s := newStage(app.Strategy{Kind: app.Rolling}, web(2))
	s.lanes[0].Old[0].Healthy = 0 // neither healthy nor crashed
	s.ro.State, s.ro.Reason = rollout.Aborting, "exit 1"
	for range 3 {
		if m := s.move(); m.To != "" {
			t.Fatalf("gave up at once: %+v", m)
		}
	}
	s.now = s.now.Add(time.Hour)
	if m := s.move(); m.To != rollout.Failed || !strings.Contains(m.Reason, "old 0 of 2 healthy") {
		t.Errorf("after its patience: %+v", m)
	}
}

func TestSteering(t *testing.T) {
	for _, tc := range []struct {
		from   rollout.State
		action rollout.Action
		to     rollout.State // "": refused
	}{
		{rollout.Shifting, rollout.Pause, rollout.Paused},
		{rollout.Paused, rollout.Pause, rollout.Paused},
		{rollout.Paused, rollout.Resume, rollout.Shifting},
		{rollout.Shifting, rollout.Resume, rollout.Shifting},
		{rollout.Shifting, rollout.Promote, rollout.Shifting},
		{rollout.Paused, rollout.Promote, rollout.Shifting},
		{rollout.Watching, rollout.Promote, rollout.Watching},
		{rollout.Watching, rollout.Pause, ""},
		{rollout.Preparing, rollout.Promote, ""},
		{rollout.Preparing, rollout.Abort, rollout.Aborting},
		{rollout.Releasing, rollout.Abort, rollout.Aborting},
		{rollout.Watching, rollout.Abort, rollout.Aborting},
		{rollout.Aborting, rollout.Abort, rollout.Failed},
		{rollout.Aborting, rollout.Promote, ""},
		{rollout.Done, rollout.Abort, ""},
		{rollout.RolledBack, rollout.Resume, ""},
	} {
		ro := rollout.Rollout{State: tc.from, Spec: app.Strategy{Kind: app.Canary}.Filled()}
		got, err := ro.Steer(tc.action, "ada", time.Unix(1, 0))
		switch {
		case tc.to == "" && err == nil:
			t.Errorf("%s while %s was not refused", tc.action, tc.from)
		case tc.to != "" && (err != nil || got.State != tc.to):
			t.Errorf("%s while %s: %s, %v, want %s", tc.action, tc.from, got.State, err, tc.to)
		case tc.to != "" && got.State != tc.from && !tc.from.CanBecome(got.State):
			t.Errorf("%s while %s is no legal move", tc.action, tc.from)
		}
	}
}

func anyStrategy(t *rapid.T) app.Strategy {
	kinds := []app.StrategyKind{app.Rolling, app.BlueGreen, app.Canary, app.Rings, app.Highlander}
	s := app.Strategy{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Match: "header:X-Ring=1"}
	weight := 0
	for range rapid.IntRange(0, 3).Draw(t, "steps") {
		weight += rapid.IntRange(1, 30).Draw(t, "rise")
		s.Steps = append(s.Steps, app.Step{Weight: weight, Pause: app.Duration(rapid.IntRange(0, 3).Draw(t, "pause")) * app.Duration(time.Minute), Hold: rapid.Bool().Draw(t, "hold")})
	}
	if rapid.Bool().Draw(t, "watched") {
		watch := app.Duration(rapid.IntRange(0, 5).Draw(t, "watch")) * app.Duration(time.Minute)
		s.Watch = &watch
	}
	return s
}

// TestStrategiesKeepTheirPromises: for any strategy, any world and any timing,
// with a person who resumes, aborts or promotes at any moment and a guard that
// trips at any moment: the routed lane never serves with less than it wants or
// had, the weights sum to 100 and never point at fewer instances than that, and it
// ends well or where it began.
func TestStrategiesKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		each(w.lanes, func(s *rollout.Side) { s.Weight = rollout.Auto })
		s := newStage(anyStrategy(t), w.lanes...)
		s.ro.MaxInFlight = rapid.IntRange(1, 3).Draw(t, "pace")
		lane := &s.lanes[0]
		floor := min(serving(*lane), lane.Want)
		for range 1000 {
			if s.ro.State == rollout.Done {
				if lane.New != nil && (lane.New.Healthy < lane.Want || lane.New.Size != lane.Want) || len(lane.Old) > 0 && lane.Old[0].Present > 0 {
					t.Fatalf("done with %+v", *lane)
				}
				return
			}
			if s.ro.State.Ended() {
				for _, l := range s.lanes {
					if l.New != nil && l.New.Present > 0 || len(l.Old) > 0 && l.Old[0].Healthy < l.Want {
						t.Fatalf("%s with %+v, new %+v", s.ro.State, l, l.New)
					}
				}
				return
			}
			switch rapid.IntRange(0, 40).Draw(t, "person") {
			case 0:
				if ro, err := s.ro.Steer(rollout.Abort, "ada", s.now); err == nil && s.ro.State != rollout.Aborting {
					s.ro = ro
				}
			case 1:
				s.ro, _ = s.ro.Steer(rollout.Promote, "ada", s.now)
			case 2:
				s.ro, _ = s.ro.Steer(rollout.Pause, "ada", s.now)
			case 3:
				s.ro, _ = s.ro.Tripped(route.Trip{}, s.now)
			}
			if s.ro.State == rollout.Paused && rapid.IntRange(0, 3).Draw(t, "resumes") == 0 {
				s.ro, _ = s.ro.Steer(rollout.Resume, "ada", s.now)
			}
			m := s.move()
			if got := serving(*lane); got < floor {
				t.Fatalf("%s serves with %d, below %d, after %+v", s.ro.Spec.Kind, got, floor, m)
			}
			if old, fresh := s.shares(0); old+fresh != 100 {
				t.Fatalf("weights sum to %d", old+fresh)
			}
			for _, w := range m.Weigh {
				if need := rollout.InstancesFor(lane.Want, w.To); w.To > 0 && w.Group == lane.New.Group && lane.New.Healthy < need {
					t.Fatalf("%d %% of traffic for %d instances", w.To, lane.New.Healthy)
				}
			}
			s.live(t)
			if still(m) {
				s.settle()
				if s.ro.State != rollout.Aborting {
					s.now = s.now.Add(max(m.Wait, time.Second))
				}
			}
		}
		t.Fatalf("never ends: %+v, %+v", s.ro, s.lanes)
	})
}

// After a crash, or a machine that stood still, what is stored is old: an
// instance may have ended, a gateway may have taken its traffic away.
func TestNothingGoesForwardBeforeItSettled(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, spec := range map[string]app.Strategy{
		"canary":    {Kind: app.Canary, Steps: []app.Step{{Weight: 10, Pause: app.Duration(time.Second)}}},
		"rolling":   {Kind: app.Rolling},
		"bluegreen": {Kind: app.BlueGreen},
		"recreate":  {Kind: app.Recreate},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(spec, web(2))
			s.ro.Reached = now.Add(-time.Hour)
			plan := func() rollout.Move {
				return rollout.Plan(rollout.Situation{Rollout: s.ro, Lanes: s.lanes, Patience: time.Hour, Settled: now.Add(time.Second), Now: now})
			}
			if got := plan(); !still(got) || got.Wait != time.Second {
				t.Errorf("moves %+v", got)
			}
			s.lanes[0].New.Trouble = "it crashed meanwhile"
			if got := plan(); got.To != rollout.Aborting {
				t.Errorf("moves %+v where it has to go back", got)
			}
			s.ro.State, s.ro.Moved = rollout.Aborting, now
			s.lanes[0].New.Size = 1
			if got := plan(); still(got) {
				t.Error("the way back waits")
			}
		})
	}
}
