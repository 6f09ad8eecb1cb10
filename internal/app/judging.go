package app

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What happens at a judged step that stays unsure for Judging.Longest.
const (
	UnsurePromote = "promote" // it goes on, and says so; the guard and the watch are what is left
	UnsureAsk     = "ask"     // it pauses for a person
	UnsureWait    = "wait"    // it goes on comparing, MaxJudging at most, then it asks
)

// What a canary is compared with.
const (
	BaselineRunning = "running" // the groups that it takes the place of, as they are
	BaselineFresh   = "fresh"   // a group of what ran before, made with the canary and as large
)

// Judging says how judged steps of a rollout come to their end. Zero fields take
// defaults.
type Judging struct {
	Unsure   string         `json:"unsure,omitempty"`   // promote, ask or wait; "": promote
	Longest  Duration       `json:"longest,omitempty"`  // after what time unsure is an answer; 0: 10m
	Baseline string         `json:"baseline,omitempty"` // running or fresh; "": running
	Mirror   *bool          `json:"mirror,omitempty"`   // GET and HEAD change nothing, so copies of them may be sent to both sides; nil: no
	Metrics  []JudgedMetric `json:"metrics,omitempty"`  // beside those that naru measures itself
}

// JudgedMetric is a metric of an app's own that canary and baseline are compared by.
type JudgedMetric struct {
	Name      string  `json:"name"`
	Query     string  `json:"query"`               // PromQL of one value; $release, $group and $app stand for those of a side
	Direction string  `json:"direction,omitempty"` // which way is worse: up, down; "": either
	Weight    float64 `json:"weight,omitempty"`    // of the score, beside those of others; 0: 1
	Critical  bool    `json:"critical,omitempty"`  // it alone makes the score 0
	Effect    float64 `json:"effect,omitempty"`    // times the baseline's mean that begins to matter; 0: any change that is proven
}

// Bounds of judging.
const (
	DefaultLongest   = Duration(10 * time.Minute)
	MaxJudging       = Duration(24 * time.Hour)
	MinJudging       = Duration(time.Second)
	MaxJudgedMetrics = 20
)

// Filled returns it with its defaults in place of what it leaves open.
func (j Judging) Filled() Judging {
	j.Unsure, j.Baseline = cmp.Or(j.Unsure, UnsurePromote), cmp.Or(j.Baseline, BaselineRunning)
	j.Longest = cmp.Or(j.Longest, DefaultLongest)
	return j
}

// over fills what it leaves open from another one.
func (j Judging) over(base Judging) Judging {
	j.Unsure, j.Baseline, j.Longest = cmp.Or(j.Unsure, base.Unsure), cmp.Or(j.Baseline, base.Baseline), cmp.Or(j.Longest, base.Longest)
	if j.Mirror == nil {
		j.Mirror = base.Mirror
	}
	if j.Metrics == nil {
		j.Metrics = base.Metrics
	}
	return j
}

// Copies reports that safe requests may be copied.
func (j Judging) Copies() bool { return j.Mirror != nil && *j.Mirror }

// judgedName fits a label and a code such as queue.high.
var judgedName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// taken are the names of what naru measures itself.
var taken = []string{"errors", "latency_p50", "latency_p95", "latency_p99", "cpu", "memory", "restarts", "mirrored", "mirrored_p95", "score"}

// Check returns what is wrong with it, each with the field it is about and the
// way out.
func (j Judging) Check(bad func(key, try, format string, args ...any)) {
	if !slices.Contains([]string{"", UnsurePromote, UnsureAsk, UnsureWait}, j.Unsure) {
		bad(".unsure", "promote, ask or wait", "%q is not what may happen to a step that stays unsure", j.Unsure)
	}
	if !slices.Contains([]string{"", BaselineRunning, BaselineFresh}, j.Baseline) {
		bad(".baseline", "running or fresh", "%q is not what a canary may be compared with", j.Baseline)
	}
	if j.Longest != 0 && (j.Longest < MinJudging || j.Longest > MaxJudging) {
		bad(".longest", "10m", "%s is not between %s and %s", j.Longest, MinJudging, MaxJudging)
	}
	if len(j.Metrics) > MaxJudgedMetrics {
		bad(".metrics", "leave some out", "%d metrics are more than %d", len(j.Metrics), MaxJudgedMetrics)
	}
	seen := map[string]bool{}
	for i, m := range j.Metrics {
		at := fmt.Sprintf(".metrics[%d]", i)
		switch {
		case !judgedName.MatchString(m.Name):
			bad(at+".name", "queue_depth", "%q is not a name: small letters, digits and _, at most 63", m.Name)
		case slices.Contains(taken, m.Name):
			bad(at+".name", "another name", "%q is what naru measures itself", m.Name)
		case seen[m.Name]:
			bad(at+".name", "another name", "two metrics are named %q", m.Name)
		}
		seen[m.Name] = true
		if strings.TrimSpace(m.Query) == "" || len(m.Query) > MaxQuery {
			bad(at+".query", "sum(queue_depth)", "needs to be PromQL of at most %d bytes", MaxQuery)
		}
		if !slices.Contains([]string{"", "up", "down"}, m.Direction) {
			bad(at+".direction", "up or down, or nothing for either", "%q is not a way that is worse", m.Direction)
		}
		if !(m.Weight >= 0) || m.Weight > 1000 {
			bad(at+".weight", "1", "%v is not between 0 and 1000", m.Weight)
		}
		if m.Effect != 0 && !(m.Effect > 1) || math.IsInf(m.Effect, 0) {
			bad(at+".effect", "1.2", "%v is not above 1: times the baseline's mean", m.Effect)
		}
	}
}
