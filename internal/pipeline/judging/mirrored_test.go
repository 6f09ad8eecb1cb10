package judging

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/judge"
	"naru/internal/route"
	"naru/internal/run"
)

// pairs sends both sides as many copies. Of each pair both fail with a share
// alike, as where nobody has an answer to what was asked, and else each with its own.
func (w *world) pairs(n int, alike, old, next float64) { w.slowPairs(n, alike, old, next, 1) }

// slowPairs are pairs in which the canary takes some times as long.
func (w *world) slowPairs(n int, alike, old, next, times float64) {
	both := map[string]float64{"old": old, "new": next}
	for range n {
		failed := w.random.Float64() < alike
		for _, group := range []string{"old", "new"} {
			c := w.counted[group+route.Pairs]
			if own := w.random.Float64() < both[group]; failed || own {
				c.Classes[5]++
			} else {
				c.Classes[2]++
			}
			took := (0.5 + w.random.ExpFloat64()) * float64(20*time.Millisecond)
			if group == "new" {
				took *= times
			}
			c.Latency[route.LatencyBucket(time.Duration(took))]++
			w.counted[group+route.Pairs] = c
			w.cpu[run.InstanceID(group)+"-0"] += time.Millisecond
		}
	}
}

// few is a block of two requests a second, of which the canary gets one of fifty.
func few(w *world, old, next float64) {
	w.requests("old", 10, old)
	if w.random.Float64() < 0.2 {
		w.requests("new", 1, next)
	}
}

var twoPercent = app.Step{Weight: 2, Judge: true}

// Two requests a second say little of a canary that gets few of them; copies of
// them to both sides say what fails, and never that nothing does.
func TestCopiesWithFewVisitors(t *testing.T) {
	yes, no := true, false
	mirror := app.Judging{Mirror: &yes}
	for name, tc := range map[string]struct {
		how     app.Judging
		traffic func(w *world)
		act     Act
		says    string
		within  time.Duration
	}{
		"the canary fails": {mirror, func(w *world) {
			few(w, 0.02, 0.3)
			w.pairs(10, 0, 0.02, 0.3)
		}, WentBack, "5xx of copies ", 3 * time.Minute},
		"the canary fails where nothing did": {mirror, func(w *world) {
			few(w, 0, 0.3)
			w.pairs(10, 0, 0, 0.3)
		}, WentBack, "5xx of copies ", 4 * time.Minute},
		"the canary fails, and some requests at both": {mirror, func(w *world) {
			few(w, 0.1, 0.4)
			w.pairs(10, 0.1, 0, 0.3)
		}, WentBack, "5xx of copies ", 4 * time.Minute},
		"the canary is slow": {mirror, func(w *world) {
			few(w, 0, 0)
			w.slowPairs(10, 0, 0, 0, 4)
		}, WentBack, "copies slower than ", 6 * time.Minute},
		"without copies nobody knows in that time": {app.Judging{}, func(w *world) { few(w, 0.02, 0.3) }, "", "", 3 * time.Minute},
		"both fail": {mirror, func(w *world) {
			few(w, 0, 0)
			w.pairs(10, 0.3, 0, 0)
		}, WentOn, "5xx ", 15 * time.Minute},
		"both are well": {mirror, func(w *world) {
			few(w, 0, 0)
			w.pairs(10, 0, 0, 0)
		}, WentOn, "5xx ", 15 * time.Minute},
		"nobody asked for copies": {app.Judging{Mirror: &no}, func(w *world) {
			few(w, 0, 0)
			w.pairs(10, 0, 0, 0.3)
		}, WentOn, "5xx ", 15 * time.Minute},
		"visitors do not come": {mirror, nil, WentOn, "nothing to compare", 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(tc.how, twoPercent)
				w.traffic = tc.traffic
				began := time.Now()
				g := w.play(t, newWatcher(t, w), tc.within)
				t.Logf("after %s: %q %s", time.Since(began), g.Act, g.Verdict.Why())
				if g.Act != tc.act || tc.act != "" && !strings.Contains(g.Verdict.Why(), tc.says) {
					t.Errorf("%q: %s; want %q and %q", g.Act, g.Verdict.Why(), tc.act, tc.says)
				}
			})
		})
	}
}

// Canary and baseline do as much for a copy as for a visitor: a canary with more
// copies than visitors does not look hungry.
func TestCopiesAreWork(t *testing.T) {
	copied := judge.Measured{Requests: 1, Copies: 10, CPU: 0.011}
	visited := judge.Measured{Requests: 9, Copies: 10, CPU: 0.019}
	c := judge.Compare(append(judge.Defaults(), judge.OfCopies()...), bounds, 0)
	for range 200 {
		c.Add(judge.Block{Canary: copied, Baseline: visited, Share: 0.1})
	}
	for _, r := range c.Verdict().Reasons {
		if r.Metric == "cpu" && (r.State == "worse" || r.Canary.Value < 0.0009 || r.Canary.Value > 0.0011) {
			t.Errorf("%s: %s", r.Code, r.Text)
		}
	}
}

// Releases like what ran before, with copies: NARU_FULL=1 takes 2,000 of them.
func TestFalseAlarmsWithCopies(t *testing.T) {
	rollouts, most := 40, 3
	if os.Getenv("NARU_FULL") != "" {
		rollouts, most = 2000, 33 // 1 % and three standard deviations
	}
	yes := true
	for name, alike := range map[string]float64{"each by itself": 0, "both at the same requests": 0.03} {
		t.Run(name, func(t *testing.T) {
			acts := map[Act]int{}
			for seed := range uint64(rollouts) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(app.Judging{Mirror: &yes}, twoPercent)
					w.random = rand.New(rand.NewPCG(seed, 5))
					w.traffic = func(w *world) {
						few(w, 0.05, 0.05)
						w.pairs(10, alike, 0.05-alike, 0.05-alike)
					}
					acts[w.play(t, newWatcher(t, w), 11*time.Minute).Act]++
				})
			}
			t.Logf("%d rollouts: %v", rollouts, acts)
			if acts[WentBack] > most {
				t.Errorf("%d of %d releases that were no worse went back, at most %d may", acts[WentBack], rollouts, most)
			}
		})
	}
}
