// Package alarm watches the budgets of all objectives: it keeps the states of
// their alerts, and has people told when one begins or ends.
package alarm

import (
	"cmp"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/judge/burn"
)

// Home is whose alarm it is, in words that outlive the app.
type Home struct {
	Org     string      `json:"org"`
	Space   string      `json:"space"`
	SpaceID app.SpaceID `json:"space_id"`
	App     string      `json:"app"`
}

// Key names one alarm: a rule of an objective of an app.
type Key struct {
	App       app.ID
	Objective string
	Rule      string // "page-quick"
}

// Alarm is what is known of one rule.
type Alarm struct {
	Key
	Home     Home
	Severity burn.Severity
	burn.Alert

	// Begun is when the first rule of this severity began to fire, while this one
	// does, and First is that rule: people are told of all rules of a severity as
	// one alert.
	Begun time.Time
	First string

	Bounds Bounds
	Burn   Rates
	Budget Budget
	Change string // what changed last before it began, "" where nothing is known

	// Trouble is why it could not be looked at the last time; "" where it was.
	Trouble string
}

// Bounds are what a rule asks for.
type Bounds struct {
	Target      float64
	Factor      float64       // burn rate above which it alarms
	Long, Short time.Duration // windows
}

// Rates are burn rates as they were read; nil is not known, or not looked at.
type Rates struct{ Long, Short *float64 }

// Budget is what was left of the error budget when it was last asked for.
type Budget struct {
	Known bool
	Left  float64       // share; below 0: overspent
	Time  time.Duration // of everything failing
	At    time.Time
}

// Forgettable reports an alarm that nobody needs to remember: it does not fire, and
// its end was told before.
func (a Alarm) Forgettable() bool { return a.State == "" || a.State == burn.Inactive }

// alike reports alarms of the same state: one that is stored need not be stored
// again for the other.
func (a Alarm) alike(b Alarm) bool {
	return a.State == b.State && a.Since.Equal(b.Since) && a.Started.Equal(b.Started) && a.Silent.Equal(b.Silent) && a.Begun.Equal(b.Begun)
}

// shifted moves all that is counted from by as much as the clock jumped, so that
// times go on as they were lived.
func (a Alarm) shifted(by time.Duration) Alarm {
	for _, t := range []*time.Time{&a.Since, &a.Seen, &a.Started, &a.Silent, &a.Begun, &a.Budget.At} {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
	return a
}

// sorted orders alarms as people read them: what fires first, then by place.
func sorted(all []Alarm) []Alarm {
	rank := map[burn.State]int{burn.Firing: 0, burn.Pending: 1, burn.Resolved: 2}
	of := func(a Alarm) int {
		if r, ok := rank[a.State]; ok {
			return r
		}
		return 3
	}
	slices.SortStableFunc(all, func(a, b Alarm) int {
		return cmp.Or(of(a)-of(b), cmp.Compare(a.Home.Org, b.Home.Org), cmp.Compare(a.Home.Space, b.Home.Space), cmp.Compare(a.Home.App, b.Home.App),
			cmp.Compare(a.Objective, b.Objective), cmp.Compare(a.Bounds.Long, b.Bounds.Long))
	})
	return all
}
