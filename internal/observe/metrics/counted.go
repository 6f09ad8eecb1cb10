package metrics

import "sync/atomic"

// Counted is what a store did since it was made.
type Counted struct {
	Result                   // of all samples
	Answered, Unanswered int // queries
}

type counters struct {
	written, refused, late, twice, answered, unanswered atomic.Int64
}

func (c *counters) samples(r Result) {
	c.written.Add(int64(r.Written))
	c.refused.Add(int64(r.Refused))
	c.late.Add(int64(r.Late))
	c.twice.Add(int64(r.Twice))
}

func (c *counters) query(err error) {
	if err != nil {
		c.unanswered.Add(1)
		return
	}
	c.answered.Add(1)
}

// Counted says what the store did since it was made.
func (s *Store) Counted() Counted {
	c := &s.counted
	return Counted{
		Result{int(c.written.Load()), int(c.refused.Load()), int(c.late.Load()), int(c.twice.Load())},
		int(c.answered.Load()), int(c.unanswered.Load()),
	}
}
