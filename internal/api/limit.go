package api

import (
	"sync"
	"time"
)

// limiter lets each of many names do something at a rate.
type limiter struct {
	rate Rate

	mu    sync.Mutex // guards all below
	names map[string]bucket
	swept time.Time
}

// bucket holds what a name may still do, as of a time.
type bucket struct {
	left float64
	at   time.Time
}

func newLimiter(r Rate) *limiter { return &limiter{rate: r, names: map[string]bucket{}} }

// allow takes one of the name's tries; false where there is none.
func (l *limiter) allow(name string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b, ok := l.names[name]
	if !ok {
		b = bucket{left: float64(l.rate.Burst), at: now}
	}
	b.left = min(float64(l.rate.Burst), b.left+now.Sub(b.at).Minutes()*float64(l.rate.PerMinute))
	b.at = now
	allowed := b.left >= 1
	if allowed {
		b.left--
	}
	l.names[name] = b
	return allowed
}

// sweep forgets names whose bucket is full again, once a minute.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Minute {
		return
	}
	l.swept = now
	for name, b := range l.names {
		if b.left+now.Sub(b.at).Minutes()*float64(l.rate.PerMinute) >= float64(l.rate.Burst) {
			delete(l.names, name)
		}
	}
}
