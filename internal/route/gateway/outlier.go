package gateway

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"naru/internal/route"
)

// An instance that fails far more often than its siblings is left alone for a
// while, even if it accepts connections. Groups of one instance and groups that
// a guard compares are never touched, and of no group more than half: what all
// share is not an instance's fault, and evidence must stay where it arises.
const (
	outlierWindow   = 10_000 // milliseconds looked back
	outlierRequests = 20     // least ones of the instance, and of its siblings, in that time
	outlierFailed   = 0.5    // least share of its requests
	outlierSiblings = 0.1    // most of theirs
	outlierReturn   = 20_000 // milliseconds from the first request to its full share
)

// window counts requests, and those that failed, in parts of a time: the oldest
// is forgotten as a whole.
type window struct {
	parts [10]struct{ at, all, failed atomic.Int64 }
}

// count counts a request. length is the time looked back at, in milliseconds, and
// the same each time.
func (w *window) count(failed bool, now, length int64) {
	at := partOf(now, length)
	p := &w.parts[at%int64(len(w.parts))]
	if old := p.at.Load(); old != at && p.at.CompareAndSwap(old, at) {
		p.all.Store(0) // who counts at this moment may be lost
		p.failed.Store(0)
	}
	p.all.Add(1)
	if failed {
		p.failed.Add(1)
	}
}

func (w *window) sum(now, length int64) (all, failed int64) {
	least := partOf(now, length) - int64(len(w.parts))
	for i := range w.parts {
		if p := &w.parts[i]; p.at.Load() > least {
			all += p.all.Load()
			failed += p.failed.Load()
		}
	}
	return all, failed
}

func (w *window) clear() {
	for i := range w.parts {
		w.parts[i].at.Store(0)
	}
}

// partOf numbers the parts of time, the first one 11: 0 is a part long ago.
func partOf(now, length int64) int64 { return now/max(1, length/10) + 11 }

// compare looks whether an instance that just failed is worse than its siblings.
func (g *group) compare(b *backend, now int64, cfg *Config) {
	if len(g.backends) < 2 || g.compared.watch != nil || !b.serving() {
		return
	}
	all, failed := b.seen.sum(now, outlierWindow)
	if all < outlierRequests || float64(failed) < outlierFailed*float64(all) {
		return
	}
	var others, bad int64
	out := 1 // with this one
	for _, o := range g.backends {
		if o == b {
			continue
		}
		if !o.serving() {
			out++
		}
		n, m := o.seen.sum(now, outlierWindow)
		others, bad = others+n, bad+m
	}
	if 2*out > len(g.backends) || others < outlierRequests || float64(bad) > outlierSiblings*float64(others) {
		return
	}
	b.expel(cfg, fmt.Sprintf("%d of %d requests failed, of its siblings' %d of %d", failed, all, bad, others))
	g.count.ejections.Add(1)
}

// expel leaves the instance alone, the longer the more often it had to be.
func (b *backend) expel(cfg *Config, why string) {
	b.since.Store(now())
	b.fails.Store(2 + min(b.expelled.Add(1), 16))
	if b.ejected.Swap(time.Now().UnixNano()+int64(b.term(cfg))) == 0 {
		b.tables.reports.ejected(route.Ejection{
			Time: time.Now(), Instance: b.instance.ID, Address: b.instance.Address, Reason: why,
		})
	}
}

// returned begins the slow return of an instance that was expelled.
func (b *backend) returned(now int64) {
	b.seen.clear()
	b.full.Store(now + outlierReturn)
}

// returning reports whether a request had better go elsewhere: an instance that
// comes back gets its share little by little.
func (b *backend) returning() bool {
	full := b.full.Load()
	if full == 0 {
		return false
	}
	left := full - now()
	if left <= 0 {
		b.full.CompareAndSwap(full, 0)
		b.expelled.Store(0)
		return false
	}
	return rand.Int64N(outlierReturn) < left
}
