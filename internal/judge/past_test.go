package judge

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// pastBlocks draws blocks of two releases, with so many requests each.
func pastBlocks(seed uint64, old, next release, requests, n int) (out []Block) {
	r := rand.New(rand.NewPCG(seed, 23))
	for range n {
		out = append(out, Block{Canary: next.block(r, requests), Baseline: old.block(r, requests)})
	}
	return out
}

func TestPast(t *testing.T) {
	for name, tc := range map[string]struct {
		next             release
		requests, blocks int
		outcome          Outcome
		says             string // in the sentence
	}{
		"a canary of 30 seconds that fails": {with(func(g *release) { g.failed = 0.1 }), 160, 2, Fail, "% over 320 canary requests (p < 0.001)"},
		"fails, and hardly anybody came":    {with(func(g *release) { g.failed = 0.05 }), 20, 2, Unsure, "times as much would have shown by now"},
		"as good":                           {good, 2000, 40, Pass, "less than 1.5 times as bad"},
		"as good, and little traffic":       {good, 100, 3, Unsure, "1.5 times takes about"},
		"slower":                            {with(func(g *release) { g.slower = 3 }), 200, 4, Fail, "slower than 50 ms 95.2 % vs"},
		"restarts":                          {with(func(g *release) { g.crash = 100 }), 30, 40, Fail, "canary instances vs 0 in"},
		"nobody came":                       {good, 0, 10, Unsure, "nothing to compare"},
	} {
		t.Run(name, func(t *testing.T) {
			v := Past(Defaults(), bounds, pastBlocks(1, good, tc.next, tc.requests, tc.blocks), 0)
			t.Log(v.Sentence(""))
			if v.Outcome != tc.outcome || !strings.Contains(v.Why(), tc.says) {
				t.Errorf("%s: %s; want %s with %q", v.Outcome, v.Why(), tc.outcome, tc.says)
			}
			if len(v.Reasons) != 5 || v.Alpha != Alpha {
				t.Errorf("%d reasons at %v, want one of each metric that is a count", len(v.Reasons), v.Alpha)
			}
			for _, r := range v.Reasons {
				if math.IsNaN(r.P) || math.IsNaN(r.Visible) || math.IsNaN(r.Needed) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestThePastAsItWasMeasured is the canary that was the reason for this.
func TestThePastAsItWasMeasured(t *testing.T) {
	blocks := []Block{
		{Canary: Measured{Requests: 160, Failed: 8, Ran: 30}, Baseline: Measured{Requests: 180, Ran: 30}},
		{Canary: Measured{Requests: 154, Failed: 6}, Baseline: Measured{Requests: 170}},
	}
	want := "worse than before: 5xx 4.5 % vs 0 % over 314 canary requests (p < 0.001)"
	if got := Past(Defaults(), bounds, blocks, 0).Sentence(""); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, r := range Past(Defaults(), bounds, blocks, 0).Reasons {
		if r.Metric == "restarts" && strings.Contains(r.Text, "requests") {
			t.Errorf("%q counts requests", r.Text)
		}
	}
	stalled := []Block{{Canary: Measured{Requests: 160}, Baseline: Measured{Requests: 180}}, {Canary: Measured{Requests: 154, Failed: 14}, Baseline: Measured{Requests: 170}}}
	if v := Past(Defaults(), bounds, stalled, 0); v.Outcome != Unsure || !strings.Contains(v.Why(), "they came together") {
		t.Errorf("%s: %s; want it unsure about what came together", v.Outcome, v.Why())
	}
}

// TestFalseAlarmsOfThePast: all metrics that are counts, in one look.
func TestFalseAlarmsOfThePast(t *testing.T) {
	worse, all := 0, 400
	for seed := range uint64(all) {
		old := with(func(g *release) { g.crash = 20 })
		if Past(Defaults(), bounds, pastBlocks(seed, old, old, 100, 1+int(seed)%8), 0).Outcome == Fail {
			worse++
		}
	}
	t.Logf("%d of %d", worse, all)
	if worse > 10 { // 1 % and three standard deviations
		t.Errorf("%d of %d that are alike were called worse", worse, all)
	}
}

func TestCountsBesideAScore(t *testing.T) {
	score := func(o Outcome, code string) Verdict {
		n := 80.0
		return Verdict{Outcome: o, Score: &n, Reasons: []Reason{{Code: "score." + code, Metric: "score", Required: true}, {Code: "errors.High", Metric: "errors"}, {Code: "cpu.Pass", Metric: "cpu"}}}
	}
	counts := func(o Outcome) Verdict {
		return Verdict{Outcome: o, Alpha: Alpha, Reasons: []Reason{{Code: "errors.x", Metric: "errors", Text: "counted"}}}
	}
	for name, tc := range map[string]struct {
		counts, score Verdict
		needed        bool
		want          Outcome
	}{
		"both pass":                         {counts(Pass), score(Pass, "pass"), false, Pass},
		"too few samples":                   {counts(Pass), score(Unsure, "unsure"), false, Pass},
		"too few samples of one's own":      {counts(Pass), score(Unsure, "unsure"), true, Unsure},
		"marginal":                          {counts(Pass), score(Unsure, "marginal"), false, Unsure},
		"the score fails":                   {counts(Pass), score(Fail, "fail"), false, Fail},
		"the counts fail":                   {counts(Fail), score(Pass, "pass"), false, Fail},
		"too little traffic, a good score":  {counts(Unsure), score(Pass, "pass"), true, Unsure},
		"too little traffic and samples":    {counts(Unsure), score(Unsure, "unsure"), false, Unsure},
		"too little traffic, a score fails": {counts(Unsure), score(Fail, "fail"), false, Fail},
	} {
		t.Run(name, func(t *testing.T) {
			v := tc.counts.Beside(tc.score, tc.needed)
			if v.Outcome != tc.want || *v.Score != 80 || v.Alpha != Alpha {
				t.Errorf("%+v, want %s", v, tc.want)
			}
			if len(v.Reasons) != 3 || len(tc.counts.Reasons) != 1 {
				t.Errorf("%d reasons, want the counted errors, the score and CPU", len(v.Reasons))
			}
			for _, r := range v.Reasons {
				if r.Metric == "errors" && r.Text != "counted" {
					t.Error("errors are those of the samples")
				}
			}
		})
	}
}
