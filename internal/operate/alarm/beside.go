package alarm

import (
	"context"
	"time"

	"naru/internal/judge/burn"
	"naru/internal/judge/objective"
)

// Bounds of what is found out beside an alert: neither may keep it from being told.
const (
	asideTime  = 5 * time.Second
	asideFresh = 5 * time.Minute // what was left of a budget is asked for again after
)

// beside says of what fires when its group began, and what one wants to know with
// it: what is left of the budget, and what changed before.
func (w *Watcher) beside(ctx context.Context, after map[Key]Alarm, rules []rule, now time.Time) {
	of := make(map[Key]rule, len(rules))
	for _, r := range rules {
		of[r.key] = r
	}
	left := map[Key]Budget{}
	for _, all := range grouped(after) {
		begun, first := begin(all)
		for _, a := range all {
			r, there := of[a.Key]
			switch {
			case a.State != burn.Firing && a.State != burn.Resolved:
				a.Begun, a.First, a.Change, a.Budget = time.Time{}, "", "", Budget{}
			case a.State == burn.Firing && a.Begun.IsZero():
				a.Begun, a.First = begun, first
				a.Change = w.changed(ctx, a)
				a.Budget = Budget{}
			}
			if ended := a.State == burn.Resolved && w.alarms[a.Key].State == burn.Firing; there && (ended || a.State == burn.Firing && now.Sub(a.Budget.At) >= asideFresh) {
				a.Budget = w.left(ctx, r, now, left)
			}
			after[a.Key] = a
		}
	}
}

// begin is when the first of a group's rules began to fire, and which that is.
func begin(all []Alarm) (time.Time, string) {
	var known, started Alarm
	for _, a := range all {
		switch {
		case a.State != burn.Firing:
		case !a.Begun.IsZero():
			known = a
		case started.State == "" || a.Started.Before(started.Started):
			started = a
		}
	}
	if known.State != "" {
		return known.Begun, known.First
	}
	return started.Started, started.Key.Rule
}

func (w *Watcher) changed(ctx context.Context, a Alarm) string {
	ctx, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	change, err := w.history.LastChange(ctx, a.App, a.Begun)
	if err != nil {
		w.log.WarnContext(ctx, "find out what changed before an alert", "app", a.Home.App, "error", err)
	}
	return change
}

// left asks what is left of an objective's budget, once for all of its rules.
func (w *Watcher) left(ctx context.Context, r rule, now time.Time, known map[Key]Budget) Budget {
	key := Key{App: r.key.App, Objective: r.key.Objective}
	if b, ok := known[key]; ok {
		return b
	}
	ctx, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	b := Budget{At: now}
	report, err := objective.Judge(ctx, w.counts, r.key.App, r.promise.Objective, r.promise.Since, now, nil)
	switch {
	case err != nil:
		w.log.WarnContext(ctx, "find out what is left of a budget", "app", r.home.App, "objective", r.key.Objective, "error", err)
	case report.Known:
		b = Budget{Known: true, Left: report.Left, Time: report.LeftTime(), At: now}
	}
	known[key] = b
	return b
}
