package acme

import (
	"maps"
	"slices"
	"time"
)

// look is how often hosts are looked at when nothing happens.
const look = time.Hour

// pause is how long an authority is left alone after so many failures in a row.
// Let's Encrypt takes five failures an hour for one host, and a try that asks in
// both ways counts twice.
func pause(failures int) time.Duration {
	pauses := []time.Duration{15 * time.Minute, time.Hour, 3 * time.Hour, 12 * time.Hour}
	return pauses[min(failures, len(pauses)-1)]
}

// prove is how long a host without a proof is left alone.
const prove = 5 * time.Minute

// due reports whether a certificate is missing or has less than a third of its
// life left.
func (e *entry) due(now time.Time) bool {
	return !now.Before(e.renewal())
}

// renewal is from when on a certificate is asked for.
func (e *entry) renewal() time.Time {
	if e.pair.Chain == nil {
		return time.Time{}
	}
	return e.facts.Until.Add(-e.facts.Until.Sub(e.facts.From) / 3)
}

// next is the host to ask for, or how long there is none.
func (k *Keeper) next(now time.Time) (host string, wait time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	wait = look
	for _, h := range slices.Sorted(maps.Keys(k.hosts)) {
		e := k.hosts[h]
		switch {
		case !e.due(now):
			wait = min(wait, e.renewal().Sub(now))
		case !now.Before(e.next):
			return h, 0
		default:
			wait = min(wait, e.next.Sub(now))
		}
	}
	return "", wait
}

// States tell how it is with all hosts, by name.
func (k *Keeper) States() []State {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.cfg.Clock()
	out := make([]State, 0, len(k.hosts))
	for _, h := range slices.Sorted(maps.Keys(k.hosts)) {
		e := k.hosts[h]
		out = append(out, State{Host: h, Chain: e.pair.Chain, Asking: e.due(now) && e.failure == "", Failure: e.failure, Next: e.next})
	}
	return out
}
