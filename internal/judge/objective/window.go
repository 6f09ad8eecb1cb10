package objective

import (
	"fmt"
	"time"

	"naru/internal/app"
)

// Span is the time between two moments, the second not included.
type Span struct{ From, To time.Time }

// Length is how long a span is, never below zero.
func (s Span) Length() time.Duration { return max(s.To.Sub(s.From), 0) }

// Within cuts a span to what of it lies in another one.
func (s Span) Within(o Span) Span {
	if s.From.Before(o.From) {
		s.From = o.From
	}
	if s.To.After(o.To) {
		s.To = o.To
	}
	if s.To.Before(s.From) {
		s.To = s.From
	}
	return s
}

// Period is the window's whole period that now belongs to. A rolling one ends now;
// one of the calendar usually ends later. Days on which clocks are changed have
// 23 or 25 hours.
func Period(w app.Window, now time.Time) (Span, error) {
	if w.Rolling > 0 {
		return Span{now.Add(-w.Rolling.Std()), now}, nil
	}
	zone, err := w.Location()
	if err != nil {
		return Span{}, fmt.Errorf("load time zone %s: %w", w.Zone, err)
	}
	start := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) // a Monday, and the first of a quarter
	if w.Start != "" {
		if start, err = time.Parse(app.WallClock, w.Start); err != nil {
			return Span{}, fmt.Errorf("read start of window: %w", err)
		}
	}
	begin := func(k int) time.Time { return nth(w, start, k, zone) }
	k := int(now.Sub(begin(0)) / (w.Longest() + 24*time.Hour)) // a guess that is early, or late before start
	for begin(k).After(now) {
		k--
	}
	for !begin(k + 1).After(now) {
		k++
	}
	return Span{begin(k), begin(k + 1)}, nil
}

// nth is when the k-th period after start begins. A start on the 31st is the last
// day of months that have fewer.
func nth(w app.Window, start time.Time, k int, zone *time.Location) time.Time {
	k *= max(w.Every, 1)
	months := map[app.Calendar]int{app.Month: 1, app.Quarter: 3, app.Year: 12}[w.Calendar] * k
	days := map[app.Calendar]int{app.Day: 1, app.Week: 7}[w.Calendar] * k
	y, m, d := start.Date()
	if months != 0 {
		last := time.Date(y, m+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC).Day()
		d = min(d, last)
	}
	wall := time.Date(y, m+time.Month(months), d+days, start.Hour(), start.Minute(), 0, 0, time.UTC)
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, zone)
	_, offset := t.Zone()
	if shown := t.Add(time.Duration(offset) * time.Second); shown.Before(wall) {
		t = t.Add(wall.Sub(shown)) // clocks skip this moment: the period begins after it
	}
	return t
}
