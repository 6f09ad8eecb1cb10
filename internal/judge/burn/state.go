package burn

import (
	"fmt"
	"time"

	"naru/internal/app"
	"naru/internal/judge/objective"
)

// State is what an alert is in.
type State string

// The states.
const (
	Inactive State = "inactive"
	Pending  State = "pending"  // its condition holds, not yet for long enough
	Firing   State = "firing"   // somebody has to be told
	Resolved State = "resolved" // it fired, and is over; the next reading makes it Inactive
)

var next = map[State][]State{
	Inactive: {Pending, Firing},
	Pending:  {Inactive, Firing},
	Firing:   {Resolved},
	Resolved: {Inactive, Pending, Firing},
}

// CanBecome reports a legal move.
func (s State) CanBecome(to State) bool {
	for _, n := range next[s] {
		if n == to {
			return true
		}
	}
	return false
}

// States lists all of them.
func States() []State { return []State{Inactive, Pending, Firing, Resolved} }

// Alert is one rule's state. It is a value: it can be written down after each step
// and taken up by another process.
type Alert struct {
	State    State     `json:"state"`
	Since    time.Time `json:"since"`            // when the state began
	Seen     time.Time `json:"seen"`             // the latest reading
	Started  time.Time `json:"started,omitzero"` // when the condition began to hold
	Silent   time.Time `json:"silent,omitzero"`  // since when readings say nothing; zero: they do
	Reason   string    `json:"reason,omitempty"` // in one sentence, with numbers
	NotFired string    `json:"not_fired,omitempty"`
}

// Next takes a reading in. It is pure: now is the reading's moment. A reading that
// is older than the latest one changes nothing, for a clock was set back.
//
// A firing alert stays so while nothing is known: silence is no recovery. It ends
// once no reading has said anything for as long as its long window, because then no
// bad event is in it any more.
func (a Alert) Next(r Rule, in Reading, now time.Time) Alert {
	if a.State == "" {
		a.State, a.Since = Inactive, now
	}
	if now.Before(a.Seen) {
		return a
	}
	a.Seen = now
	c := r.Condition(in)
	if a.State == Resolved && c != Breach {
		a = a.become(Inactive, now)
	}
	a.NotFired = ""
	if c != Unknown {
		a.Silent = time.Time{}
	} else if a.Silent.IsZero() {
		a.Silent = now
	}
	switch {
	case c == Breach:
		return a.breach(r, in, now)
	case c == Unknown && a.State == Firing && now.Sub(a.Silent) < r.Long:
		return a
	case a.State == Firing:
		a = a.become(Resolved, now)
		a.Reason = over(c, r, in)
	case a.State == Pending:
		a = a.become(Inactive, now)
	}
	if c == TooFew {
		a.NotFired = fmt.Sprintf("%s bad of %s events in %s are too few to alarm (at least %s, or %d bad ones)",
			number(in.Long.Total-in.Long.Good), number(in.Long.Total), span(r.Long), number(r.MinEvents), ProvenBad)
	}
	return a
}

func (a Alert) breach(r Rule, in Reading, now time.Time) Alert {
	if a.State != Pending && a.State != Firing {
		a = a.become(Pending, now)
		a.Started = now
	}
	if a.State == Pending && now.Sub(a.Started) >= r.For {
		a = a.become(Firing, now)
	}
	a.Reason = fmt.Sprintf("%s of %s events in %s were bad, and %s in %s: the budget goes %.4g times as fast as it may (alarm at %.4g)",
		objective.Percent(1-in.Long.Ratio), number(in.Long.Total), span(r.Long), objective.Percent(1-in.Short.Ratio), span(r.Short),
		(1-in.Long.Ratio)/r.allowed(), r.Factor)
	return a
}

func (a Alert) become(s State, now time.Time) Alert {
	a.State, a.Since = s, now
	if s == Inactive {
		a.Started, a.Reason = time.Time{}, ""
	}
	return a
}

func (r Rule) allowed() float64 { return r.Threshold / r.Factor }

func over(c Condition, r Rule, in Reading) string {
	switch {
	case c == Unknown:
		return fmt.Sprintf("there was no traffic for %s: nothing is known of whether it works", span(r.Long))
	case in.Short.Known:
		return fmt.Sprintf("%s of events in %s are bad: below the alarm at %s", objective.Percent(1-in.Short.Ratio), span(r.Short), objective.Percent(r.Threshold))
	}
	return fmt.Sprintf("%s of events in %s were bad: below the alarm at %s", objective.Percent(1-in.Long.Ratio), span(r.Long), objective.Percent(r.Threshold))
}

// span writes a window: with minutes where it has some.
func span(d time.Duration) string {
	if d > 2*time.Minute && d%time.Minute != 0 {
		return d.String()
	}
	return app.Days(d)
}

func number(n float64) string { return fmt.Sprintf("%.0f", n) }

// Absent takes in when the latest event of all was seen. It fires once there was
// none for after, and is over with the first one.
func (a Alert) Absent(latest time.Time, after time.Duration, now time.Time) Alert {
	if a.State == "" {
		a.State, a.Since = Inactive, now
	}
	if now.Before(a.Seen) {
		return a
	}
	a.Seen = now
	silent := now.Sub(latest) >= after
	switch {
	case silent && a.State != Firing:
		a = a.become(Firing, now)
		a.Started = latest
		a.Reason = fmt.Sprintf("there was no event since %s (%s): either nobody comes, or nothing is counted", latest.UTC().Format(time.RFC3339), now.Sub(latest).Round(time.Second))
	case !silent && a.State == Firing:
		a = a.become(Resolved, now)
		a.Reason = "events are counted again"
	case !silent && a.State == Resolved:
		a = a.become(Inactive, now)
	}
	return a
}
