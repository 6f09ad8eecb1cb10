// Package dora works out how often and how well software is delivered, in the
// terms of the DORA reports, from what happened.
package dora

import (
	"math"
	"slices"
	"time"
)

// Scope is whose figures are asked for; "" means all of them.
type Scope struct{ Org, Space, App string }

func (s Scope) has(o Scope) bool {
	return (s.Org == "" || s.Org == o.Org) && (s.Space == "" || s.Space == o.Space) && (s.App == "" || s.App == o.App)
}

// Deployment is a rollout that ended, well or not. One that nobody was served by,
// because its build or start failed, is none.
type Deployment struct {
	ID string
	Of Scope
	At time.Time // when all users had it; when it was given up, if they never did

	Live    bool        // all users had it at some time
	Back    time.Time   // when users were back on what was before; zero: they are not
	Commits []time.Time // of the commits that no deployment had before
	Fixes   string      // id of the deployment whose failure it mends
	Rework  bool        // unplanned: a declared fix of what users saw
}

// Incident is trouble that users had.
type Incident struct {
	Of       Scope
	Opened   time.Time
	Restored time.Time // zero: it goes on
	Change   string    // id of the deployment that caused it; "": nobody said
}

// CauseWindow is how long after a deployment an incident of its app that names no
// cause is put down to it.
const CauseWindow = 24 * time.Hour

// Span is a median with what it is of.
type Span struct {
	N      int
	Median time.Duration // only with N > 0
	P90    time.Duration // durations of trouble are skewed: the worst tenth says more than a mean
	Band   Band
}

// Rate is a share with what it is of.
type Rate struct {
	N, Of int
	Band  Band
}

// Share is N of Of, 0 where there is nothing.
func (r Rate) Share() float64 {
	if r.Of == 0 {
		return 0
	}
	return float64(r.N) / float64(r.Of)
}

// Band is where a figure lies among those of the reports; "" where nothing is known.
type Band string

// Bands of frequency, of durations and of shares.
const (
	Daily     Band = "daily"
	Weekly    Band = "weekly"
	Monthly   Band = "monthly"
	Yearly    Band = "yearly"
	Day       Band = "less than a day"
	Week      Band = "less than a week"
	Month     Band = "less than a month"
	SixMonths Band = "less than six months"
	Longer    Band = "six months or more"
	Rare      Band = "0-15%"
	Often     Band = "16-45%"
	Usual     Band = "46% or more"
)

// Frequency is how often something was deployed.
type Frequency struct {
	N           int     // deployments that went live
	Weeks       int     // whole weeks looked at; those without deployments count
	DaysPerWeek float64 // median of the days of a week with a deployment
	PerMonth    float64 // median of the deployments in 30 days
	Band        Band
}

// Report is the figures of a scope over a time.
type Report struct {
	Scope     Scope
	From, To  time.Time
	Frequency Frequency
	LeadTime  Span // commit to live; commits with a time after it are left out
	LeftOut   int  // such commits
	Failures  Rate // of deployments: went back, were mended by another, or caused an incident
	Restore   Span // of incidents, whatever caused them
	Recovery  Span // of failed deployments: back, or restored after the incident
	Rework    Rate // of deployments: unplanned fixes
	Open      int  // incidents that go on; they are in no median
}

// Figures works out a report of from <= t < to. Deployments and incidents may be of
// other scopes and times and in any order; each is taken by its own time.
func Figures(scope Scope, from, to time.Time, deployments []Deployment, incidents []Incident) Report {
	r := Report{Scope: scope, From: from, To: to}
	within := func(of Scope, at time.Time) bool { return scope.has(of) && !at.Before(from) && at.Before(to) }

	failed, mended := causes(deployments, incidents), map[string]bool{}
	for _, d := range deployments {
		if d.Fixes != "" {
			mended[d.Fixes] = true
		}
	}
	var lead, restore, recovery []time.Duration
	var live []time.Time
	for _, d := range deployments {
		if !within(d.Of, d.At) {
			continue
		}
		r.Failures.Of++
		r.Rework.Of++
		if d.Rework || d.Fixes != "" {
			r.Rework.N++
		}
		caused := failed[d.ID]
		if !d.Live || !d.Back.IsZero() || mended[d.ID] || len(caused) > 0 {
			r.Failures.N++
		}
		switch took := d.Back.Sub(d.At); {
		case len(caused) > 0: // the incident tells how long users suffered
			for _, i := range caused {
				if !i.Restored.IsZero() {
					recovery = append(recovery, max(i.Restored.Sub(i.Opened), 0))
				}
			}
		case d.Live && !d.Back.IsZero():
			recovery = append(recovery, max(took, 0))
		}
		if !d.Live {
			continue
		}
		live = append(live, d.At)
		for _, c := range d.Commits {
			if took := d.At.Sub(c); took > 0 {
				lead = append(lead, took)
			} else {
				r.LeftOut++
			}
		}
	}
	for _, i := range incidents {
		switch {
		case !within(i.Of, i.Opened):
		case i.Restored.IsZero():
			r.Open++
		default:
			restore = append(restore, max(i.Restored.Sub(i.Opened), 0))
		}
	}
	r.Frequency = frequency(live, from, to)
	r.LeadTime, r.Restore, r.Recovery = span(lead), span(restore), span(recovery)
	r.Failures.Band = r.Failures.band()
	return r
}

// causes is the incidents of each deployment: those that name it, and those that
// name none and began soon after it, of which the latest before it is taken.
func causes(deployments []Deployment, incidents []Incident) map[string][]Incident {
	out := map[string][]Incident{}
	for _, i := range incidents {
		id := i.Change
		if id == "" {
			var latest time.Time
			for _, d := range deployments {
				after := i.Opened.Sub(d.At)
				if d.Live && d.Of == i.Of && after >= 0 && after < CauseWindow && !d.At.Before(latest) {
					id, latest = d.ID, d.At
				}
			}
		}
		if id != "" {
			out[id] = append(out[id], i)
		}
	}
	return out
}

const (
	day   = 24 * time.Hour
	week  = 7 * day
	month = 30 * day
)

// frequency counts back from the end, so that the latest week is a whole one.
func frequency(live []time.Time, from, to time.Time) Frequency {
	f := Frequency{N: len(live), Weeks: int(to.Sub(from) / week)}
	if f.Weeks < 1 {
		return f
	}
	days := make([]map[int64]bool, f.Weeks)
	months := make([]float64, max(int(to.Sub(from)/month), 1))
	for _, at := range live {
		ago := to.Sub(at) - 1 // a deployment exactly a week ago is of the latest week
		if k := int(ago / week); k < f.Weeks {
			if days[k] == nil {
				days[k] = map[int64]bool{}
			}
			days[k][int64(ago%week/day)] = true
		}
		if k := int(ago / month); k < len(months) {
			months[k]++
		}
	}
	perWeek := make([]float64, f.Weeks)
	for k, d := range days {
		perWeek[k] = float64(len(d))
	}
	f.DaysPerWeek, f.PerMonth = median(perWeek), median(months)
	switch {
	case f.DaysPerWeek >= 3:
		f.Band = Daily
	case f.DaysPerWeek >= 1:
		f.Band = Weekly
	case f.PerMonth >= 1:
		f.Band = Monthly
	default:
		f.Band = Yearly
	}
	return f
}

func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

func span(v []time.Duration) Span {
	if len(v) == 0 {
		return Span{}
	}
	slices.Sort(v)
	n := len(v)
	s := Span{N: n, Median: v[n/2], P90: v[int(math.Ceil(0.9*float64(n)))-1]}
	if n%2 == 0 {
		s.Median = v[n/2-1] + (v[n/2]-v[n/2-1])/2
	}
	hours := s.Median.Hours()
	switch {
	case hours < 24:
		s.Band = Day
	case hours < 168:
		s.Band = Week
	case hours < 730:
		s.Band = Month
	case hours < 4380:
		s.Band = SixMonths
	default:
		s.Band = Longer
	}
	return s
}

func (r Rate) band() Band {
	switch share := r.Share(); {
	case r.Of == 0:
		return ""
	case share <= 0.15:
		return Rare
	case share < 0.46:
		return Often
	}
	return Usual
}
