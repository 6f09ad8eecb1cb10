package objective

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// CauseKind says what sort of thing spent budget.
type CauseKind string

// The kinds, by precedence: where two overlap the first gets the debit.
const (
	Maintenance CauseKind = "maintenance" // announced: allowed out of what is left of the budget
	Incident    CauseKind = "incident"    // opened by a person or an alert
	Rollout     CauseKind = "rollout"     // a release on its way, or being watched
	NoTraffic   CauseKind = "no traffic"  // time without events where that is bad
	Unexplained CauseKind = "unexplained" // nothing was going on that naru knows of; a name says what ran meanwhile
)

var precedence = []CauseKind{Maintenance, Incident, Rollout, Unexplained}

// Cause is something that was going on, or is announced.
type Cause struct {
	Kind CauseKind
	Name string  // as people know it: "move to the new database", "v42"
	Span         // when
	Hit  float64 // of maintenance: the share of users it hits; 0: all
}

// Debit is one line of the ledger: who spent how much.
type Debit struct {
	Cause
	Bad    float64       // bad events, or slices
	Budget float64       // share of the whole budget
	Time   time.Duration // the same as time
}

// String is the line as people read it.
func (d Debit) String() string {
	name := string(d.Kind)
	if d.Name != "" {
		name += " " + d.Name
	}
	return fmt.Sprintf("%s: %s of the budget (%s)", name, Percent(d.Budget), Minutes(d.Time))
}

// MaxCauses bounds the causes of a ledger: each is asked for by itself.
const MaxCauses = 200

// bounded leaves out the earliest causes of the last precedence where there are too
// many, and says how many.
func bounded(causes []Cause, at Span) ([]Cause, int) {
	kept := slices.DeleteFunc(slices.Clone(causes), func(c Cause) bool { return c.Within(at).Length() == 0 })
	left := max(len(kept)-MaxCauses, 0)
	if left > 0 {
		slices.SortStableFunc(kept, func(a, b Cause) int {
			return cmp.Or(cmp.Compare(slices.Index(precedence, a.Kind), slices.Index(precedence, b.Kind)), b.From.Compare(a.From))
		})
		kept = kept[:MaxCauses]
	}
	return kept, left
}

// claims cuts a span among causes, so that no moment has two: earlier kinds of the
// precedence first, then who began first.
func claims(causes []Cause, at Span) []Cause {
	sorted := slices.DeleteFunc(slices.Clone(causes), func(c Cause) bool {
		return !slices.Contains(precedence, c.Kind) || c.Within(at).Length() == 0
	})
	slices.SortStableFunc(sorted, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(slices.Index(precedence, a.Kind), slices.Index(precedence, b.Kind)), a.From.Compare(b.From))
	})
	var taken, out []Cause
	for _, c := range sorted {
		free := []Span{c.Within(at)}
		for _, t := range taken {
			free = without(free, t.Span)
		}
		for _, s := range free {
			piece := c
			piece.Span = s
			taken, out = append(taken, piece), append(out, piece)
		}
	}
	return out
}

// without takes a span out of others.
func without(from []Span, cut Span) []Span {
	var out []Span
	for _, s := range from {
		inner := cut.Within(s)
		if inner.Length() == 0 {
			out = append(out, s)
			continue
		}
		for _, rest := range []Span{{s.From, inner.From}, {inner.To, s.To}} {
			if rest.Length() > 0 {
				out = append(out, rest)
			}
		}
	}
	return out
}

// ledger says who spent the budget that was used. price is what a bad event of
// each part costs, as a share of the budget; the lines sum up to used.
func (s subject) ledger(ctx context.Context, at Span, causes []Cause, parts []Part, price []float64, used float64) ([]Debit, error) {
	var lines []Debit
	left, leftBad := used, 0.0
	for i, p := range parts {
		leftBad += p.bad()
		if p.Known && p.Total == 0 && price[i] > 0 { // idle time that is bad: there is no event to name
			lines = append(lines, Debit{Cause: Cause{Kind: NoTraffic, Name: p.Journey, Span: at}, Budget: price[i]})
			left -= price[i]
		}
	}
	var rows [][]Count
	if s.o.Slice.Length > 0 {
		var err error
		if rows, err = s.slices(ctx, at); err != nil {
			return nil, err
		}
	}
	for _, c := range claims(causes, at) {
		spent, err := s.spent(ctx, at, c.Span, rows)
		if err != nil {
			return nil, err
		}
		d := Debit{Cause: c}
		for i, p := range parts {
			if p.Total > 0 {
				bad := min(spent[i], p.bad())
				d.Bad += bad
				d.Budget += bad * price[i]
			}
		}
		if d.Kind == Unexplained && d.Bad == 0 {
			continue // that something ran is no news
		}
		left, leftBad = left-d.Budget, leftBad-d.Bad
		lines = merged(lines, d)
	}
	if left > 1e-12 {
		lines = append(lines, Debit{Cause: Cause{Kind: Unexplained, Span: at}, Bad: max(leftBad, 0), Budget: left})
	}
	return lines, nil
}

// merged adds a debit to the line of the same cause, which another may have cut in
// two.
func merged(lines []Debit, d Debit) []Debit {
	for i, l := range lines {
		if l.Kind == d.Kind && l.Name == d.Name && l.Kind != NoTraffic {
			l.Bad, l.Budget = l.Bad+d.Bad, l.Budget+d.Budget
			if d.From.Before(l.From) {
				l.From = d.From
			}
			if d.To.After(l.To) {
				l.To = d.To
			}
			lines[i] = l
			return lines
		}
	}
	return append(lines, d)
}

// spent is the bad events of each part within a span; a slice belongs where it
// begins.
func (s subject) spent(ctx context.Context, whole, at Span, rows [][]Count) ([]float64, error) {
	out := make([]float64, s.width())
	if rows == nil {
		parts, err := s.parts(ctx, at)
		for i, p := range parts {
			out[i] = p.bad()
		}
		return out, err
	}
	length := s.o.Slice.Length.Std()
	for i, row := range rows {
		for k, c := range row {
			begin := whole.From.Add(time.Duration(k) * length)
			good, counts := goodSlice(c, s.o)
			if counts && !good && !begin.Before(at.From) && begin.Before(at.To) {
				out[i]++
			}
		}
	}
	return out, nil
}
