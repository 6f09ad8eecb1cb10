// Package budget decides what may be changed while so much of an error budget is
// left: everything, canaries only, or nothing but what makes it better.
package budget

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"naru/internal/fault"
	"naru/internal/judge/objective"
)

// Tier is how much may be changed.
type Tier string

// The tiers, from the freest.
const (
	Free   Tier = "free"
	Warn   Tier = "warn"   // everything, and it is said that the budget runs out
	Canary Tier = "canary" // new releases as canaries only
	Freeze Tier = "freeze" // no new features
)

var order = []Tier{Free, Warn, Canary, Freeze}

// rank of a tier; one that is not known, as of an objective seen the first time, is
// free.
func (t Tier) rank() int { return max(slices.Index(order, t), 0) }

// Policy is a space's: the shares of the budget below which a tier begins. A tier is
// left only when Margin more is left again, so that one does not enter and leave it
// with each request.
type Policy struct {
	Warn   float64 `json:"warn"`   // share left, 0 to 1; -1: the tier is not used
	Canary float64 `json:"canary"` //
	Freeze float64 `json:"freeze"` //
	Margin float64 `json:"margin"`
}

// Standard warns below half of the budget, wants canaries below a tenth and freezes
// when nothing is left.
var Standard = Policy{Warn: 0.5, Canary: 0.1, Freeze: 0, Margin: 0.1}

// rounding is less than anybody means: 0.05 + 0.1 is above 0.15.
const rounding = 1e-9

// Off is a tier's share when a policy does not use it.
const Off = -1

// Check refuses thresholds that contradict each other.
func (p Policy) Check(field string) error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fault.New(fault.Invalid, field+key, format, args...).WithTry("warn 50%%, canary 10%%, freeze 0%%, margin 10%%"))
	}
	used := []float64{}
	for _, t := range []struct {
		key string
		at  float64
	}{{".warn", p.Warn}, {".canary", p.Canary}, {".freeze", p.Freeze}} {
		switch {
		case t.at == Off:
		case !(t.at >= 0 && t.at <= 1):
			bad(t.key, "%v is not a share of the budget from 0 %% to 100 %%", t.at)
		default:
			used = append(used, t.at)
		}
	}
	for i := 1; i < len(used); i++ {
		if used[i] > used[i-1] {
			bad("", "a stricter tier begins at more budget (%s) than a freer one (%s)", objective.Percent(used[i]), objective.Percent(used[i-1]))
		}
	}
	if !(p.Margin >= 0 && p.Margin <= 1) {
		bad(".margin", "%v is not a share from 0 %% to 100 %%", p.Margin)
	}
	return errors.Join(errs...)
}

// tier is that of an objective with so much budget left, which was in another one
// before. The last tier begins when its share is reached, the others below theirs.
func (p Policy) tier(before Tier, left float64) Tier {
	at := Free
	for _, t := range []struct {
		tier  Tier
		begin float64
	}{{Warn, p.Warn}, {Canary, p.Canary}, {Freeze, p.Freeze}} {
		if t.begin == Off {
			continue
		}
		end := t.begin
		if before.rank() >= t.tier.rank() {
			end = min(end+p.Margin, 1)
		}
		if left < end-rounding || t.tier == Freeze && left <= t.begin {
			at = t.tier
		}
	}
	return at
}

// Standing is where an objective stands.
type Standing struct {
	Objective string
	Known     bool
	Target    float64
	Measured  float64
	Left      float64 // share of the budget; below 0: overspent
	LeftTime  string  // the same in words: "-12.3 min"
	Window    string  // "28d"
}

// StandingOf reads it off a report.
func StandingOf(r objective.Report) Standing {
	return Standing{
		Objective: r.Objective.Name, Known: r.Known, Target: r.Target, Measured: r.Ratio,
		Left: r.Left, LeftTime: objective.Minutes(r.LeftTime()), Window: r.Objective.Window.String(),
	}
}

// String says it with its numbers.
func (s Standing) String() string {
	if !s.Known {
		return fmt.Sprintf("%s: nothing is known over %s", s.Objective, s.Window)
	}
	return fmt.Sprintf("%s: %s measured, %s wanted over %s, %s of the budget left (%s)",
		s.Objective, objective.Percent(s.Measured), objective.Percent(s.Target), s.Window, objective.Percent(s.Left), s.LeftTime)
}

// Tiers is the tier of each objective, by name. It is what has to be kept from one
// decision to the next.
type Tiers map[string]Tier

// Next is the tiers after looking again. An objective of which nothing is known is
// free: a freeze must not come of a broken counter, nor stay because of one.
func (p Policy) Next(before Tiers, now []Standing) Tiers {
	out := Tiers{}
	for _, s := range now {
		out[s.Objective] = Free
		if s.Known {
			out[s.Objective] = p.tier(before[s.Objective], s.Left)
		}
	}
	return out
}

// Strictest is the tier of all objectives together.
func (t Tiers) Strictest() Tier {
	strictest := Free
	for _, tier := range slices.Collect(maps.Values(t)) {
		if tier.rank() > strictest.rank() {
			strictest = tier
		}
	}
	return strictest
}
