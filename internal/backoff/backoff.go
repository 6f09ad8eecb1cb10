// Package backoff says how long to wait before trying again.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy grows a delay by doubling from First to Max, with up to Jitter (0 to 1)
// of it taken away at random, so that many who failed together do not return
// together.
type Policy struct {
	First  time.Duration
	Max    time.Duration
	Jitter float64
}

// Delay returns the wait before attempt n, counted from 0. It is pure but for
// random, which returns a number in [0, 1).
func (p Policy) Delay(n int, random func() float64) time.Duration {
	d := p.Max
	if n < 32 { // a larger shift would overflow long after Max is reached
		d = min(p.First<<n, p.Max)
	}
	if d <= 0 {
		d = p.Max
	}
	return d - time.Duration(p.Jitter*random()*float64(d))
}

// Wait sleeps for the delay of attempt n; it returns the context's error when
// that ends first.
func (p Policy) Wait(ctx context.Context, n int) error {
	timer := time.NewTimer(p.Delay(n, rand.Float64))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
