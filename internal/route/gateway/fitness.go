package gateway

import (
	"time"

	"naru/internal/route"
	"naru/internal/route/fitness"
)

// available reports whether the backend may take a request now. The time is asked
// for where that is needed, at most once.
func (b *backend) available(cfg *Config, now *int64) bool {
	if b.serving() {
		return true
	}
	if *now == 0 {
		*now = time.Now().UnixNano()
	}
	return b.fit.Ready(*now, cfg.terms())
}

// serving is available without taking the turn of one that is out of service.
func (b *backend) serving() bool { return b.fit.Serving() }

// returning reports whether a request had better go elsewhere.
func (b *backend) returning() bool { return b.fit.Recovering() && b.fit.Returning(now()) }

// terms of instances that are left alone.
func (c *Config) terms() fitness.Terms { return fitness.Terms{First: c.EjectFirst, Max: c.EjectMax} }

// failed notes a connect that did not succeed.
func (b *backend) failed(cfg *Config, err error) {
	if b.fit.Refused(cfg.terms()) {
		b.ejected(err.Error())
	}
}

// worked notes that the instance answered a request that began at a time.
func (b *backend) worked(begun int64, failed bool) {
	if b.fit.Sound() {
		return
	}
	if b.fit.Worked(begun, failed, now()) {
		b.tables.reports.ejected(route.Ejection{Time: time.Now(), Instance: b.instance.ID, Address: b.instance.Address, Back: true})
	}
}

// ejected tells that the instance is left alone.
func (b *backend) ejected(why string) {
	b.tables.reports.ejected(route.Ejection{Time: time.Now(), Instance: b.instance.ID, Address: b.instance.Address, Reason: why})
}

// compare looks whether an instance that just failed is worse than its siblings.
// Groups that a guard compares are left as they are: evidence must stay where it
// arises.
func (g *group) compare(b *backend, at int64, cfg *Config) {
	if len(g.backends) < 2 || g.compared.watch != nil || !b.serving() {
		return
	}
	why := b.fit.Outlier(g.fits, at)
	if why == "" {
		return
	}
	if b.fit.Expel(now(), cfg.terms()) {
		b.ejected(why)
	}
	g.count.ejections.Add(1)
}

// fits are the group's instances.
func (g *group) fits(yield func(*fitness.Fitness) bool) {
	for _, b := range g.backends {
		if !yield(&b.fit) {
			return
		}
	}
}
