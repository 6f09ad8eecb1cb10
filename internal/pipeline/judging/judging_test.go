package judging

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// world is an app whose release v2 is at a judged step of its rollout.
type world struct {
	ro        rollout.Rollout
	given     map[int]Given
	empty     bool // nothing runs of what ran before
	blocks    map[int][]judge.Block
	counted   map[string]route.Counter
	cpu       map[run.InstanceID]time.Duration
	instances []run.Instance
	broken    error // what keeping a verdict says
	traffic   func(w *world)
	random    *rand.Rand
	asked     []Query
	samples   func(q Query) ([]float64, error)
	unwell    map[string]float64 // share of probes without a good answer, by address
	probes    []app.Probe

	mu     sync.Mutex // guards what follows
	probed map[string]int
}

func (w *world) Probes(context.Context, app.ID) ([]app.Probe, error) { return w.probes, nil }
func (w *world) Probe(_ context.Context, _ app.App, _ app.Probe, addr string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probed[addr]++
	return w.random.Float64() >= w.unwell[addr]
}

func newWorld(how app.Judging, steps ...app.Step) *world {
	w := &world{
		given: map[int]Given{}, blocks: map[int][]judge.Block{}, counted: map[string]route.Counter{}, cpu: map[run.InstanceID]time.Duration{},
		unwell: map[string]float64{}, probed: map[string]int{},
		random: rand.New(rand.NewPCG(7, 7)),
	}
	w.ro = rollout.Rollout{
		ID: "r", App: "a", Release: "2", From: "1", State: rollout.Shifting, Reached: time.Now(), Old: []run.GroupID{"old"}, New: []run.GroupID{"new"},
		Spec: app.Strategy{Kind: app.Canary, Steps: steps, Judge: how}.Filled(),
	}
	for _, g := range []run.GroupID{"old", "new"} {
		w.instances = append(w.instances, run.Instance{ID: run.InstanceID(g) + "-0", Group: g, State: run.Healthy, Addr: string(g)})
	}
	return w
}

func (w *world) OpenRollouts(context.Context) ([]rollout.Rollout, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ro.State.Ended() {
		return nil, nil
	}
	return []rollout.Rollout{w.ro}, nil
}
func (w *world) App(context.Context, app.ID) (app.App, error) {
	return app.App{ID: "a", Name: "shop", Space: "s"}, nil
}
func (w *world) Release(_ context.Context, id release.ID) (release.Release, error) {
	return release.Release{ID: id, Number: int(id[0] - '0')}, nil
}
func (w *world) Groups(context.Context, app.ID) ([]run.Group, error) {
	size := 1
	if w.empty {
		size = 0
	}
	return []run.Group{
		{ID: "old", Name: "shop-v001", Process: app.Web, Release: "1", Size: size}, {ID: "new", Name: "shop-v002", Process: app.Web, Release: "2", Size: 1},
		{ID: "workers", Name: "shop--worker-v002", Process: "worker", Release: "2", Size: 1},
	}, nil
}
func (w *world) Instances(context.Context, app.ID) ([]run.Instance, error) {
	return slices.Clone(w.instances), nil
}
func (w *world) Verdict(_ context.Context, _ rollout.ID, step int) (Given, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g, ok := w.given[step]
	if !ok {
		return g, fault.New(fault.NotFound, "verdict", "none")
	}
	return g, nil
}
func (w *world) GiveVerdict(_ context.Context, g Given, b *judge.Block) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	w.given[g.Step] = g
	if b != nil {
		w.blocks[g.Step] = append(w.blocks[g.Step], *b)
	}
	if g.Act != "" {
		w.blocks[g.Step] = nil
	}
	return nil
}
func (w *world) VerdictBlocks(_ context.Context, _ rollout.ID, step int) ([]judge.Block, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.blocks[step], nil
}
func (w *world) DropBlocks(context.Context) error { return nil }
func (w *world) Load(_ context.Context, id run.InstanceID) (run.Usage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return run.Usage{CPU: w.cpu[id], MemoryBytes: 50 << 20}, nil
}
func (w *world) Samples(_ context.Context, q Query) ([]float64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, q)
	return w.samples(q)
}

// gateways is the meter of a world.
type gateways struct{ w *world }

func (g gateways) Groups(...string) (map[string]route.Counter, bool) {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	return maps.Clone(g.w.counted), true
}

// requests lets a group answer n, a share of them with 5xx.
func (w *world) requests(group string, n int, failed float64) {
	c := w.counted[group]
	for range n {
		if w.random.Float64() < failed {
			c.Classes[5]++
		} else {
			c.Classes[2]++
		}
		c.Latency[route.LatencyBucket(time.Duration((0.5+w.random.ExpFloat64())*float64(20*time.Millisecond)))]++
	}
	w.counted[group] = c
	w.cpu[run.InstanceID(group)+"-0"] += time.Duration(n) * time.Millisecond
}

// both groups answer as many requests in each block, with shares that fail.
func both5s(n int, old, next float64) func(w *world) {
	return func(w *world) {
		w.requests("old", n, old)
		w.requests("new", n, next)
	}
}

func newWatcher(t *testing.T, w *world) *Watcher {
	return New(w, gateways{w}, w, Options{Sampler: w, Prober: w}, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// play runs a watcher until the step has its verdict, for so long at most.
func (w *world) play(t *testing.T, j *Watcher, most time.Duration) Given {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan error)
	go func() { end <- j.Run(ctx) }()
	time.Sleep(time.Second) // between two blocks
	for began := time.Now(); time.Since(began) < most; {
		synctest.Wait()
		w.mu.Lock()
		over := w.given[w.ro.Step].Act != ""
		if !over && w.traffic != nil {
			w.traffic(w)
		}
		w.mu.Unlock()
		if over {
			break
		}
		time.Sleep(5 * time.Second)
	}
	synctest.Wait()
	stop()
	if err := <-end; err != nil {
		t.Fatal(err)
	}
	return w.given[w.ro.Step]
}

var half = app.Step{Weight: 50, Judge: true}

func TestStepsGetTheirVerdict(t *testing.T) {
	for name, tc := range map[string]struct {
		how     app.Judging
		traffic func(w *world)
		act     Act
		outcome judge.Outcome
		within  time.Duration
		says    string
		rollout rollout.Outcome
	}{
		"worse":                {app.Judging{}, both5s(250, 0.005, 0.05), WentBack, judge.Fail, 4 * time.Minute, "5xx ", rollout.Fail},
		"as good":              {app.Judging{}, both5s(1000, 0.003, 0.003), Passed, judge.Pass, 10 * time.Minute, "less than 1.5 times as bad", rollout.Pass},
		"no traffic: promotes": {app.Judging{Longest: app.Duration(2 * time.Minute)}, nil, WentOn, judge.Unsure, 3 * time.Minute, "nothing to compare", rollout.Pass},
		"no traffic: asks":     {app.Judging{Unsure: app.UnsureAsk, Longest: app.Duration(2 * time.Minute)}, nil, Asked, judge.Unsure, 3 * time.Minute, "nothing to compare", rollout.Ask},
		"no traffic: waits":    {app.Judging{Unsure: app.UnsureWait, Longest: app.Duration(2 * time.Minute)}, nil, "", judge.Unsure, time.Hour, "", rollout.Unsure},
		"little traffic":       {app.Judging{}, both5s(2, 0.01, 0.01), WentOn, judge.Unsure, 11 * time.Minute, "1.5 times takes about", rollout.Pass},
		"one group only":       {app.Judging{}, func(w *world) { w.requests("new", 100, 0.5) }, WentOn, judge.Unsure, 11 * time.Minute, "nothing to compare", rollout.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(tc.how, half)
				w.traffic = tc.traffic
				j, began := newWatcher(t, w), time.Now()
				g := w.play(t, j, tc.within)
				t.Logf("after %s, %d blocks: %s", time.Since(began), g.Blocks, g.Verdict.Why())
				if g.Act != tc.act || g.Verdict.Outcome != tc.outcome || !strings.Contains(g.Verdict.Why(), tc.says) {
					t.Fatalf("%q by %s: %s; want %q by %s and %q", g.Act, g.Verdict.Outcome, g.Verdict.Why(), tc.act, tc.outcome, tc.says)
				}
				v, err := j.Judge(t.Context(), w.ro)
				if err != nil || v.Outcome != tc.rollout || v.Reason == "" {
					t.Errorf("the rollout hears %v %q (%v), want %v", v.Outcome, v.Reason, err, tc.rollout)
				}
				if g.Verdict.Canary != "shop-v002 (v2)" || g.Verdict.Baseline != "shop-v001 (v1)" || g.Verdict.To.IsZero() {
					t.Errorf("it is about %q and %q until %s", g.Verdict.Canary, g.Verdict.Baseline, g.Verdict.To)
				}
			})
		})
	}
}

// What was compared before the process died is compared again: the verdict is
// the one that would have come without that.
func TestGoesOnAfterADeath(t *testing.T) {
	verdict := func(t *testing.T, deaths int) (given Given, took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(app.Judging{}, half)
			w.traffic = both5s(250, 0.005, 0.03)
			began := time.Now()
			for range deaths {
				w.play(t, newWatcher(t, w), 65*time.Second)
			}
			given = w.play(t, newWatcher(t, w), 10*time.Minute)
			took = time.Since(began)
		})
		return given, took
	}
	whole, _ := verdict(t, 0)
	g, took := verdict(t, 2)
	if g.Act != WentBack || whole.Act != WentBack {
		t.Fatalf("%q after deaths, %q without, want %q", g.Act, whole.Act, WentBack)
	}
	// Each beginning looks once before it has a block; none waits for warmth again.
	if most := time.Duration(whole.Blocks)*5*time.Second + judge.Cold + 2*time.Minute; g.Blocks < 20 || took > most {
		t.Errorf("%d blocks in %s, want no more than %s", g.Blocks, took, most)
	}
}

// Without anything to compare with the policy is all there is.
func TestNothingToCompareWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(app.Judging{Unsure: app.UnsureAsk}, half)
		w.traffic, w.empty = both5s(100, 0, 0.5), true
		if g := w.play(t, newWatcher(t, w), 11*time.Minute); g.Act != Asked || g.Verdict.Outcome != judge.Unsure {
			t.Errorf("%q by %s, want it to ask", g.Act, g.Verdict.Outcome)
		}
	})
}

// A canary is cold at first: what it does then is not compared.
func TestColdIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(app.Judging{}, half)
		began, failed := time.Now(), 0.5
		w.traffic = func(w *world) {
			if time.Since(began) > 25*time.Second {
				failed = 0.003
			}
			both5s(1000, 0.003, failed)(w)
		}
		if g := w.play(t, newWatcher(t, w), 10*time.Minute); g.Act != Passed {
			t.Errorf("%q: %s; want it passed", g.Act, g.Verdict.Why())
		}
	})
}

// What could not be kept is as if it had not been compared.
func TestWhatCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(app.Judging{}, half)
		w.traffic, w.broken = both5s(250, 0.005, 0.05), fault.New(fault.Unavailable, "", "disk full")
		if g := w.play(t, newWatcher(t, w), 5*time.Minute); g.Act != "" || len(w.blocks[0]) != 0 {
			t.Fatalf("%q with %d blocks, want nothing", g.Act, len(w.blocks[0]))
		}
		w.broken = nil
		if g := w.play(t, newWatcher(t, w), 5*time.Minute); g.Act != WentBack {
			t.Errorf("%q: %s; want it to go back", g.Act, g.Verdict.Why())
		}
	})
}

// Each step has a comparison of its own, with its part of the false alarms.
func TestEachStepIsJudgedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(app.Judging{Longest: app.Duration(time.Hour)}, app.Step{Weight: 10, Judge: true}, half)
		w.traffic = func(w *world) {
			w.requests("old", 4500, 0.003)
			w.requests("new", 500, 0.003)
		}
		j := newWatcher(t, w)
		first := w.play(t, j, time.Hour)
		w.ro.Step, w.ro.Reached = 1, time.Now()
		w.traffic = both5s(1000, 0.003, 0.05)
		second := w.play(t, j, 10*time.Minute)
		if first.Act != Passed || second.Act != WentBack || second.Verdict.Alpha != judge.Alpha/2 {
			t.Errorf("%q, then %q at %g; want %q, then %q at %g", first.Act, second.Act, second.Verdict.Alpha, Passed, WentBack, judge.Alpha/2)
		}
	})
}

// Metrics of the app's own decide, too.
func TestOwnMetrics(t *testing.T) {
	for name, tc := range map[string]struct {
		next float64
		act  Act
		says string
	}{
		"worse":   {2, WentBack, "queue is critical"},
		"as good": {1, Passed, "score 100 of 100"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(app.Judging{Metrics: []app.JudgedMetric{{Name: "queue", Query: "sum(queue_depth)", Direction: "up", Critical: true, Effect: 1.2}}}, half)
				w.traffic = both5s(1000, 0.003, 0.003)
				w.samples = func(q Query) (out []float64, err error) {
					for i := range int(q.To.Sub(q.From)/q.Step) + 1 {
						v := 10 + float64(i%5)
						if q.Labels["group"] == "shop-v002" {
							v *= tc.next
						}
						out = append(out, v)
					}
					return out, nil
				}
				g := w.play(t, newWatcher(t, w), 30*time.Minute)
				if g.Act != tc.act || !strings.Contains(g.Verdict.Why(), tc.says) {
					t.Errorf("%q: %s; want %q and %q", g.Act, g.Verdict.Why(), tc.act, tc.says)
				}
				for _, q := range w.asked {
					if q.Space != "s" || q.Labels["app"] != "shop" || q.Text != "sum(queue_depth)" {
						t.Errorf("asked %+v", q)
					}
				}
			})
		})
	}
}

// Where nobody comes, declared probes of both sides show what is broken; that a
// canary answers them does not make it pass.
func TestProbesWithoutVisitors(t *testing.T) {
	for name, tc := range map[string]struct {
		canary, baseline float64
		traffic          func(w *world)
		act              Act
		says             string
		probed           bool
	}{
		"the canary fails":        {0.5, 0, nil, WentBack, "failed probes ", true},
		"both fail":               {0.5, 0.5, nil, WentOn, "5xx 0 % vs 0 %", true},
		"both are well":           {0, 0, nil, WentOn, "5xx 0 % vs 0 %", true},
		"there are many visitors": {0.5, 0, both5s(1000, 0.003, 0.003), Passed, "less than 1.5 times as bad", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(app.Judging{}, half)
				w.traffic, w.probes = tc.traffic, []app.Probe{{Name: "front", Path: "/"}, {Name: "search", Path: "/search"}}
				w.unwell["new"], w.unwell["old"] = tc.canary, tc.baseline
				g := w.play(t, newWatcher(t, w), 15*time.Minute)
				if g.Act != tc.act || !strings.Contains(g.Verdict.Why(), tc.says) {
					t.Errorf("%q: %s; want %q and %q", g.Act, g.Verdict.Why(), tc.act, tc.says)
				}
				if w.probed["old"] != w.probed["new"] || w.probed["new"] > 0 != tc.probed {
					t.Errorf("%d probes of the canary and %d of the baseline, want as many, some: %v", w.probed["new"], w.probed["old"], tc.probed)
				}
			})
		})
	}
}

func TestBetween(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	one := func() reading {
		r := reading{at: at, healthy: 1, instances: map[run.InstanceID]usage{"i": {time.Second, 100}}, restarts: map[place]int{{"g", 0}: 1}}
		r.counted.Classes[2], r.counted.Latency[3] = 10, 10
		return r
	}
	for name, tc := range map[string]struct {
		change func(r *reading)
		ok     bool
		want   judge.Measured
	}{
		"nothing":   {func(*reading) {}, true, judge.Measured{Ran: 5, Memory: 500}},
		"requests":  {func(r *reading) { r.counted.Classes[5], r.counted.Latency[3] = 2, 12 }, true, judge.Measured{Requests: 2, Failed: 2, Ran: 5, Memory: 500}},
		"CPU":       {func(r *reading) { r.instances["i"] = usage{3 * time.Second, 100} }, true, judge.Measured{Ran: 5, Memory: 500, CPU: 2}},
		"a restart": {func(r *reading) { r.restarts[place{"g", 0}] = 3 }, true, judge.Measured{Ran: 5, Memory: 500, Restarts: 2}},
		"a new instance": {func(r *reading) {
			r.restarts[place{"g", 1}] = 7
			r.instances["j"] = usage{time.Hour, 50}
			r.healthy = 2
		}, true, judge.Measured{Ran: 10, Memory: 750}},
		"one not measured":  {func(r *reading) { r.unread = true }, true, judge.Measured{Ran: 5}},
		"counters fell":     {func(r *reading) { r.counted.Classes[2] = 9 }, false, judge.Measured{}},
		"histogram fell":    {func(r *reading) { r.counted.Latency[3] = 9 }, false, judge.Measured{}},
		"clock set back":    {func(r *reading) { r.at = at.Add(-time.Second) }, false, judge.Measured{}},
		"nobody looked":     {func(r *reading) { r.at = at.Add(time.Minute) }, false, judge.Measured{}},
		"another group":     {func(r *reading) { r.of = "another" }, false, judge.Measured{}},
		"clock stood still": {func(r *reading) { r.at = at }, false, judge.Measured{}},
	} {
		t.Run(name, func(t *testing.T) {
			now := one()
			now.at = at.Add(5 * time.Second)
			tc.change(&now)
			got, ok := between(one(), now, 5*time.Second)
			if ok != tc.ok {
				t.Fatalf("ok is %v, want %v", ok, tc.ok)
			}
			if !ok {
				return
			}
			if got.Requests != tc.want.Requests || got.Failed != tc.want.Failed || got.CPU != tc.want.CPU || got.Memory != tc.want.Memory || got.Ran != tc.want.Ran || got.Restarts != tc.want.Restarts {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
			if got.Took[3] != tc.want.Requests {
				t.Errorf("%d took up to the fourth bound, want %d", got.Took[3], tc.want.Requests)
			}
		})
	}
}

// Releases like what ran before, from the gateways' counters to what the rollout
// does: NARU_FULL=1 takes 2,000 of them.
func TestFalseAlarms(t *testing.T) {
	rollouts, most := 40, 3
	if os.Getenv("NARU_FULL") != "" {
		rollouts, most = 2000, 33 // 1 % and three standard deviations
	}
	acts := map[Act]int{}
	for seed := range uint64(rollouts) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(app.Judging{}, half)
			w.random = rand.New(rand.NewPCG(seed, 3))
			w.traffic = both5s(100, 0.01, 0.01)
			acts[w.play(t, newWatcher(t, w), 11*time.Minute).Act]++
		})
	}
	t.Logf("%d rollouts: %v", rollouts, acts)
	if acts[WentBack] > most {
		t.Errorf("%d of %d releases that were no worse went back, at most %d may", acts[WentBack], rollouts, most)
	}
}
