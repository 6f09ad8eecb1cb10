package prober

import (
	"time"

	"naru/internal/route"
)

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

// Compare counts how many of two groups that are asked the same fail. What the
// first one's said is returned only if all of them fail while one of the second's
// passes, for so long that this cannot be the beginning or the end of what breaks
// both alike: that shows in the first as often as not.
func (p *Prober) Compare(first, second []Question) (one, other route.Tally, said string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ill time.Time // all of them, since
	for _, q := range first {
		a := p.all[q]
		if a == nil || !a.unwell || a.fails == 0 {
			return one, other, ""
		}
		if one.Requests, one.Bad = one.Requests+1, one.Bad+1; a.course.ill.After(ill) {
			ill, said = a.course.ill, a.course.said
		}
	}
	proven := false
	for _, q := range second {
		a := p.all[q]
		if a == nil {
			continue
		}
		if other.Requests++; a.unwell {
			other.Bad++
			continue
		}
		apart := ill
		if a.course.failed.After(apart) {
			apart = a.course.failed
		}
		proven = proven || a.course.passed.Sub(apart) > a.Probe.Every.Std()*time.Duration(a.Probe.Fails+1)+a.Probe.Timeout.Std()
	}
	if !proven {
		said = ""
	}
	return one, other, said
}
