package objective

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Sample is what two counters showed at one moment. A counter that shows less than
// before was begun again at 0.
type Sample struct {
	At          time.Time
	Good, Total float64
}

// Tally counts from samples of counters kept in memory, by SLI. It is a Counts: a
// sample tells how many events there were since the one before it, and they count
// as having happened when it was taken. The first sample of all tells nothing.
type Tally struct{ samples map[string][]Sample }

var _ Counts = (*Tally)(nil)

// NewTally makes an empty one.
func NewTally() *Tally { return &Tally{samples: map[string][]Sample{}} }

func key(of SLI) string {
	return string(of.App) + "\x00" + of.Objective.Name + "\x00" + of.Journey.String()
}

// Add notes a sample. One that is not later than the newest is refused: a clock was
// set back, and counting it twice would make events of nothing.
func (t *Tally) Add(of SLI, s Sample) error {
	k := key(of)
	had := t.samples[k]
	if len(had) > 0 && !s.At.After(had[len(had)-1].At) {
		return fmt.Errorf("sample of %s is not later than the one of %s", s.At.Format(time.RFC3339), had[len(had)-1].At.Format(time.RFC3339))
	}
	t.samples[k] = append(had, s)
	return nil
}

// Over adds up samples with from < At <= to: the events before a sample are those it
// tells of, so spans side by side share none.
func (t *Tally) Over(_ context.Context, of SLI, from, to time.Time) (Count, error) {
	var c Count
	all := t.samples[key(of)]
	i, _ := slices.BinarySearchFunc(all, from, func(s Sample, at time.Time) int {
		if s.At.After(at) {
			return 1
		}
		return -1
	})
	for i = max(i, 1); i < len(all) && !all[i].At.After(to); i++ {
		c = c.plus(increase(all[i-1], all[i]))
	}
	return c, nil
}

// Each counts slices.
func (t *Tally) Each(ctx context.Context, of SLI, from, to time.Time, length time.Duration) ([]Count, error) {
	out := make([]Count, 0, to.Sub(from)/length)
	for ; !from.Add(length).After(to); from = from.Add(length) {
		c, err := t.Over(ctx, of, from, from.Add(length))
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func increase(a, b Sample) Count {
	if b.Total < a.Total || b.Good < a.Good { // begun again: what it shows has happened since
		return Count{Good: b.Good, Total: b.Total}
	}
	return Count{Good: b.Good - a.Good, Total: b.Total - a.Total}
}
