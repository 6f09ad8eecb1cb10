package account

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
)

// Timeline is what was changed about an app in a time, and how it did meanwhile.
type Timeline struct {
	From, To time.Time
	Span     time.Duration // how long before and after each change is looked at
	Course   Course
	All      Traffic
	Changes  []Change // in the order of time
	Suspect  int      // of Changes, -1: none
	Sentence string   // the most suspicious change first
	Notes    []string // what one has to know to read it
}

// The longest time that a timeline is of, and how many changes it has at most.
const (
	LongestSince = 35 * 24 * time.Hour
	MostChanges  = 500
)

// WhatChanged lines up what was changed about an app with its traffic.
func (t *Teller) WhatChanged(ctx context.Context, a app.App, since time.Duration) (Timeline, error) {
	if since < time.Minute || since > LongestSince {
		return Timeline{}, fault.New(fault.Invalid, "since", "%s is not a time from 1 minute to %d days", app.Days(since), int(LongestSince.Hours()/24)).WithTry("--since 24h")
	}
	now := t.now()
	// A young app's time is cut into finer slots than a day would be.
	line := Timeline{From: earlier(later(now.Add(-since), a.Created), now.Add(-time.Minute)), To: now, Suspect: -1}
	events, cut, err := t.events(ctx, a.Space, a.ID, line.From)
	if err != nil {
		return line, err
	}
	if cut {
		line.Notes = append(line.Notes, fmt.Sprintf("of more than %d events the latest are told", mostEvents))
	}
	rollouts, err := t.store.Rollouts(ctx, a.ID, 0)
	if err != nil {
		return line, err
	}
	line.Changes = changesOf(events, rollouts, line.From, t.numbers(ctx))
	if n := len(line.Changes) - MostChanges; n > 0 {
		line.Changes = line.Changes[n:]
		line.Notes = append(line.Notes, fmt.Sprintf("%d earlier changes are left out", n))
	}
	line.Span = spanOf(t.every)
	looks := line.looks(t.every)
	var cuts []time.Time
	for _, l := range looks {
		cuts = append(cuts, l.from, l.at, l.to)
	}
	if line.Course, err = t.course(ctx, a, line.From, now, &line.Notes, cuts...); err != nil {
		return line, err
	}
	line.compare(looks)
	return line, nil
}

// course reads traffic. Without metrics the rest can be told all the same.
func (t *Teller) course(ctx context.Context, a app.App, from, to time.Time, notes *[]string, cuts ...time.Time) (Course, error) {
	none := Course{From: from, Step: stepOf(to.Sub(from), t.every)}
	if t.series == nil {
		return none, nil
	}
	c, err := course(ctx, t.series, t.every, a, from, to, cuts...)
	if err != nil && ctx.Err() == nil && (fault.Is(err, fault.Unavailable) || fault.Is(err, fault.TooLarge)) {
		*notes = append(*notes, "traffic is not known: "+fault.Of(err).Message)
		return none, nil
	}
	return c, err
}

// look is the time before and after a change.
type look struct{ from, at, to time.Time }

// looks are the times to compare for each change. The sample that was next counts
// for what is after it: else what it brought would be in the time before, too.
func (l *Timeline) looks(every time.Duration) []look {
	out := make([]look, len(l.Changes))
	for i, c := range l.Changes {
		out[i] = look{c.At.Add(-l.Span), c.At, c.At.Add(l.Span)}
		// What went back is looked at while it was there: up to the sample that tells
		// of its end.
		if gone := c.Until.Add(every - time.Millisecond); c.Kind == Release && !c.Until.IsZero() && c.End != "live" && gone.Before(out[i].to) {
			out[i].to = gone
		}
	}
	return out
}

// compare looks at the time before and after each change, and finds the one that
// most likely made the app worse.
func (l *Timeline) compare(looks []look) {
	l.All = l.Course.Between(l.From, l.To)
	most := 0.0
	for i := range l.Changes {
		c, at := &l.Changes[i], looks[i]
		c.Before, c.After = l.Course.Between(at.from, at.at), l.Course.Between(at.at, at.to)
		weight, cause := causes[c.Kind]
		if !cause {
			continue
		}
		c.Worse, c.Why = worse(c.Before, c.After)
		if score := c.Worse * weight; score > most {
			most, l.Suspect = score, i
		}
	}
	l.Sentence = l.sentence()
}

// surely is the evidence from which something is called worse; harmful how many
// times as much has to be wrong.
const (
	surely  = 3.3 // about one in a thousand by chance
	harmful = 1.25
)

// worse weighs errors and latency after a change against those before it.
func worse(before, after Traffic) (evident float64, why string) {
	if before.Requests <= 0 || after.Requests <= 0 {
		return 0, ""
	}
	var parts []string
	e1, _ := before.Errors()
	e2, _ := after.Errors()
	if z := evidence(before.Failed, before.Requests, after.Failed, after.Requests); z >= surely && e2 > harmful*e1 {
		evident, parts = z, append(parts, fmt.Sprintf("errors went from %s to %s (%s of %s requests)", share(e1), share(e2), number(after.Failed), number(after.Requests)))
	}
	bucket := before.bucketOf(0.95)
	slow1, all1 := before.over(bucket)
	slow2, all2 := after.over(bucket)
	if z := evidence(slow1, all1, slow2, all2); z >= surely && slow2/all2 > harmful*slow1/all1 {
		p1, _ := before.Quantile(0.99)
		p2, _ := after.Quantile(0.99)
		m1, _ := before.Quantile(0.5)
		m2, _ := after.Quantile(0.5)
		evident, parts = max(evident, z), append(parts, fmt.Sprintf("p50 went from %s to %s and p99 from %s to %s", millis(m1), millis(m2), millis(p1), millis(p2)))
	}
	return evident, strings.Join(parts, "; ")
}

// sentence says what a tired person wants to know first.
func (l *Timeline) sentence() string {
	at := func(c Change) string { return c.At.UTC().Format("15:04:05") }
	changed := slices.ContainsFunc(l.Changes, func(c Change) bool { _, cause := causes[c.Kind]; return cause })
	errors, served := l.All.Errors()
	standing := "no request came"
	if served {
		p99, _ := l.All.Quantile(0.99)
		standing = fmt.Sprintf("%s of %s requests failed, p99 %s", share(errors), number(l.All.Requests), millis(p99))
	}
	switch {
	case l.Suspect >= 0:
		c := l.Changes[l.Suspect]
		text := fmt.Sprintf("Most suspicious: %s by %s at %s UTC: %s", c.Text, c.Actor, at(c), c.Why)
		if c.End != "" && c.End != "live" {
			text += "; it " + c.End
		}
		return text + "."
	case !changed:
		return fmt.Sprintf("Nothing was changed in this time; %s.", standing)
	}
	for _, c := range slices.Backward(l.Changes) {
		if c.Kind == Back {
			return fmt.Sprintf("No change made the app as a whole visibly worse (%s), but one went back at %s UTC: %s.", standing, at(c), c.Text)
		}
	}
	return fmt.Sprintf("No change made it visibly worse: %s.", standing)
}

// share prints a share of requests: 12.4 %, 0.031 %.
func share(v float64) string {
	switch {
	case v == 0:
		return "0 %"
	case v >= 0.1 || v < 0:
		return fmt.Sprintf("%.1f %%", 100*v)
	}
	return fmt.Sprintf("%.2g %%", 100*v)
}

// number prints a count of requests with its thousands apart.
func number(v float64) string {
	n := int64(math.Round(v))
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// millis prints how long an answer took.
func millis(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
}
