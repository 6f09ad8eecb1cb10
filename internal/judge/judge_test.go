package judge

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"naru/internal/judge/canary"
	"naru/internal/judge/sequential"
)

var bounds = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}

// release is how a group behaves.
type release struct {
	failed float64 // share of requests
	slower float64 // times
	cpu    float64 // seconds per request
	memory float64 // MiB
	crash  float64 // restarts an hour
}

var good = release{failed: 0.003, slower: 1, cpu: 0.004, memory: 100, crash: 0}

func (g release) block(r *rand.Rand, requests int) Measured {
	m := Measured{Requests: uint64(requests), Took: make([]uint64, len(bounds)+1), Ran: 10}
	m.CPU = g.cpu * float64(requests) * (1 + 0.1*r.NormFloat64())
	m.Memory = g.memory * (1 << 20) * 10 * (1 + 0.02*r.NormFloat64())
	for range requests {
		if r.Float64() < g.failed {
			m.Failed++
			continue
		}
		took, i := g.slower*0.03*(0.5+r.ExpFloat64()), 0
		for i < len(bounds) && took > bounds[i] {
			i++
		}
		m.Took[i]++
	}
	if r.Float64() < g.crash/360 {
		m.Restarts++
	}
	return m
}

// play compares two releases with so many requests each in a block, until there is a verdict.
func play(seed uint64, old, next release, requests, blocks int) Verdict {
	r := rand.New(rand.NewPCG(seed, 9))
	c := Compare(Defaults(), bounds, 0)
	for range blocks {
		c.Add(Block{Canary: next.block(r, requests), Baseline: old.block(r, requests), Share: 0.5})
		if v := c.Verdict(); v.Outcome != Unsure {
			return v
		}
	}
	return c.Verdict()
}

func with(change func(*release)) release {
	g := good
	change(&g)
	return g
}

func TestVerdicts(t *testing.T) {
	for name, tc := range map[string]struct {
		next     release
		requests int
		outcome  Outcome
		code     string // of the first reason
		says     string // in the sentence
	}{
		"as good":          {good, 200, Pass, "errors.not_worse", "less than 1.5 times as bad"},
		"fails":            {with(func(g *release) { g.failed = 0.12 }), 50, Fail, "errors.worse", "went back: 5xx 1"},
		"slower":           {with(func(g *release) { g.slower = 3 }), 50, Fail, "", "slower than 50 ms"},
		"costs more CPU":   {with(func(g *release) { g.cpu = 0.006 }), 50, Fail, "cpu.worse", "CPU per request 6"},
		"needs more":       {with(func(g *release) { g.memory = 150 }), 50, Fail, "memory.worse", "memory per instance 1"},
		"restarts":         {with(func(g *release) { g.crash = 100 }), 3, Fail, "restarts.worse", "canary instances vs 0 in"},
		"hardly a visitor": {with(func(g *release) { g.failed = 0.004 }), 1, Unsure, "errors.unsure", "1.5 times takes about"},
	} {
		t.Run(name, func(t *testing.T) {
			v := play(1, good, tc.next, tc.requests, 150)
			sentence := v.Sentence(map[Outcome]string{Fail: "went back"}[v.Outcome])
			t.Log(sentence)
			if v.Outcome != tc.outcome || tc.code != "" && v.Reasons[0].Code != tc.code || !strings.Contains(sentence, tc.says) {
				t.Errorf("%s by %s, want %s by %s and %q", v.Outcome, v.Reasons[0].Code, tc.outcome, tc.code, tc.says)
			}
			if len(v.Reasons) != len(Defaults()) {
				t.Errorf("%d reasons, want one of each metric", len(v.Reasons))
			}
		})
	}
}

// TestNothingIsUnsure: no traffic, and no metrics.
func TestNothingIsUnsure(t *testing.T) {
	for name, c := range map[string]*Comparison{
		"no blocks":  Compare(Defaults(), bounds, 0),
		"no metrics": Compare(nil, nil, 0),
		"nothing required": func() *Comparison {
			c := Compare([]Metric{{Name: "cpu", Kind: CPU, Weight: 1, Matters: 2}}, nil, 0)
			for range 100 {
				c.Add(Block{Canary: Measured{CPU: 1, Requests: 1}, Baseline: Measured{CPU: 1, Requests: 1}})
			}
			return c
		}(),
		"no traffic": func() *Comparison {
			c := Compare(Defaults(), bounds, 0)
			for range 1000 {
				c.Add(Block{Share: 0.5})
			}
			return c
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			if v := c.Verdict(); v.Outcome != Unsure || v.Why() == "" {
				t.Errorf("%s: %s, want unsure", v.Outcome, v.Why())
			}
		})
	}
}

// TestFalseAlarmsOfAllMetrics: seven metrics at every look. NARU_FULL=1 takes
// the 10,000 rollouts that were promised.
func TestFalseAlarmsOfAllMetrics(t *testing.T) {
	rollouts, most := 120, 5
	if os.Getenv("NARU_FULL") != "" {
		rollouts, most = 10_000, 130 // 1 % and three standard deviations
	}
	bad := map[string]int{}
	for seed := range uint64(rollouts) {
		old := with(func(g *release) { g.crash = 20 })
		if v := play(seed, old, old, 20, 60); v.Outcome == Fail {
			bad[v.Reasons[0].Code]++
		}
	}
	all := 0
	for _, n := range bad {
		all += n
	}
	t.Logf("%d of %d: %v", all, rollouts, bad)
	if all > most {
		t.Errorf("%d of %d rollouts that were alike failed: %v", all, rollouts, bad)
	}
}

// TestSentence is the one that was asked for.
func TestSentence(t *testing.T) {
	m := &compared{Metric: Metric{Name: "errors", Kind: Failed, Matters: 1.5}}
	l := sequential.Look{State: sequential.Worse, P: 0.0004}
	l.Canary.Requests, l.Canary.Bad = 1204, 149
	l.Baseline.Requests, l.Baseline.Bad = 10_000, 30
	v := Verdict{Outcome: Fail, Reasons: []Reason{m.ofCounts(l)}}
	want := "went back: 5xx 12.4 % vs 0.3 % over 1,204 canary requests (p < 0.001)"
	if got := v.Sentence("went back"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestVerdictAsJSON(t *testing.T) {
	v := play(1, good, with(func(g *release) { g.failed = 0.12 }), 50, 150)
	v.Reasons[0].Links = []Link{{Rel: "metrics", Target: "errors of shop-v042"}}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"outcome":"fail"`, `"code":"errors.worse"`, `"state":"worse"`, `"alpha":0.01`, `"rel":"metrics"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	var back Verdict
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back.Sentence("") != v.Sentence("") {
		t.Errorf("%q came back as %q", v.Sentence(""), back.Sentence(""))
	}
}

func TestOfScore(t *testing.T) {
	samples := func(from, by float64) (out []float64) {
		for i := range 20 {
			out = append(out, from+by*float64(i))
		}
		return out
	}
	c := canary.Config{Metrics: []canary.Metric{{Name: "queue", Groups: []string{"g"}, Critical: true}}}
	for name, tc := range map[string]struct {
		canary  []float64
		outcome Outcome
		says    string
	}{
		"worse":   {samples(50, 1), Fail, "score 0 of 100 (fail), queue is critical: 59.5 on average, baseline 19.5"},
		"alike":   {samples(10, 1), Pass, "score 100 of 100 (pass)"},
		"no data": {nil, Unsure, "queue is critical: no samples of the canary"},
	} {
		t.Run(name, func(t *testing.T) {
			v := OfScore(canary.Judge(c, map[string]canary.Samples{"queue": {Baseline: samples(10, 1), Canary: tc.canary}}))
			if v.Outcome != tc.outcome || !strings.Contains(v.Why(), tc.says) {
				t.Errorf("%s: %s; want %s: %s", v.Outcome, v.Why(), tc.outcome, tc.says)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"12.4 %": percent(0.1238), "0.3 %": percent(0.003), "0.03 %": percent(0.0003), "0.31 %": percent(0.00312), "0 %": percent(0), "100.0 %": percent(1),
		"1,204": count(1204), "7": count(7), "1,000,000": count(1_000_000),
		"480 ms": duration(0.48), "1230 ms": duration(1.23), "4.5 µs": duration(4.5e-6), "12 s": duration(12),
		"p < 0.001": chance(0.0001), "p = 0.005": chance(0.005),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := round(15_424); got != 16_000 {
		t.Errorf("15,424 is about %d, want 16,000", got)
	}
}
