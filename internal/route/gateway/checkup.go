package gateway

import (
	"time"

	"naru/internal/route/guard"
	"naru/internal/route/prober"
)

// trial is a guarded group that gets requests, and what it is compared with, on a
// route that asks instances how they are.
type trial struct {
	watch            *guard.Watch
	canary, baseline []prober.Question // about the instances of each
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
				out = append(out, trial{g.compared.watch, g.questions(e.policy), base.questions(e.policy)})
			}
		}
	}
	return out
}

// questions are what a policy asks the instances of a group.
func (g *group) questions(p *policy) []prober.Question {
	out := make([]prober.Question, len(g.backends))
	for i, b := range g.backends {
		out[i] = prober.QuestionOf(b, *p.spec.Health)
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
		canary, baseline, said := g.tables.prober.Compare(t.canary, t.baseline)
		if said == "" {
			continue
		}
		if trip := t.watch.Unwell(canary, baseline, said, time.Now()); trip != nil {
			g.tripped(trip)
		}
	}
}
