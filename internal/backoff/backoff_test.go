package backoff_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/backoff"
)

func TestDelayDoublesUpToTheCap(t *testing.T) {
	p := backoff.Policy{First: time.Second, Max: 10 * time.Second, Jitter: 0.5}
	none, most := func() float64 { return 0 }, func() float64 { return 1 }
	for n, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if got := p.Delay(n, none); got != want*time.Second {
			t.Errorf("Delay(%d) = %v, want %v", n, got, want*time.Second)
		}
		if got := p.Delay(n, most); got != want*time.Second/2 {
			t.Errorf("Delay(%d) with most jitter = %v, want %v", n, got, want*time.Second/2)
		}
	}
	if got := p.Delay(1000, none); got != p.Max {
		t.Errorf("Delay(1000) = %v, want the cap", got)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := backoff.Policy{First: time.Hour, Max: time.Hour}.Wait(ctx, 0)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Wait() = %v after %v", err, time.Since(start))
		}
	})
}
