package account

import (
	"math"
	"testing"
	"time"
)

func TestTrafficIsReckonedByHand(t *testing.T) {
	// 80 requests up to 8 ms, 15 up to 16 ms, 5 up to 512 ms.
	one := Traffic{Length: 10 * time.Second, Requests: 100, Failed: 2}
	one.latency[5], one.latency[6], one.latency[11] = 80, 15, 5
	for q, want := range map[float64]time.Duration{
		0.5:  4*time.Millisecond + 2500*time.Microsecond, // 50 of 80 into 4 ms to 8 ms
		0.8:  8 * time.Millisecond,
		0.95: 16 * time.Millisecond,
		0.99: 256*time.Millisecond + 204800*time.Microsecond, // 4 of 5 into 256 ms to 512 ms
	} {
		if got, ok := one.Quantile(q); !ok || (got-want).Abs() > time.Microsecond {
			t.Errorf("Quantile(%v) = %v, %v, want %v", q, got, ok, want)
		}
	}
	if e, ok := one.Errors(); !ok || e != 0.02 || one.Rate() != 10 {
		t.Errorf("errors %v, rate %v", e, one.Rate())
	}
	if _, ok := (Traffic{}).Errors(); ok {
		t.Error("no request has a share of errors")
	}
	if _, ok := (Traffic{}).Quantile(0.5); ok {
		t.Error("no request took any time")
	}
	// Of three slots of 10 s, half of the first and all of the second.
	c := cutCourse(noon, noon.Add(30*time.Second), 10*time.Second, nil)
	for i := range c.pieces {
		c.pieces[i] = one
	}
	got := c.Between(noon.Add(5*time.Second), noon.Add(20*time.Second))
	if got.Requests != 150 || got.Failed != 3 || got.Length != 15*time.Second || got.Rate() != 10 {
		t.Errorf("Between = %+v", got)
	}
	if got := c.Between(noon.Add(-time.Hour), noon); got.Requests != 0 || got.Length != 0 {
		t.Errorf("before the first slot: %+v", got)
	}
}

// A moment in a slot cuts it, one at its edge or outside of the time does not.
func TestCutsOfACourse(t *testing.T) {
	c := cutCourse(noon, noon.Add(30*time.Second), 10*time.Second, []time.Time{
		noon.Add(14 * time.Second), noon.Add(20 * time.Second), noon.Add(-time.Second), noon.Add(time.Hour), noon.Add(14 * time.Second),
	})
	for i, want := range []time.Duration{10 * time.Second, 4 * time.Second, 6 * time.Second, 10 * time.Second} {
		if i >= len(c.pieces) || c.pieces[i].Length != want {
			t.Fatalf("pieces %+v: the one at %d is not %s", c.pieces, i, want)
		}
		c.pieces[i].Requests = float64(i + 1)
	}
	if c.fill(); c.Slots[0].Requests != 1 || c.Slots[1].Requests != 2+3 || c.Slots[2].Requests != 4 || c.Slots[1].Length != 10*time.Second {
		t.Errorf("slots %+v", c.Slots)
	}
	if got := c.Between(noon.Add(14*time.Second), noon.Add(20*time.Second)); got.Requests != 3 {
		t.Errorf("from 14 to 20 s: %+v", got)
	}
}

// The evidence is that of a likelihood ratio test; the figures were worked out
// beside it: 2·(10·ln(10/6)+90·ln(90/94)+2·ln(2/6)+98·ln(98/94)) = 6.1626.
func TestEvidence(t *testing.T) {
	for name, tc := range map[string]struct{ bad1, n1, bad2, n2, want float64 }{
		"worse":       {2, 100, 10, 100, 2.4825},
		"better":      {10, 100, 2, 100, -2.4825},
		"the same":    {5, 100, 5, 100, 0},
		"nothing":     {0, 100, 0, 100, 0},
		"all of them": {0, 50, 50, 50, math.Sqrt(2 * 100 * math.Ln2)},
		"no request":  {0, 0, 50, 50, 0},
	} {
		if got := evidence(tc.bad1, tc.n1, tc.bad2, tc.n2); math.Abs(got-tc.want) > 0.001 {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
