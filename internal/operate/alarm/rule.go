package alarm

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/judge/burn"
	"naru/internal/judge/objective"
)

// rule is one rule of one objective, with all that is needed to look at it.
type rule struct {
	key     Key
	home    Home
	promise app.Promise
	target  float64
	burn.Rule
}

// rules are those of all objectives, in an order that does not change.
func (w *Watcher) rules(ctx context.Context) ([]rule, error) {
	promises, err := w.store.AllPromises(ctx)
	if err != nil {
		return nil, err
	}
	homes, err := w.store.Homes(ctx)
	if err != nil {
		return nil, err
	}
	var out []rule
	for _, id := range slices.Sorted(maps.Keys(promises)) {
		home, there := homes[id]
		if !there {
			continue
		}
		for _, p := range promises[id] {
			made, _ := RulesOf(p.Objective, w.opts.Least)
			for _, r := range made {
				out = append(out, rule{Key{id, p.Name, r.Name}, home, p, targetOf(p.Objective), r})
			}
		}
	}
	return out, nil
}

// RulesOf makes the rules of an objective; least is the shortest window that can be
// seen. It also returns those that are left out, and why.
func RulesOf(o app.Objective, least time.Duration) ([]burn.Rule, []burn.Omitted) {
	o = o.Filled()
	period := o.Window.Longest()
	if o.Slice.Length > 0 {
		// Fewer slices than prove anything would never alarm.
		least = max(least, burn.ProvenBad*o.Slice.Length.Std())
	}
	return burn.SchemeOf(period).AtLeast(least).Rules(targetOf(o), period, -1)
}

// targetOf is the share of good events that an objective asks for: of journeys with
// weights, their weighed targets.
func targetOf(o app.Objective) float64 {
	if !o.Weighted() {
		return o.Target
	}
	var sum, weight float64
	for _, j := range o.Journeys {
		sum += j.Weight * cmp.Or(j.Target, o.Target)
		weight += j.Weight
	}
	return sum / weight
}

// step looks at a rule and moves its alarm. An error leaves the state as it is: not
// to know is not to be well.
func (w *Watcher) step(ctx context.Context, r rule, a Alarm, now time.Time, seen map[glimpse]sight) (Alarm, error) {
	a.Home, a.Severity = r.home, r.Severity
	a.Bounds = Bounds{Target: r.target, Factor: r.Factor, Long: r.Long, Short: r.Short}
	in, rates, err := w.reading(ctx, r, a.State, now, seen)
	if err != nil {
		return a, err
	}
	a.Burn = rates
	a.Alert = a.Next(r.Rule, in, now)
	return a, nil
}

// glimpse names a window of an objective.
type glimpse struct {
	app       app.ID
	objective string
	window    time.Duration
}

// sight is what was seen in one, of which declaration, and when.
type sight struct {
	whole objective.Whole
	of    time.Time
	at    time.Time
}

// reading reads the windows of a rule. The long one is read only where it can make
// a difference, and then each time: who is well is looked at for ever, who is not
// seldom.
func (w *Watcher) reading(ctx context.Context, r rule, state burn.State, now time.Time, seen map[glimpse]sight) (burn.Reading, Rates, error) {
	short, err := w.recent(ctx, r, r.Short, r.Short/freshness, now, seen)
	if err != nil {
		return burn.Reading{}, Rates{}, err
	}
	if well := short.Known && 1-short.Ratio <= r.Threshold; state != burn.Firing && (well || !short.Known) {
		// With the short window alone both conditions come out as they would anyway.
		return burn.Reading{Long: short, Short: short}, Rates{Short: rateOf(r.target, short)}, nil
	}
	long, err := w.recent(ctx, r, r.Long, 0, now, seen)
	if err != nil {
		return burn.Reading{}, Rates{}, err
	}
	return burn.Reading{Long: long, Short: short}, Rates{Long: rateOf(r.target, long), Short: rateOf(r.target, short)}, nil
}

func rateOf(target float64, of objective.Whole) *float64 {
	if !of.Known {
		return nil
	}
	rate := objective.BurnRate(target, 1-of.Ratio)
	return &rate
}

// freshness is the part of a short window's length for which what was seen in it is
// taken for what is there now.
const freshness = 60

// recent is what a window shows, or showed at most old ago.
func (w *Watcher) recent(ctx context.Context, r rule, window, old time.Duration, now time.Time, seen map[glimpse]sight) (objective.Whole, error) {
	key := glimpse{r.key.App, r.key.Objective, window}
	for _, from := range []map[glimpse]sight{seen, w.read} {
		if s, ok := from[key]; ok && s.of.Equal(r.promise.Updated) && now.Sub(s.at) <= old && !now.Before(s.at) {
			seen[key] = s
			return s.whole, nil
		}
	}
	whole, err := objective.Recent(ctx, w.counts, r.key.App, r.promise.Objective, now, window)
	if err == nil {
		seen[key] = sight{whole, r.promise.Updated, now}
	}
	return whole, err
}
