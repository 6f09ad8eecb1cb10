package supervise

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// outages are how long a child was away after each of its deaths: from its end
// to the begin of the next life.
func outages(t *testing.T, lives int, live func(ctx context.Context) life) (out []time.Duration) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var ended time.Time
	keep(ctx, func(ctx context.Context) life {
		if !ended.IsZero() {
			out = append(out, time.Since(ended))
		}
		if len(out) == lives {
			stop()
			return life{}
		}
		l := live(ctx)
		ended = time.Now()
		return l
	}, func(life, int, time.Duration) {})
	return out
}

func TestOneThatIsKilledEveryTwoSecondsIsBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got := outages(t, 150, func(context.Context) life {
			time.Sleep(200 * time.Millisecond) // to start
			time.Sleep(2 * time.Second)
			return life{"killed", 2 * time.Second}
		})
		for n, d := range got {
			if d != 0 {
				t.Fatalf("after death %d it was away for %v, want 0", n+1, d)
			}
		}
		if took := time.Since(began); took != 150*2200*time.Millisecond {
			t.Errorf("150 lives took %v", took)
		}
	})
}

func TestOneThatDiesAsSoonAsItIsReadyIsBackWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := outages(t, 100, func(context.Context) life { return life{"exit 2", 0} })
		for n, d := range got {
			switch {
			case n < atOnce && d != 0:
				t.Errorf("after death %d it was away for %v, want 0", n+1, d)
			case n >= atOnce+5 && (d < 800*time.Millisecond || d > time.Second):
				t.Errorf("after death %d it was away for %v, want about a second: it would take the machine's time", n+1, d)
			}
		}
	})
}

func TestOneThatNeverGetsReadyIsWaitedForLongerAndLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := outages(t, 40, func(context.Context) life { return life{"exit 3", -1} })
		for n, d := range got {
			if n < atOnce && d != 0 {
				t.Errorf("after death %d it was away for %v, want 0", n+1, d)
			}
			if n >= 15 && (d < 24*time.Second || d > 30*time.Second) {
				t.Errorf("after death %d it was away for %v, want about %v", n+1, d, stillborn.Max)
			}
		}
	})
}

func TestBeingReadyOnceEndsTheLongWait(t *testing.T) {
	none := func() float64 { return 0 }
	var s streak
	for range 20 {
		s.died(life{"exit 3", -1}, none)
	}
	if d := s.died(life{"killed", 100 * time.Millisecond}, none); d > time.Second {
		t.Errorf("one that was ready is waited for %v, want at most a second", d)
	}
	if d := s.died(life{"exit 3", -1}, none); d != stillborn.First {
		t.Errorf("the first death before it was ready again waits %v, want %v", d, stillborn.First)
	}
	if d := s.died(life{"killed", healthyAfter}, none); d != 0 || s.deaths != 1 {
		t.Errorf("one that was healthy is waited for %v and has died %d times in a row, want 0 and once", d, s.deaths)
	}
}

func TestTheEndOfTheSupervisorEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		began := time.Now()
		keep(ctx, func(context.Context) life { return life{"exit 3", -1} }, func(life, int, time.Duration) {})
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("keep returned after %v", took)
		}
	})
}
