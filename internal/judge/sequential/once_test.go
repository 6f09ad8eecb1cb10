package sequential

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"naru/internal/route"
)

// sides are blocks in which each side has its requests, and its bad ones one after
// the other.
func sides(n, bad, m, worse int, blocks int) (out []Block) {
	part := func(all, i int) uint64 { return uint64(all*(i+1)/blocks - all*i/blocks) }
	for i := range blocks {
		out = append(out, Block{
			Canary:   route.Tally{Requests: part(n, i), Bad: part(bad, i)},
			Baseline: route.Tally{Requests: part(m, i), Bad: part(worse, i)},
		})
	}
	return out
}

func TestOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		blocks []Block
		limits Limits
		state  State
	}{
		"30 seconds of a canary that fails":      {sides(314, 14, 350, 0, 3), Limits{Alpha: 0.0056}, Worse},
		"the same in two blocks":                 {sides(314, 14, 350, 0, 2), Limits{Alpha: 0.0056}, Worse},
		"a block in which all fail":              {sides(60, 60, 200, 0, 1), Limits{}, Worse},
		"a block in which some fail":             {sides(300, 12, 300, 0, 1), Limits{}, Unsure},
		"one stalled disk":                       {append(sides(300, 0, 300, 0, 3), Block{Canary: route.Tally{Requests: 100, Bad: 30}, Baseline: route.Tally{Requests: 100}}), Limits{}, Unsure},
		"two unlucky requests":                   {sides(20, 2, 5000, 0, 4), Limits{}, Unsure},
		"as many fail":                           {sides(100_000, 1000, 100_000, 1000, 20), Limits{}, NotWorse},
		"a little worse, and it does not matter": {sides(1_000_000, 11_000, 1_000_000, 10_000, 20), Limits{}, NotWorse},
		"twice as many fail":                     {sides(100_000, 2000, 100_000, 1000, 20), Limits{}, Worse},
		"a little traffic":                       {sides(300, 1, 300, 1, 3), Limits{Floor: 0.001}, Unsure},
		"none is bad of many":                    {sides(5000, 0, 5000, 0, 3), Limits{Floor: 0.001}, NotWorse},
		"none is bad of few":                     {sides(3000, 0, 3000, 0, 3), Limits{Floor: 0.001}, Unsure},
		"below what is harmless":                 {sides(100_000, 40, 100_000, 4, 20), Limits{Floor: 0.001}, NotWorse},
		"no canary":                              {sides(0, 0, 300, 3, 3), Limits{}, Unsure},
		"no baseline":                            {sides(300, 30, 0, 0, 3), Limits{}, Unsure},
		"all fail on both sides":                 {sides(300, 300, 300, 300, 3), Limits{}, Unsure},
		"nothing at all":                         {nil, Limits{}, Unsure},
	} {
		t.Run(name, func(t *testing.T) {
			l := Once(tc.limits, tc.blocks)
			t.Logf("%+v", l)
			if l.State != tc.state {
				t.Errorf("%s, want %s", l.State, tc.state)
			}
			for _, n := range []float64{l.P, l.Visible, l.Needed, l.Clump} {
				if math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
					t.Errorf("%v is no number", n)
				}
			}
			if l.P < tiny || l.P > 1 || l.Clump < 1 {
				t.Errorf("p = %v with clumps of %v", l.P, l.Clump)
			}
		})
	}
}

// TestFisher: tables whose p is known (fisher.test of R, alternative greater), and
// the definition added up term by term.
func TestFisher(t *testing.T) {
	for _, tc := range []struct{ x, n, y, m, p float64 }{
		{3, 4, 1, 4, 17.0 / 70},          // the lady who tastes tea, with a mistake
		{4, 4, 0, 4, 1.0 / 70},           // and without
		{10, 13, 2, 17, 0.000465180988},  // Fisher's twins
		{14, 314, 0, 350, 0.00002392671}, // a canary of 30 seconds
	} {
		if _, got := split(tc.x, tc.x+tc.y, tc.n, tc.m, 1); math.Abs(got-tc.p) > 1e-9 {
			t.Errorf("%v of %v against %v of %v: p = %.12f, want %.12f", tc.x, tc.n, tc.y, tc.m, got, tc.p)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		n, m, times := float64(1+r.IntN(60)), float64(1+r.IntN(60)), 0.2+3*r.Float64()
		x, y := float64(r.IntN(int(n)+1)), float64(r.IntN(int(m)+1))
		atMost, atLeast := 0.0, 0.0
		total := 0.0
		for k := math.Max(0, x+y-m); k <= math.Min(n, x+y); k++ {
			term := math.Exp(choose(n, k) + choose(m, x+y-k) + k*math.Log(times))
			if total += term; k <= x {
				atMost += term
			}
			if k >= x {
				atLeast += term
			}
		}
		a, b := split(x, x+y, n, m, times)
		if math.Abs(a-atMost/total) > 1e-9 || math.Abs(b-atLeast/total) > 1e-9 {
			t.Fatalf("%v of %v against %v of %v at %v: %v and %v, want %v and %v", x, n, y, m, times, a, b, atMost/total, atLeast/total)
		}
	}
	if got, want := rarely(2, 10, 0.3), 0.3827827864; math.Abs(got-want) > 1e-9 {
		t.Errorf("at most 2 of 10 at 0.3: %v, want %v", got, want)
	}
}

func choose(n, k float64) float64 {
	lg := func(v float64) float64 { out, _ := math.Lgamma(v + 1); return out }
	return lg(n) - lg(k) - lg(n-k)
}

// TestOnceOfMany: a billion requests take no longer than a thousand.
func TestOnceOfMany(t *testing.T) {
	l := Once(Limits{}, []Block{
		{Canary: route.Tally{Requests: 4e8, Bad: 2e8}, Baseline: route.Tally{Requests: 4e8, Bad: 2e8}},
		{Canary: route.Tally{Requests: 4e8, Bad: 2e8}, Baseline: route.Tally{Requests: 4e8, Bad: 2e8}},
	})
	if l.State != NotWorse || l.P < 0.4 || l.P > 0.6 {
		t.Errorf("%+v of two that are alike", l)
	}
}

// TestFalseAlarmsOfOneLook: releases like their baseline, judged over times of one
// sample of the metrics to half an hour, at the part of the false alarms that
// errors have. Where bad requests come together, and there are a few blocks to see
// it by, there are more.
func TestFalseAlarmsOfOneLook(t *testing.T) {
	const sample = 15
	times := uint64(size(400))
	for _, nature := range natures {
		if nature.cold > 0 {
			continue // a canary that is cold is not like its baseline, and nothing is left out here
		}
		for _, samples := range []int{1, 2, 4, 20, 120} {
			t.Run(fmt.Sprintf("%s, %d s", nature.name, samples*sample), func(t *testing.T) {
				t.Parallel()
				rollouts := times / uint64(1+samples/20)
				most := allowed(rollouts)
				if samples < 20 && (nature.bursts > 0 || nature.wander > 0) {
					most *= 3
				}
				for _, base := range []float64{0.001, 0.01, 0.05} {
					worse := 0
					for seed := range rollouts {
						w := &world{Rand: rand.New(rand.NewPCG(seed, 17)), rate: 20, share: 0.3, base: base, times: 1, nature: nature}
						var blocks []Block
						for range samples {
							blocks = append(blocks, w.block(sample))
						}
						if Once(Limits{Alpha: 0.01 * 50 / 90}, blocks).State == Worse {
							worse++
						}
					}
					t.Logf("%g %%: %.2f %% of %d", 100*base, 100*float64(worse)/float64(rollouts), rollouts)
					if worse > most {
						t.Errorf("%d of %d that are alike were called worse, want %d at most", worse, rollouts, most)
					}
				}
			})
		}
	}
}

// TestOneLookFinds: a canary that is worse is found with about as many requests as
// Needed says.
func TestOneLookFinds(t *testing.T) {
	for _, tc := range []struct{ base, times float64 }{{0.003, 5}, {0.01, 2}, {0.01, 5}, {0.05, 1.5}} {
		l := Limits{Matters: tc.times}
		needed := once{l.Filled(), 1}.needed(route.Tally{Requests: 1e6}, route.Tally{Requests: 1e6, Bad: uint64(1e6 * tc.base)})
		found, all := 0, 200
		for seed := range uint64(all) {
			w := &world{Rand: rand.New(rand.NewPCG(seed, 19)), rate: needed / 150, share: 0.5, base: tc.base, times: tc.times}
			var blocks []Block
			for range 40 { // twice as many as are needed for half of them
				blocks = append(blocks, w.block(15))
			}
			if Once(l, blocks).State == Worse {
				found++
			}
		}
		t.Logf("%v times %v: %v requests are needed, %d of %d found with twice as many", tc.times, tc.base, needed, found, all)
		if found < all*7/10 {
			t.Errorf("%d of %d are found", found, all)
		}
	}
}
