// Package meter adds up what gateways counted, whichever process counted it, and
// tells it as metrics, as rates of the last minute, and as the record of a group.
package meter

import (
	"strings"
	"sync"
	"time"

	"naru/internal/id"
	"naru/internal/route"
)

// Limits of a meter; zero fields take the defaults named beside them.
type Limits struct {
	Series int           // pairs of a route and a group counted apart, others are counted together: 20,000
	Forget time.Duration // how long a pair that changes no more, and is in no table, is kept: 1h
}

// Meter is the sum over all gateway processes, also those that have ended. Its
// methods may be called at the same time.
type Meter struct {
	limits Limits
	now    func() time.Time
	began  time.Time

	mu        sync.Mutex // guards what follows
	processes map[string]*process
	series    map[key]*series
	over      uint64 // pairs that were counted together with others
	dropped   uint64 // access records
	accepted  uint64 // connections
	logLost   uint64 // lines of access logs
	spans     uint64 // that came
	spansLost uint64
	trips     map[trip]route.Measure
	records   map[string]*route.Record // of guards, by their key
	journeys  map[string]*journey      // by route.JourneyCounter.Key
}

// key is a route and a group as gateways count them.
type key struct{ route, group string }

// compared reports that copies for a comparison are counted.
func (k key) compared() bool { return strings.HasSuffix(k.group, route.Pairs) }

// others is the pair of all that the limit leaves no place for.
var others = key{"other", "other"}

type trip struct{ key, group string }

// process is one gateway process that lives.
type process struct {
	last  map[key]route.Counter // as it said them; nil before the first time
	heard time.Time             // first
	load  route.Load

	walked map[string][]uint64 // cells of journeys as it said them; nil before the first time
}

// series is one pair's sum. Active is that of the processes that live.
type series struct {
	total   route.Counter
	before  *route.Counter // the part of it that was counted before we were there; nil: none
	recent  window
	changed time.Time
	place   Place // as it was last found
	named   bool
	said    string // the group's name, by a gateway

	exemplars *exemplars // nil: none came
}

// New makes a meter.
func New(l Limits) *Meter { return at(l, time.Now) }

// at is New with a clock.
func at(l Limits, now func() time.Time) *Meter {
	if l.Series <= 0 {
		l.Series = 20_000
	}
	if l.Forget <= 0 {
		l.Forget = time.Hour
	}
	return &Meter{
		limits: l, now: now, began: now(), processes: map[string]*process{}, series: map[key]*series{},
		trips: map[trip]route.Measure{}, records: map[string]*route.Record{}, journeys: map[string]*journey{},
	}
}

// maxName bounds a group's name that a gateway says.
const maxName = 200

// settled is how long after our start a gateway that we first hear of may be one
// that was there before us: those that are there dial again and again.
const settled = 30 * time.Second

// reports is in what time a gateway that was there reports, once it has connected.
const reports = 3 * time.Second

// Counters takes totals of a gateway process since its start. Totals that are
// lower than before mean that it began anew with them.
func (m *Meter) Counters(gateway string, counters []route.Counter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, p := m.now(), m.process(gateway)
	if counters == nil {
		return // it has connected
	}
	first := p.last == nil // what happened before we looked is no rate
	if first {
		p.last = make(map[key]route.Counter, len(counters))
	}
	for _, c := range counters {
		k, said := key{c.Route, c.Group}, c.Name
		c.Name = ""
		had := p.last[k]
		p.last[k] = c
		more := since(c, had)
		s := m.of(k)
		if said != "" && len(said) <= maxName && m.series[k] == s {
			s.said = said
		}
		add(&s.total, more)
		s.total.Active += c.Active - had.Active
		s.changed = now
		if !first {
			s.recent.add(now, more)
		} else if m.wasThere(gateway, p) && more != (route.Counter{Route: c.Route, Group: c.Group, Active: c.Active}) {
			if s.before == nil {
				s.before = &route.Counter{}
			}
			add(s.before, more)
		}
	}
}

// wasThere reports that what a gateway tells first may have been counted before we
// were there. Its name says when it began, where it is one of ours.
func (m *Meter) wasThere(gateway string, p *process) bool {
	now := m.now()
	if now.Sub(p.heard) >= reports {
		return false // it has told already that it had counted nothing
	}
	if began, ok := id.Time(gateway); ok {
		return began.Before(m.began)
	}
	return now.Sub(m.began) < settled
}

// Load takes what a gateway process has open.
func (m *Meter) Load(gateway string, l route.Load) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.process(gateway)
	m.accepted += l.Accepted - min(p.load.Accepted, l.Accepted)
	m.logLost += l.LogLost - min(p.load.LogLost, l.LogLost)
	p.load = l
}

// Dropped takes how many access records were lost.
func (m *Meter) Dropped(n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropped += n
}

// maxTrips bounds the trips that are known apart.
const maxTrips = 10_000

// Tripped takes trips of guards; one that is said again is known.
func (m *Meter) Tripped(trips []route.Trip) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range trips {
		if len(m.trips) < maxTrips {
			m.trips[trip{t.Key, t.Group}] = t.Measure
		}
	}
}

// Forget lets go of pairs that have not changed for long and that dir does not
// know any more.
func (m *Meter) Forget(dir Directory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.now().Add(-m.limits.Forget)
	for k, s := range m.series {
		if !s.changed.Before(before) || s.total.Active > 0 {
			continue
		}
		if _, known := dir(k.route, k.group); known {
			continue
		}
		delete(m.series, k)
		for _, p := range m.processes {
			delete(p.last, k)
		}
	}
	m.forgetJourneys(before)
}

// Living forgets the gateway processes that are not named: what they had counted
// stays, what they had open is gone.
func (m *Meter) Living(gateways ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	alive := map[string]bool{}
	for _, g := range gateways {
		alive[g] = true
	}
	for name, p := range m.processes {
		if alive[name] {
			continue
		}
		for k, c := range p.last {
			m.of(k).total.Active -= c.Active
		}
		delete(m.processes, name)
	}
}

func (m *Meter) process(gateway string) *process {
	p := m.processes[gateway]
	if p == nil {
		p = &process{heard: m.now()}
		m.processes[gateway] = p
	}
	return p
}

// of finds a pair's series, or makes one where there is a place.
func (m *Meter) of(k key) *series {
	if s := m.series[k]; s != nil {
		return s
	}
	if len(m.series) >= m.limits.Series && k != others {
		m.over++
		return m.of(others)
	}
	s := &series{}
	m.series[k] = s
	return s
}

// since is what a process counted after it had said had.
func since(now, had route.Counter) route.Counter {
	if now.Requests() < had.Requests() || now.Retries < had.Retries || now.Ejections < had.Ejections || now.Sent < had.Sent || now.Received < had.Received {
		had = route.Counter{}
	}
	for i := range now.Classes {
		now.Classes[i] -= min(had.Classes[i], now.Classes[i])
	}
	for i := range now.Latency {
		now.Latency[i] -= min(had.Latency[i], now.Latency[i])
	}
	now.Took -= had.Took
	now.Sent -= had.Sent
	now.Received -= had.Received
	now.Retries -= had.Retries
	now.Ejections -= had.Ejections
	return now
}

// add adds all but Active.
func add(to *route.Counter, c route.Counter) {
	for i := range c.Classes {
		to.Classes[i] += c.Classes[i]
	}
	for i := range c.Latency {
		to.Latency[i] += c.Latency[i]
	}
	to.Took += max(c.Took, 0)
	to.Sent += c.Sent
	to.Received += c.Received
	to.Retries += c.Retries
	to.Ejections += c.Ejections
}
