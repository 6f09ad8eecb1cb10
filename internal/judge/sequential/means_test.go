package sequential

import (
	"math"
	"math/rand/v2"
	"testing"
)

// costs draws blocks of CPU time per request: canary is times as expensive, each
// side varies by spread, and what it does is forgotten after memory blocks.
func costs(seed uint64, times, spread, memory float64) func() (canary, baseline Size) {
	r, state := rand.New(rand.NewPCG(seed, 5)), [2]float64{}
	keep := 0.0
	if memory > 0 {
		keep = math.Exp(-1 / memory)
	}
	for side := range state {
		state[side] = r.NormFloat64()
	}
	return func() (canary, baseline Size) {
		for side := range state {
			state[side] = keep*state[side] + math.Sqrt(1-keep*keep)*r.NormFloat64()
		}
		return Size{100 * times * math.Exp(spread*state[1]), 100}, Size{900 * math.Exp(spread*state[0]), 900}
	}
}

func ended(l Limits, blocks int, next func() (canary, baseline Size)) (MeanLook, int) {
	m := NewMeans(l)
	for n := range blocks {
		if m.Add(next()); m.Look().State != Unsure {
			return m.Look(), n + 1
		}
	}
	return m.Look(), blocks
}

func TestMeansFalseAlarms(t *testing.T) {
	rollouts := uint64(size(300))
	for name, tc := range map[string]struct{ spread, memory float64 }{
		"steady":                    {0.02, 0},
		"varies by a fifth":         {0.2, 0},
		"varies by half":            {0.5, 0},
		"lasts for 3 blocks":        {0.2, 3},
		"much, and lasts for 2":     {0.5, 2},
		"hardly, but lasts for two": {0.02, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			states := map[State]int{}
			for seed := range rollouts {
				look, _ := ended(Limits{Matters: 1.2}, 120, costs(seed, 1, tc.spread, tc.memory))
				states[look.State]++
			}
			t.Logf("%v", states)
			if most := allowed(rollouts); states[Worse] > most {
				t.Errorf("%d of %d rollouts that were alike were called worse, at most %d may", states[Worse], rollouts, most)
			}
		})
	}
}

func TestMeansFindWhatMatters(t *testing.T) {
	for name, tc := range map[string]struct {
		times, spread float64
		want          State
		blocks        int // at most, in nine of ten runs
	}{
		"a fifth more":                    {1.2, 0.05, Worse, 25},
		"a fifth more, noisy":             {1.2, 0.2, Worse, 90},
		"twice":                           {2, 0.2, Worse, 25},
		"alike":                           {1, 0.05, NotWorse, 20},
		"a hundredth more is not counted": {1.01, 0.02, NotWorse, 20},
		"cheaper":                         {0.8, 0.1, NotWorse, 20},
	} {
		t.Run(name, func(t *testing.T) {
			late, wrong := 0, 0
			for seed := range uint64(100) {
				look, blocks := ended(Limits{Matters: 1.2}, 500, costs(seed, tc.times, tc.spread, 0))
				if look.State != tc.want {
					wrong++
				}
				if blocks > tc.blocks {
					late++
				}
			}
			if wrong > 10 || late > 10 {
				t.Errorf("of 100 runs %d were not %s, and %d took more than %d blocks", wrong, tc.want, late, tc.blocks)
			}
		})
	}
}

func TestMeansLook(t *testing.T) {
	m := NewMeans(Limits{})
	m.Add(Size{0, 10}, Size{1, 10}) // says nothing
	if l := m.Look(); l.State != Unsure || l.Blocks != 0 || l.P != 1 || l.Visible != 0 {
		t.Errorf("of nothing: %+v", l)
	}
	for i := range 40 {
		m.Add(Size{110 + float64(i%5), 100}, Size{100, 100})
	}
	l := m.Look()
	if math.Abs(l.Canary-1.12) > 1e-9 || l.Baseline != 1 || l.Blocks != 40 || l.Visible < 1 || l.Visible > 1.12 {
		t.Errorf("%+v", l)
	}
}
