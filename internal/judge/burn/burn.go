// Package burn says when an error budget goes so fast that somebody has to be
// told: alerts of two windows each, and what state they are in.
package burn

import (
	"fmt"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/judge/objective"
)

// Severity says how soon somebody has to look.
type Severity string

// The severities.
const (
	Page   Severity = "page"   // now, also at night
	Ticket Severity = "ticket" // in the next days
)

// Pair is a rule of two windows: the long one says that it matters, the short one
// that it is still so.
type Pair struct {
	Name        string // "page-quick"
	Severity    Severity
	Long, Short time.Duration
	Share       float64 // of the period's budget, used up within Long
}

// Factor is the burn rate at which the pair alarms in a period. The windows stay
// what they are in any period, the factor grows with it.
func (p Pair) Factor(period time.Duration) float64 {
	return p.Share * float64(period) / float64(p.Long)
}

// Scheme is the rules of an objective.
type Scheme []Pair

// Standard is the scheme of the SRE workbook in Sloth's form: 14.4, 6, 3 and 1 in 30
// days, 13.44, 5.6, 2.8 and 0.933 in 28.
func Standard() Scheme {
	return Scheme{
		{"page-quick", Page, time.Hour, 5 * time.Minute, 0.02},
		{"page-slow", Page, 6 * time.Hour, 30 * time.Minute, 0.05},
		{"ticket-quick", Ticket, 24 * time.Hour, 2 * time.Hour, 0.10},
		{"ticket-slow", Ticket, 72 * time.Hour, 6 * time.Hour, 0.10},
	}
}

// Weekly is the scheme for periods of a week, with Sloth's shares.
func Weekly() Scheme {
	s := Standard()
	for i, share := range []float64{0.08, 0.125, 0.20, 0.42} {
		s[i].Share = share
	}
	return s
}

const week = 7 * 24 * time.Hour

// SchemeOf is the scheme that suits a period: with the standard one a week's alerts
// would come when next to nothing is spent. In periods shorter than a week the
// windows are as much shorter as the period is.
func SchemeOf(period time.Duration) Scheme {
	switch {
	case period > 2*week:
		return Standard()
	case period >= week:
		return Weekly()
	}
	s := Weekly()
	for i := range s {
		s[i].Long, s[i].Short = scaled(s[i].Long, period), scaled(s[i].Short, period)
	}
	return s
}

// scaled is a window of a week's scheme in another period, to the second.
func scaled(window, period time.Duration) time.Duration {
	return max(time.Duration(float64(window)*float64(period)/float64(week)).Round(time.Second), time.Second)
}

// AtLeast is the scheme with windows that are not shorter than least: what is
// counted every few seconds cannot be seen within less. The burn rates stay.
func (s Scheme) AtLeast(least time.Duration) Scheme {
	out := slices.Clone(s)
	for i, p := range out {
		if p.Long < least {
			out[i].Long, out[i].Share = least, min(p.Share*float64(least)/float64(p.Long), 1)
		}
		out[i].Short = max(p.Short, least)
	}
	return out
}

// DefaultFor is how long a condition must hold before it fires, unless the short
// window is shorter.
const DefaultFor = time.Minute

// ProvenBad is the number of bad events that prove trouble however few events there
// were.
const ProvenBad = 5

// Rule is a pair made for an objective: all that its state machine needs.
type Rule struct {
	Pair
	Factor    float64
	Threshold float64       // share of bad events above which both windows must be
	For       time.Duration // how long it must hold before it fires
	MinEvents float64       // in the long window, unless ProvenBad of them are bad
}

// Omitted is a pair that was left out, and why.
type Omitted struct {
	Pair
	Reason string
}

// Rules makes the rules for a target and a period. Pairs that could never fire are
// left out and named. minEvents below 0 takes the least at which one bad event alone
// cannot alarm.
func (s Scheme) Rules(target float64, period time.Duration, minEvents float64) ([]Rule, []Omitted) {
	var rules []Rule
	var omitted []Omitted
	for _, p := range s {
		factor := p.Factor(period)
		r := Rule{Pair: p, Factor: factor, Threshold: factor * (1 - target), For: min(DefaultFor, p.Short), MinEvents: minEvents}
		switch {
		case p.Long > period:
			omitted = append(omitted, Omitted{p, fmt.Sprintf("its window of %s is longer than the period of %s", app.Days(p.Long), app.Days(period))})
			continue
		case r.Threshold >= 1:
			omitted = append(omitted, Omitted{p, fmt.Sprintf("it could never fire: %.4g times the allowed %s of bad events is %s; a target above %s has it",
				factor, objective.Percent(1-target), objective.Percent(r.Threshold), objective.Percent(1-1/factor))})
			continue
		}
		if minEvents < 0 {
			r.MinEvents = objective.FirstAlone(r.Threshold)
		}
		rules = append(rules, r)
	}
	return rules, omitted
}

// Absence is after how long without any event a service is called absent: as long as
// a total outage takes until the quickest rule fires.
func Absence(r Rule) time.Duration {
	d, _ := objective.Detection(r.Long, r.Threshold, 1)
	return (d + r.For).Round(time.Second)
}

// Reading is what both windows of a rule show at one moment.
type Reading struct{ Long, Short objective.Whole }

// Condition is what a reading says of a rule.
type Condition int

// What a reading may say.
const (
	Clear   Condition = iota // not above the threshold
	Breach                   // both windows are above it
	TooFew                   // above, on fewer events than prove anything
	Unknown                  // a window without events: nothing can be said
)

// Condition judges a reading.
func (r Rule) Condition(in Reading) Condition {
	above := func(w objective.Whole) bool { return 1-w.Ratio > r.Threshold+1e-12 }
	switch {
	case !in.Long.Known:
		return Unknown
	case !above(in.Long):
		return Clear
	case !in.Short.Known:
		return Unknown
	case !above(in.Short):
		return Clear
	case in.Long.Total > 0 && in.Long.Total < r.MinEvents && in.Long.Total-in.Long.Good < ProvenBad:
		return TooFew
	}
	return Breach
}
