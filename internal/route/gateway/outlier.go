package gateway

import (
	"fmt"
	"math/rand/v2"
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

// compare looks whether an instance that just failed is worse than its siblings.
func (g *group) compare(b *backend, now int64, cfg *Config) {
	if len(g.backends) < 2 || g.compared.watch != nil || !b.serving() {
		return
	}
	all, failed := b.seen.Sum(now, outlierWindow)
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
		n, m := o.seen.Sum(now, outlierWindow)
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
	b.seen.Clear()
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
