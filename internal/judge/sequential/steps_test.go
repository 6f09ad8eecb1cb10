package sequential

import (
	"math/rand/v2"
	"testing"
)

// TestStepsOfARollout: the canary's share goes up in steps, while the error ratio
// of both doubles and halves with the hours. That is no evidence, and a canary that
// is three times as bad is still found, though less often while outages of both
// make it seem that bad requests come together.
func TestStepsOfARollout(t *testing.T) {
	play := func(seed uint64, times float64, nature nature) State {
		w := &world{Rand: rand.New(rand.NewPCG(seed, 13)), rate: 60, times: times, nature: nature}
		c := NewCounts(Limits{})
		for i, share := range []float64{0.01, 0.05, 0.1, 0.25, 0.5, 0.9} {
			w.share, w.base = share, []float64{0.01, 0.02, 0.005}[i%3]
			for range 30 {
				if c.Add(w.block(blockSeconds)); c.State() == Worse {
					return Worse
				}
			}
		}
		return c.State()
	}
	for _, tc := range []struct {
		nature nature
		find   uint64 // percent
	}{{natures[0], 95}, {natures[1], 70}} {
		t.Run(tc.nature.name, func(t *testing.T) {
			rollouts := uint64(size(200))
			worse, found := 0, uint64(0)
			for seed := range rollouts {
				if play(seed, 1, tc.nature) == Worse {
					worse++
				}
				if play(seed, 3, tc.nature) == Worse {
					found++
				}
			}
			t.Logf("of %d: %d that are alike were called worse, and %d that are not", rollouts, worse, found)
			if worse > allowed(rollouts) || found < rollouts*tc.find/100 {
				t.Errorf("%d that are alike may be, and %d %% of those that are not should", allowed(rollouts), tc.find)
			}
		})
	}
}
