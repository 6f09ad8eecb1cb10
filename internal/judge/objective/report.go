package objective

import (
	"context"
	"fmt"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
)

// Report is what is known of an objective at one moment.
type Report struct {
	Objective app.Objective // filled
	Now       time.Time
	Period    Span          // the whole period, which may end in the future
	Observed  time.Duration // how much of it was watched
	Whole                   // measured; Known is false where nothing can be said
	Parts     []Part        // journeys with weights; else one

	Budget   time.Duration // of the whole period
	Used     float64       // share of it, 1 is all of it
	Left     float64       // 1 - Used; below 0: spent and more
	Reserved float64       // share that announced maintenance of the future will take
	Ledger   []Debit       // who used it; sums up to Used
	Ahead    []Debit       // what is reserved, for what

	Burns     []Burn    // of the windows of alerts, shortest first
	Exhausted time.Time // when the budget will be spent at the rate of ExhaustionWindow; zero: not within the period
	Notes     []string  // what one has to know to read the figures
}

// Burn is how fast the budget went in the time just past.
type Burn struct {
	Window time.Duration
	Rate   float64 // 1: spent exactly at the end of the period
	Known  bool
}

// BurnWindows are the windows of Report.Burns, those of the alerts.
var BurnWindows = []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour, 72 * time.Hour}

// ExhaustionWindow is the window whose burn rate says when the budget will be
// spent: long enough that one bad minute is no prophecy.
const ExhaustionWindow = 6 * time.Hour

// LeftTime is what is left of the budget as time that may be all bad.
func (r Report) LeftTime() time.Duration { return time.Duration(r.Left * float64(r.Budget)) }

// Free is the share of the budget that is neither used nor reserved.
func (r Report) Free() float64 { return r.Left - r.Reserved }

// Met reports that what was measured reaches the target.
func (r Report) Met() bool { return r.Known && r.Ratio >= r.Target }

// Judge measures an objective. since is when its app began; causes are what went on
// meanwhile, and the maintenance that is announced.
//
// An app that is younger than the period, and a period of the calendar that is not
// over, have used their burn rate's share of the time that has passed: the rest of
// the period is taken to be as busy as what there was of it.
func Judge(ctx context.Context, counts Counts, id app.ID, o app.Objective, since, now time.Time, causes []Cause) (Report, error) {
	s := subject{id, o.Filled(), counts}
	period, err := Period(s.o.Window, now)
	if err != nil {
		return Report{}, err
	}
	seen := Span{period.From, now}.Within(Span{since, now})
	if s.o.Window.Rolling > 0 && !since.After(period.From) && s.o.Slice.Length > 0 {
		seen = s.recent(now, period.Length()) // as many slices as ever, though the last is not over
	} else {
		seen = s.whole(seen)
	}
	r := Report{Objective: s.o, Now: now, Period: period, Observed: seen.Length()}
	if r.Parts, err = s.parts(ctx, seen); err != nil {
		return Report{}, err
	}
	r.Whole = Weigh(r.Parts)
	r.Budget = Budget(r.Target, period.Length())
	r.Left = 1
	if r.Known {
		passed := min(float64(seen.Length())/float64(period.Length()), 1)
		price := prices(r.Parts, r.Whole, passed)
		r.Used = Used(r.Target, 1-r.Ratio) * passed
		r.Left = 1 - r.Used
		within, left := bounded(causes, seen)
		if left > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("the ledger names %d causes; what %d earlier ones spent is among the unexplained", MaxCauses, left))
		}
		if r.Ledger, err = s.ledger(ctx, seen, within, r.Parts, price, r.Used); err != nil {
			return Report{}, err
		}
	}
	r.ahead(causes)
	for _, lines := range [][]Debit{r.Ledger, r.Ahead} {
		for i := range lines {
			lines[i].Time = time.Duration(lines[i].Budget * float64(r.Budget))
		}
	}
	if err := r.burns(ctx, s, since); err != nil {
		return Report{}, err
	}
	r.note(since)
	return r, nil
}

// prices is what one bad event of each part costs, as a share of the budget; of a
// part without events, what all of it costs.
func prices(parts []Part, w Whole, passed float64) []float64 {
	out := make([]float64, len(parts))
	for i, p := range parts {
		if !p.Known {
			continue
		}
		out[i] = p.Weight / w.weight / (1 - w.Target) * passed
		if p.Total > 0 {
			out[i] /= p.Total
		} else {
			out[i] *= 1 - p.Ratio
		}
	}
	return out
}

// ahead reserves what announced maintenance will take in this period.
func (r *Report) ahead(causes []Cause) {
	future := Span{r.Now, r.Period.To}
	if r.Objective.Window.Rolling > 0 {
		future.To = r.Now.Add(r.Period.Length())
	}
	for _, c := range claims(causes, future) {
		if c.Kind == Maintenance {
			d := Debit{Cause: c, Budget: r.costs(c)}
			r.Ahead = append(r.Ahead, d)
			r.Reserved += d.Budget
		}
	}
}

// costs is the share of the budget that maintenance takes if all events of those it
// hits are bad.
func (r Report) costs(c Cause) float64 {
	hit := c.Hit
	if hit == 0 {
		hit = 1
	}
	return hit * float64(c.Length()) / float64(r.Period.Length()) / (1 - r.Target)
}

// Announce says whether maintenance may be announced: it is allowed out of what is
// left of the budget, and of nothing else.
func (r Report) Announce(c Cause) error {
	cost := r.costs(c)
	switch {
	case c.Hit < 0 || c.Hit > 1:
		return fault.New(fault.Invalid, "maintenance", "it hits a share of users from 0 %% to 100 %%, not %v", c.Hit)
	case c.Length() == 0:
		return fault.New(fault.Invalid, "maintenance", "it ends before it begins")
	case c.From.Before(r.Now):
		return fault.New(fault.Invalid, "maintenance", "it began %s ago: only what is to come can be announced", r.Now.Sub(c.From).Round(time.Second))
	case !r.Known:
		return nil // nothing is known against it
	case cost > r.Free():
		return fault.New(fault.Conflict, "maintenance", "it would take %s of the budget of %s (%s), and %s is free (%s)",
			Percent(cost), r.Objective.Name, Minutes(time.Duration(cost*float64(r.Budget))), Percent(max(r.Free(), 0)), Minutes(time.Duration(max(r.Free(), 0)*float64(r.Budget)))).
			WithTry("make it shorter, hit fewer users, or wait until old errors leave the window")
	}
	return nil
}

func (r *Report) burns(ctx context.Context, s subject, since time.Time) error {
	for _, window := range BurnWindows {
		if window > r.Period.Length() {
			break
		}
		at := s.recent(r.Now, window)
		at = s.whole(at.Within(Span{since, r.Now}))
		parts, err := s.parts(ctx, at)
		if err != nil {
			return err
		}
		w := Weigh(parts)
		b := Burn{Window: window, Known: w.Known}
		if w.Known {
			b.Rate = BurnRate(w.Target, 1-w.Ratio)
		}
		r.Burns = append(r.Burns, b)
		if window == ExhaustionWindow && r.Known && b.Known {
			if in, ok := Exhaustion(r.Left, b.Rate, r.Period.Length()); ok {
				at := r.Now.Add(in)
				if r.Objective.Window.Rolling > 0 || at.Before(r.Period.To) {
					r.Exhausted = at
				}
			}
		}
	}
	return nil
}

// about is a duration as people say it.
func about(d time.Duration) string {
	if d < 2*time.Minute {
		return app.Days(d.Round(time.Second))
	}
	return app.Days(d.Round(time.Minute))
}

func (r *Report) note(since time.Time) {
	say := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	switch length := r.Objective.Slice.Length; {
	case since.After(r.Now):
		say("the app began in the future: was the clock set back?")
	case !r.Known:
		say("there was no traffic, so nothing is known; the objective says no_traffic: %s", r.Objective.Idle)
	case since.After(r.Period.From):
		say("counting began %s ago: the figures are of %s out of %s", about(r.Now.Sub(since)), about(r.Observed), app.Days(r.Period.Length()))
	case r.Idle > 0:
		say("%d slices of %s had no traffic and count as %s", r.Idle, length, r.Objective.Idle)
	}
}
