package canary

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// results reads "g1: P H; g2: N!": P pass, H high, L low, N no data, F no data
// where it must have some, E error, M muted, and ! decides alone.
func results(t testing.TB, text string) []Result {
	t.Helper()
	classes := map[byte]Class{'P': Pass, 'H': High, 'L': Low, 'N': Nodata, 'F': NodataFail, 'E': Error}
	var out []Result
	for part := range strings.SplitSeq(text, ";") {
		group, list, ok := strings.Cut(part, ":")
		if !ok {
			group, list = "g", part
		}
		for word := range strings.FieldsSeq(list) {
			class, known := classes[word[0]]
			if !known {
				t.Fatalf("what is %q?", word)
			}
			out = append(out, Result{
				Name: fmt.Sprint("m", len(out)), Groups: []string{strings.TrimSpace(group)}, Class: class, Why: "because",
				Critical: strings.Contains(word, "!"), Muted: strings.Contains(word, "M"),
			})
		}
	}
	return out
}

func TestPublishedScores(t *testing.T) {
	for name, tc := range map[string]struct {
		metrics string
		weights map[string]float64
		score   float64
		outcome Outcome
	}{
		"one passes":                         {"P", nil, 100, Passed},
		"one fails":                          {"H", nil, 0, Failed},
		"no data":                            {"N", nil, 0, Unsure},
		"a group without data counts as 100": {"g1: P P; g2: N", nil, 100, Passed},
		"half":                               {"P H", nil, 50, Failed},
		"a third":                            {"P H L", nil, 33.33, Failed},
		"three quarters":                     {"g1: P P; g2: H", map[string]float64{"g1": 75, "g2": 25}, 75, Marginal},
		"half of half":                       {"g1: P H; g2: H", map[string]float64{"g1": 50, "g2": 50}, 25, Failed},
		"no data beside":                     {"g1: P N; g2: H", map[string]float64{"g1": 50, "g2": 50}, 50, Failed},
		"a critical one":                     {"P H!", nil, 0, Failed},
		"a critical one that passes":         {"L P!", nil, 50, Failed},
		"a critical one without data; the original says failed": {"P N!", nil, 0, Unsure},
		"light group":                                         {"g1: H L P; g2: H", map[string]float64{"g1": 15, "g2": 85}, 5, Failed},
		"only errors; the original says 100":                  {"E", nil, 0, Unsure},
		"one of two is an error; the original says 100":       {"P E", nil, 0, Unsure},
		"one of three is an error":                            {"P P E", nil, 100, Passed},
		"no data where it must be":                            {"F P", nil, 50, Failed},
		"weight of a group that is not there is lost":         {"g1: P", map[string]float64{"g1": 60, "g2": 40}, 60, Failed},
		"an unlisted group gets what is left":                 {"g1: P; g2: H", map[string]float64{"g1": 100}, 100, Passed},
		"weights over 100, which Problems refuses, as it was": {"g1: P; g2: P", map[string]float64{"g1": 120}, 100, Passed},
		"no metrics":                   {"", nil, 0, Unsure},
		"muted ones are not seen":      {"P HM!", nil, 100, Passed},
		"only muted ones":              {"PM", nil, 0, Unsure},
		"marginal":                     {"P P P P H", nil, 80, Marginal},
		"exactly what passes":          {"P P P P P P P P P H", nil, 90, Passed},
		"exactly what is marginal":     {"P P P H", nil, 75, Marginal},
		"failure goes before no data":  {"H! N N N", nil, 0, Failed},
		"half without data is no word": {"P P N N", nil, 0, Unsure},
	} {
		t.Run(name, func(t *testing.T) {
			j := score(Config{Weights: tc.weights}.Filled(), results(t, tc.metrics))
			if j.Score != tc.score || j.Outcome != tc.outcome {
				t.Errorf("%v, %s (%s); want %v, %s", j.Score, j.Outcome, j.Why, tc.score, tc.outcome)
			}
			if j.Outcome == Unsure && j.Why == "" {
				t.Error("unsure without a reason")
			}
		})
	}
}

func TestGroupsWithoutDataAreShownAsZero(t *testing.T) {
	j := score(Config{}.Filled(), results(t, "g1: P P; g2: N"))
	if len(j.Groups) != 2 || j.Groups[0].Score != 100 || j.Groups[1].Score != 0 || !j.Groups[1].Nodata {
		t.Errorf("groups %+v", j.Groups)
	}
}

func TestProblemsNameFieldAndValue(t *testing.T) {
	for want, c := range map[string]Config{
		"weights sum to 120":     {Weights: map[string]float64{"a": 120}},
		"pass 50, marginal 75":   {Pass: 50},
		"confidence 1.5":         {Confidence: 1.5},
		"tolerance -1":           {Tolerance: -1},
		"minimum -1":             {Minimum: -1},
		"metrics[1].name":        {Metrics: []Metric{{Name: "a"}, {Name: "a"}}},
		"metrics[0].name":        {Metrics: []Metric{{}}},
		"metrics[0].direction":   {Metrics: []Metric{{Name: "a", Direction: "up"}}},
		"metrics[0].effect.meas": {Metrics: []Metric{{Name: "a", Effect: Effect{Measure: "x"}}}},
		"metrics[0].outliers":    {Metrics: []Metric{{Name: "a", Outliers: -1}}},
	} {
		t.Run(want, func(t *testing.T) {
			if got := strings.Join(c.Problems(), "\n"); !strings.Contains(got, want) {
				t.Errorf("%q, want it to name %q", got, want)
			}
		})
	}
	if got := (Config{Metrics: []Metric{{Name: "a"}}}).Problems(); len(got) != 0 {
		t.Errorf("problems of a good one: %q", got)
	}
}

// TestThousandMetricsManyLooks: a thousand metrics of a canary that is like its
// baseline, looked at twice, do not fail; without correction
// there is hardly a look without. One that is a third higher is still found.
func TestThousandMetricsManyLooks(t *testing.T) {
	const metrics, looks, points = 1000, 2, 20
	normal := func(r *rand.Rand, mean float64, n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = mean + r.NormFloat64()
		}
		return v
	}
	r := rand.New(rand.NewPCG(1, 2))
	failed := map[bool]int{}
	rollouts := 2
	if testing.Short() {
		rollouts = 1 // a million differences each, slow under the race detector
	}
	for range rollouts {
		c := Config{Metrics: make([]Metric, metrics)}
		samples := map[string]Samples{}
		for i := range c.Metrics {
			c.Metrics[i] = Metric{Name: fmt.Sprint(i), Groups: []string{"all"}, Direction: Increase}
		}
		bad := map[bool]bool{}
		for look := range looks {
			for _, m := range c.Metrics {
				s := samples[m.Name]
				s.Baseline = append(s.Baseline, normal(r, 10, points)...)
				s.Canary = append(s.Canary, normal(r, 10, points)...)
				samples[m.Name] = s
			}
			c.Look = look + 1
			for _, c.Correct = range []bool{false, true} {
				for _, result := range Judge(c, samples).Results {
					bad[c.Correct] = bad[c.Correct] || result.Class == High
				}
			}
		}
		for correct := range bad {
			if bad[correct] {
				failed[correct]++
			}
		}
		samples["0"] = Samples{Baseline: normal(r, 10, 60), Canary: normal(r, 13, 60)}
		if j := Judge(c, samples); j.Results[0].Class != High {
			t.Errorf("a third more was not found: %+v", j.Results[0])
		}
	}
	if failed[true] > 0 || failed[false] < rollouts {
		t.Errorf("of %d rollouts that were alike %d failed corrected, %d not", rollouts, failed[true], failed[false])
	}
}

func TestJudgeSaysNothingByWantOfData(t *testing.T) {
	c := Config{Metrics: []Metric{{Name: "a", Groups: []string{"g"}}, {Name: "b", Groups: []string{"g"}}}}
	j := Judge(c, map[string]Samples{"a": {Baseline: set(t, "1..9"), Canary: set(t, "1..9")}})
	if j.Outcome != Unsure || math.Signbit(j.Score) || j.Score != 0 {
		t.Errorf("%+v, want unsure", j)
	}
}
