package sequential

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"naru/internal/route"
)

// size is the number of rollouts of a simulation: a few, half of them with
// -short, or with NARU_FULL=1 the 10,000 that were promised.
func size(few int) int {
	if os.Getenv("NARU_FULL") != "" {
		return 10_000
	}
	if testing.Short() {
		return few / 2
	}
	return few
}

// allowed is 1 % of rollouts and three standard deviations of that.
func allowed(rollouts uint64) int {
	mean := float64(rollouts) / 100
	return int(mean + 3*math.Sqrt(mean))
}

const (
	blockSeconds = 5
	coldSeconds  = 30 // that are left out, since a new instance is cold
)

// TestFalseRollbacks: canaries that are like their baseline, ten minutes of 20
// requests a second, looked at after every block of five seconds. At most 1 % may
// ever be called Worse.
func TestFalseRollbacks(t *testing.T) {
	rollouts := uint64(size(80))
	for _, nature := range natures {
		for _, share := range []float64{0.1, 0.5} {
			t.Run(fmt.Sprintf("%s, canary %g %%", nature.name, share*100), func(t *testing.T) {
				t.Parallel()
				all := 0
				for _, base := range []float64{0.001, 0.003, 0.01, 0.05} {
					states := map[State]int{}
					for seed := range rollouts {
						w := &world{Rand: rand.New(rand.NewPCG(seed, 7)), rate: 20, share: share, base: base, times: 1, nature: nature}
						states[tenMinutes(w)]++
					}
					t.Logf("%g %%: %d worse, %d not worse, %d unsure", base*100, states[Worse], states[NotWorse], states[Unsure])
					if all += states[Worse]; rollouts >= 1000 && states[Worse] > allowed(rollouts) {
						t.Errorf("%d of %d rollouts with %g %% bad requests were called worse", states[Worse], rollouts, base*100)
					}
				}
				if all > allowed(4*rollouts) {
					t.Errorf("%d of %d rollouts were called worse", all, 4*rollouts)
				}
			})
		}
	}
}

func tenMinutes(w *world) State {
	c := NewCounts(Limits{})
	for second := 0; second < 600; second += blockSeconds {
		b := w.block(blockSeconds)
		if second < coldSeconds {
			continue
		}
		if c.Add(b); c.State() != Unsure {
			break
		}
	}
	return c.State()
}

// TestMisses: a canary that is worse by exactly what matters is called NotWorse
// in at most 5 % of all cases.
func TestMisses(t *testing.T) {
	rollouts := uint64(size(150))
	for _, share := range []float64{0.1, 0.5} {
		for _, base := range []float64{0.003, 0.05} {
			t.Run(fmt.Sprintf("%g at %g", base, share), func(t *testing.T) {
				t.Parallel()
				_, _, worse := found(rollouts, base, 1.5, share, 0.02/base, 0.01)
				missed := rollouts - uint64(worse)
				t.Logf("%d of %d", missed, rollouts)
				if mean := float64(rollouts) / 20; float64(missed) > mean+3*math.Sqrt(mean) {
					t.Errorf("%d of %d were missed", missed, rollouts)
				}
			})
		}
	}
}

// TestShareThatIsNotMeant: visitors stick to the canary, so that it has half of
// the requests instead of the tenth that was meant. That is no evidence.
func TestShareThatIsNotMeant(t *testing.T) {
	worse := 0
	for seed := range uint64(300) {
		w := &world{Rand: rand.New(rand.NewPCG(seed, 3)), rate: 50, share: 0.5, base: 0.02, times: 1}
		c := NewCounts(Limits{})
		for range 100 {
			b := w.block(blockSeconds)
			b.Share = 0.1
			if c.Add(b); c.State() == Worse {
				worse++
				break
			}
		}
	}
	if worse > allowed(300) {
		t.Errorf("%d of 300 were called worse", worse)
	}
}

// TestSharesAsTheRequestsSay: of a past window nobody knows what was meant.
func TestSharesAsTheRequestsSay(t *testing.T) {
	for want, times := range map[State]float64{Worse: 3, NotWorse: 1} {
		w := &world{Rand: rand.New(rand.NewPCG(1, 3)), rate: 50, share: 0.3, base: 0.02, times: times}
		c := NewCounts(Limits{})
		for range 400 {
			b := w.block(blockSeconds)
			b.Share = 0
			c.Add(b)
		}
		if got := c.State(); got != want {
			t.Errorf("%g times as bad: %s, want %s", times, got, want)
		}
	}
}

func TestTooLittleTrafficIsUnsure(t *testing.T) {
	for name, blocks := range map[string][]Block{
		"none":                {},
		"no requests":         make([]Block, 100),
		"one unlucky request": {{Canary: route.Tally{Requests: 1, Bad: 1}, Share: 0.01}},
		"one side only":       many(100, Block{Canary: route.Tally{Requests: 10, Bad: 5}}),
		"two bad ones of a hundredth": append(many(60, Block{Canary: route.Tally{Requests: 1}, Baseline: route.Tally{Requests: 99}, Share: 0.01}),
			many(2, Block{Canary: route.Tally{Requests: 1, Bad: 1}, Baseline: route.Tally{Requests: 99}, Share: 0.01})...),
		"all are good, which says nothing without a floor": many(1000, Block{Canary: route.Tally{Requests: 10}, Baseline: route.Tally{Requests: 10}, Share: 0.5}),
	} {
		t.Run(name, func(t *testing.T) {
			c := NewCounts(Limits{})
			for _, b := range blocks {
				c.Add(b)
			}
			if l := c.Look(); l.State != Unsure || math.IsNaN(l.P) || math.IsNaN(l.Visible) || math.IsNaN(l.Needed) {
				t.Errorf("%+v, want unsure", l)
			}
		})
	}
}

func TestAShareThatIsNoneIsNotUsed(t *testing.T) {
	for _, share := range []float64{math.NaN(), -1, 1, 2, math.Inf(1)} {
		c := NewCounts(Limits{})
		for range 100 {
			c.Add(Block{Canary: route.Tally{Requests: 1, Bad: 1}, Baseline: route.Tally{Requests: 1, Bad: 1}, Share: share})
		}
		if l := c.Look(); l.State != NotWorse || l.P != 1 {
			t.Errorf("share %v: %+v of two that do alike", share, l)
		}
	}
}

func many(n int, b Block) []Block {
	out := make([]Block, n)
	for i := range out {
		out[i] = b
	}
	return out
}

// TestFloor: with next to no bad requests there is nothing to compare, but few
// enough are harmless whatever the baseline does.
func TestFloor(t *testing.T) {
	c, requests := NewCounts(Limits{Floor: 0.001}), 0
	for c.State() == Unsure && requests < 10_000 {
		c.Add(Block{Canary: route.Tally{Requests: 10}, Baseline: route.Tally{Requests: 90}, Share: 0.1})
		requests += 10
	}
	if c.State() != NotWorse || requests < 3000 || requests > 6000 {
		t.Errorf("%s after %d good requests, want not worse than 0.1 %% after 3,000 to 6,000", c.State(), requests)
	}
}

func TestLook(t *testing.T) {
	w := &world{Rand: rand.New(rand.NewPCG(1, 1)), rate: 100, share: 0.5, base: 0.01, times: 1}
	c, before := NewCounts(Limits{Matters: 2}), math.Inf(1)
	for _, blocks := range []int{30, 60, 120} {
		for range blocks {
			c.Add(w.block(blockSeconds))
		}
		l := c.Look()
		if l.Visible <= 1 || l.Visible >= before || l.Needed < 3000 || l.Needed > 8000 || l.P < 0.01 {
			t.Errorf("%+v; visible before: %v", l, before)
		}
		before = l.Visible
	}
	if l := (&world{Rand: rand.New(rand.NewPCG(1, 1)), rate: 100, share: 0.5, base: 0.01, times: 5}).look(40); l.State != Worse || l.P > 0.01 {
		t.Errorf("%+v of one that is five times as bad", l)
	}
	if a, b := Needed(Limits{Matters: 5}, 0.01, 0.5), Visible(Limits{}, 0.01, 0.5, 500); a < 200 || a > 900 || b < 2 || b > 8 {
		t.Errorf("needed %v for five times, visible with 500: %v times", a, b)
	}
	if Visible(Limits{}, 0.01, 0.5, 2) != 0 || Needed(Limits{}, 0, 0.5) != 0 || Needed(Limits{}, 0.1, 1) != 0 {
		t.Error("what cannot be seen is 0")
	}
}

func (w *world) look(blocks int) Look {
	c := NewCounts(Limits{})
	for range blocks {
		c.Add(w.block(blockSeconds))
	}
	return c.Look()
}
