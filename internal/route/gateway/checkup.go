package gateway

import (
	"time"

	"naru/internal/route"
	"naru/internal/route/guard"
)

// trial is a guarded group that gets requests, and what it is compared with, on a
// route that asks instances how they are.
type trial struct {
	watch            *guard.Watch
	probe            route.Probe
	canary, baseline []*backend
}

// trialsOf lists the trials of an entry.
func trialsOf(e *entry) (out []trial) {
	if e.policy == nil || e.policy.spec.Health == nil {
		return nil
	}
	for _, groups := range [][]*group{e.groups, e.matches} {
		for _, g := range groups {
			if g.compared.watch == nil || g.compared.side != guard.Canary {
				continue
			}
			if base := e.find(g.compared.watch.Baseline()); base != nil {
				out = append(out, trial{g.compared.watch, *e.policy.spec.Health, g.backends, base.backends})
			}
		}
	}
	return out
}

// find returns the group of an id; nil where it takes no requests.
func (e *entry) find(id string) *group {
	for _, g := range e.groups {
		if g.id == id {
			return g
		}
	}
	if e.spare != nil && e.spare.id == id {
		return e.spare
	}
	return nil
}

// examine trips the guards of groups whose instances all fail the gateway's own
// health check while their baselines pass it. Their requests go to others
// already, so that the guards would never see one.
func (g *Gateway) examine() {
	for _, t := range g.tables.view().trials {
		canary, baseline, said := g.tables.probers.compare(t)
		if said == "" {
			continue
		}
		if trip := t.watch.Unwell(canary, baseline, said, time.Now()); trip != nil {
			g.tripped(trip)
		}
	}
}

// course is how an instance has answered a question over time.
type course struct {
	ill    time.Time // the first of the newest failures in a row was asked then
	failed time.Time // the newest failure came then
	passed time.Time // the newest pass was asked then
	said   string    // by the newest failure
}

// add takes an answer; fails is how many in a row it makes.
func (c *course) add(asked, now time.Time, fails int, said string) {
	if fails == 0 {
		c.passed = asked
		return
	}
	if fails == 1 {
		c.ill = asked
	}
	c.failed, c.said = now, said
}

// compare counts the instances of a trial that fail. What the group's said is
// returned only if all of them fail while one of the baseline's passes, for so long
// that this cannot be the beginning or the end of what breaks both alike: that
// shows in the group first as often as not.
func (p *probers) compare(t trial) (canary, baseline route.Tally, said string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ill time.Time // all of them, since
	for _, b := range t.canary {
		one := p.all[questionOf(b, t.probe)]
		if one == nil || !one.unwell || one.fails == 0 {
			return canary, baseline, ""
		}
		if canary.Requests, canary.Bad = canary.Requests+1, canary.Bad+1; one.course.ill.After(ill) {
			ill, said = one.course.ill, one.course.said
		}
	}
	proven := false
	for _, b := range t.baseline {
		one := p.all[questionOf(b, t.probe)]
		if one == nil {
			continue
		}
		if baseline.Requests++; one.unwell {
			baseline.Bad++
			continue
		}
		apart := ill
		if one.course.failed.After(apart) {
			apart = one.course.failed
		}
		proven = proven || one.course.passed.Sub(apart) > one.probe.Every.Std()*time.Duration(one.probe.Fails+1)+one.probe.Timeout.Std()
	}
	if !proven {
		said = ""
	}
	return canary, baseline, said
}
