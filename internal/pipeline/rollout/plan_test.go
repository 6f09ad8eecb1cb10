package rollout_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"naru/internal/pipeline/rollout"
	"naru/internal/run"
)

func TestForward(t *testing.T) {
	type sides = []rollout.Side
	for name, tc := range map[string]struct {
		lane rollout.Lane
		want []rollout.Resize
		end  bool
	}{
		"the first release starts all at once": {
			rollout.Lane{Routed: true, Want: 3, New: &rollout.Side{Group: "new"}},
			[]rollout.Resize{{Group: "new", To: 3}}, false,
		},
		"one more than wanted": {
			rollout.Lane{Routed: true, Want: 3, Old: sides{{Group: "old", Size: 3, Present: 3, Healthy: 3}}, New: &rollout.Side{Group: "new"}},
			[]rollout.Resize{{Group: "new", To: 1}}, false,
		},
		"nothing while the new one starts": {
			rollout.Lane{Routed: true, Want: 3, Old: sides{{Group: "old", Size: 3, Present: 3, Healthy: 3}}, New: &rollout.Side{Group: "new", Size: 1, Present: 1}},
			nil, false,
		},
		"an old one leaves when the new one works": {
			rollout.Lane{Routed: true, Want: 3, Old: sides{{Group: "old", Size: 3, Present: 3, Healthy: 3}}, New: &rollout.Side{Group: "new", Size: 1, Present: 1, Healthy: 1}},
			[]rollout.Resize{{Group: "old", To: 2}}, false,
		},
		"an old one that does not work is no reason to wait": {
			rollout.Lane{Routed: true, Want: 1, Old: sides{{Group: "old", Size: 1, Present: 1}}, New: &rollout.Side{Group: "new", Size: 1, Present: 1, Healthy: 1}},
			[]rollout.Resize{{Group: "old", To: 0}}, false,
		},
		"finished when the last old one is gone": {
			rollout.Lane{Routed: true, Want: 2, Old: sides{{Group: "old"}}, New: &rollout.Side{Group: "new", Size: 2, Present: 2, Healthy: 2}},
			nil, true,
		},
		"not finished while an old one drains": {
			rollout.Lane{Routed: true, Want: 2, Old: sides{{Group: "old", Present: 1}}, New: &rollout.Side{Group: "new", Size: 2, Present: 2, Healthy: 2}},
			nil, false,
		},
		"a process that is gone leaves": {
			rollout.Lane{Want: 0, Old: sides{{Group: "old", Size: 2, Present: 2, Healthy: 2}}},
			[]rollout.Resize{{Group: "old", To: 0}}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, end := rollout.Forward([]rollout.Lane{tc.lane}, rollout.Pace{InFlight: 1})
			if !reflect.DeepEqual(got, tc.want) || end != tc.end {
				t.Errorf("Forward() = %+v, %v, want %+v, %v", got, end, tc.want, tc.end)
			}
		})
	}
}

func TestWorkersFollowTheWeb(t *testing.T) {
	web := rollout.Lane{Process: "web", Routed: true, Want: 1, Old: []rollout.Side{{Group: "w1", Size: 1, Present: 1, Healthy: 1}}, New: &rollout.Side{Group: "w2", Size: 1, Present: 1}}
	worker := rollout.Lane{Process: "worker", Want: 2, Old: []rollout.Side{{Group: "k1", Size: 2, Present: 2, Healthy: 2}}, New: &rollout.Side{Group: "k2"}}
	if got, _ := rollout.Forward([]rollout.Lane{web, worker}, rollout.Pace{InFlight: 1}); len(got) != 0 {
		t.Errorf("workers move before the web is through: %+v", got)
	}
	web.Old[0], web.New.Healthy = rollout.Side{Group: "w1"}, 1
	want := []rollout.Resize{{Group: "k2", To: 1}}
	if got, _ := rollout.Forward([]rollout.Lane{web, worker}, rollout.Pace{InFlight: 4}); !reflect.DeepEqual(got, want) {
		t.Errorf("Forward() = %+v, want %+v", got, want)
	}
}

// world plays a driver: sizes are followed at random speed, instances become
// healthy or leave at random moments.
type world struct{ lanes []rollout.Lane }

func (w *world) apply(moves []rollout.Resize) {
	each(w.lanes, func(s *rollout.Side) {
		for _, m := range moves {
			if m.Group == s.Group {
				s.Size = m.To
			}
		}
	})
}

func (w *world) live(t *rapid.T) {
	each(w.lanes, func(s *rollout.Side) {
		if s.Present < s.Size {
			s.Present += rapid.IntRange(0, s.Size-s.Present).Draw(t, "start")
		}
		if s.Present > s.Size { // healthy ones stop to count as soon as they drain
			s.Healthy = min(s.Healthy, s.Size)
			s.Present -= rapid.IntRange(0, s.Present-s.Size).Draw(t, "stop")
		}
		if s.Healthy < min(s.Present, s.Size) {
			s.Healthy += rapid.IntRange(0, min(s.Present, s.Size)-s.Healthy).Draw(t, "heal")
		}
	})
}

func each(lanes []rollout.Lane, do func(*rollout.Side)) {
	for i := range lanes {
		for j := range lanes[i].Old {
			do(&lanes[i].Old[j])
		}
		if lanes[i].New != nil {
			do(lanes[i].New)
		}
		if lanes[i].Beside != nil {
			do(lanes[i].Beside)
		}
	}
}

func serving(l rollout.Lane) (n int) {
	for _, o := range l.Old {
		n += min(o.Healthy, o.Size)
	}
	if l.New != nil {
		n += min(l.New.Healthy, l.New.Size)
	}
	return n
}

func sized(l rollout.Lane) (n int) {
	for _, o := range l.Old {
		n += o.Size
	}
	if l.New != nil {
		n += l.New.Size
	}
	return n
}

func anyWorld(t *rapid.T) *world {
	w := &world{}
	for i := range rapid.IntRange(1, 3).Draw(t, "lanes") {
		want := rapid.IntRange(0, 6).Draw(t, "want")
		name := string(rune('a' + i))
		l := rollout.Lane{Process: name, Routed: i == 0, Want: want}
		if rapid.Bool().Draw(t, "had") {
			n := rapid.IntRange(0, 6).Draw(t, "old")
			l.Old = []rollout.Side{{Group: run.GroupID("old-" + name), Size: n, Present: n, Healthy: n}}
		}
		if len(l.Old) == 0 || rapid.Bool().Draw(t, "has") {
			l.New = &rollout.Side{Group: run.GroupID("new-" + name)}
		} else {
			l.Want = 0
		}
		w.lanes = append(w.lanes, l)
	}
	return w
}

// TestForwardNeverLosesCapacityAndEnds: whatever the timing, no lane falls below
// what it wants or had, none grows beyond what is allowed, and it finishes.
func TestForwardNeverLosesCapacityAndEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		pace := rapid.IntRange(1, 4).Draw(t, "pace")
		fewer := rapid.IntRange(0, 2).Draw(t, "unavailable")
		floors, ceilings := make([]int, len(w.lanes)), make([]int, len(w.lanes))
		for i, l := range w.lanes {
			floors[i], ceilings[i] = min(serving(l), l.Want), max(sized(l), l.Want+pace)
		}
		for range 500 {
			move, end := rollout.Forward(w.lanes, rollout.Pace{InFlight: pace, Unavailable: fewer})
			if end {
				for _, l := range w.lanes {
					if l.New != nil && l.New.Healthy != l.Want || len(l.Old) > 0 && l.Old[0].Present > 0 {
						t.Fatalf("finished with %+v", l)
					}
				}
				return
			}
			w.apply(move)
			for i, l := range w.lanes {
				floor := floors[i]
				if l.Routed {
					floor = min(floor, max(0, l.Want-fewer))
				}
				if serving(l) < floor {
					t.Fatalf("lane %s serves with %d, below %d, after %+v", l.Process, serving(l), floor, move)
				}
				if sized(l) > ceilings[i] {
					t.Fatalf("lane %s has %d instances, above %d", l.Process, sized(l), ceilings[i])
				}
			}
			w.live(t)
			if len(move) == 0 { // so that a run of zeros is not mistaken for being stuck
				each(w.lanes, func(s *rollout.Side) {
					s.Present, s.Healthy = s.Size, s.Size
				})
			}
		}
		t.Fatalf("never finished: %+v", w.lanes)
	})
}

// TestBackAlwaysLeadsHome: from any point of a rollout the way back ends with
// the old groups complete and nothing of the new ones.
func TestBackAlwaysLeadsHome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		for range rapid.IntRange(0, 20).Draw(t, "far") {
			move, _ := rollout.Forward(w.lanes, rollout.Pace{InFlight: 2})
			w.apply(move)
			w.live(t)
		}
		for range 500 {
			move, end := rollout.Back(w.lanes)
			if end {
				for _, l := range w.lanes {
					if l.New != nil && l.New.Present > 0 || len(l.Old) > 0 && l.Old[0].Healthy < l.Want {
						t.Fatalf("restored with %+v", l)
					}
				}
				return
			}
			before := make([]int, len(w.lanes))
			for i, l := range w.lanes {
				before[i] = min(serving(l), l.Want)
			}
			w.apply(move)
			for i, l := range w.lanes {
				if len(l.Old) > 0 && serving(l) < before[i] {
					t.Fatalf("lane %s fell from %d to %d on the way back", l.Process, before[i], serving(l))
				}
			}
			w.live(t)
			if len(move) == 0 {
				each(w.lanes, func(s *rollout.Side) { s.Present, s.Healthy = s.Size, s.Size })
			}
		}
		t.Fatalf("never restored: %+v", w.lanes)
	})
}

func TestStatesEnd(t *testing.T) {
	for _, s := range rollout.States() {
		ends := true
		for _, to := range rollout.States() {
			ends = ends && !s.CanBecome(to)
		}
		if ends != s.Ended() {
			t.Errorf("%s: Ended() = %v", s, s.Ended())
		}
	}
}
