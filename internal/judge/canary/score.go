package canary

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Outcome is what a score means.
type Outcome string

// The outcomes.
const (
	Passed   Outcome = "pass"
	Marginal Outcome = "marginal"
	Failed   Outcome = "fail"
	Unsure   Outcome = "unsure" // too little data to say any of these
)

// Judgement is the score of all metrics.
type Judgement struct {
	Score   float64  `json:"score"` // 0 to 100
	Outcome Outcome  `json:"outcome"`
	Why     string   `json:"why,omitempty"` // what decided apart from the score
	Groups  []Group  `json:"groups,omitempty"`
	Results []Result `json:"results"`
}

// Group is the score of the metrics of one group.
type Group struct {
	Name   string  `json:"name"`
	Score  float64 `json:"score"`
	Nodata bool    `json:"nodata,omitempty"` // counts as 100
	Weight float64 `json:"weight"`
}

// score weighs results. Without the weights of groups that have no metrics it
// stays below 100: they are not given to the others.
func score(c Config, results []Result) Judgement {
	j := Judgement{Results: results}
	judged := slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Muted })
	if len(judged) == 0 {
		j.Outcome, j.Why = Unsure, "there is no metric to judge by"
		return j
	}
	j.Groups = groups(c.Weights, judged)
	sum, missing := 0.0, 0
	for _, g := range j.Groups {
		if g.Nodata {
			sum += g.Weight
		} else {
			sum += g.Score * g.Weight / 100
		}
	}
	for _, r := range judged {
		if r.Class == Nodata || r.Class == Error {
			missing++
		}
	}
	decisive := slices.IndexFunc(judged, func(r Result) bool { return r.Critical && (r.Class == High || r.Class == Low) })
	absent := slices.IndexFunc(judged, func(r Result) bool { return r.Critical && r.Class != Pass })
	switch {
	case decisive >= 0:
		j.Outcome, j.Why = Failed, fmt.Sprintf("%s is critical: %s", judged[decisive].Name, judged[decisive].Why)
	case absent >= 0:
		j.Outcome, j.Why = Unsure, fmt.Sprintf("%s is critical: %s", judged[absent].Name, judged[absent].Why)
	case 2*missing >= len(judged):
		j.Outcome, j.Why = Unsure, fmt.Sprintf("%d of %d metrics have no data", missing, len(judged))
	default:
		j.Score = math.Round(sum*100) / 100
		j.Outcome = outcome(c, j.Score)
	}
	return j
}

func outcome(c Config, score float64) Outcome {
	switch {
	case score >= c.Pass:
		return Passed
	case score >= c.Marginal:
		return Marginal
	}
	return Failed
}

// groups are the scores of all groups that have metrics, by name.
func groups(weights map[string]float64, judged []Result) []Group {
	type count struct{ good, all int }
	counts := map[string]count{}
	for _, r := range judged {
		for _, g := range r.Groups {
			n := counts[g]
			switch r.Class {
			case Pass:
				n.good++
				n.all++
			case High, Low, NodataFail:
				n.all++
			}
			counts[g] = n
		}
	}
	left, unlisted := 100.0, 0
	for _, w := range weights {
		left -= w
	}
	for name := range counts {
		if _, listed := weights[name]; !listed {
			unlisted++
		}
	}
	var out []Group
	for name, n := range counts {
		g := Group{Name: name, Nodata: n.all == 0, Weight: weights[name]}
		if n.all > 0 {
			g.Score = 100 * float64(n.good) / float64(n.all)
		}
		if _, listed := weights[name]; !listed {
			g.Weight = left / float64(unlisted)
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
