package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"naru/internal/route"
	"naru/internal/route/breaker"
	"naru/internal/route/guard"
	"naru/internal/route/prober"
	"naru/internal/route/rendezvous"
)

// view is a table made ready to serve from. It is built whole and then only
// read.
type view struct {
	table    *route.Table
	index    *route.Index[*entry]
	byID     map[string]*entry
	passages map[string]*passage // TCP routes by id
	byPort   map[int]*passage
	bySNI    *route.Index[*passage] // nil where there are none
	backends map[backendKey]*backend
	asked    map[prober.Question]struct{} // about instances; nil: none
	trials   []trial                      // guarded groups whose instances are asked
	journeys map[string][]*journey        // by app
	waiting  bool                         // the table is of another boot, or there is none yet: no address may be trusted
}

type backendKey struct {
	instance, address string
	http2             bool
}

func (b *backend) key() backendKey { return backendKey{b.instance.ID, b.instance.Address, b.http2} }

// entry is a route of a view.
type entry struct {
	spec     *route.Entry
	groups   []*group
	matches  []*group // groups that some requests come to whatever the weights say
	spare    *group   // what ran before, without weight, for when no instance of the others accepts a connection; may be nil
	own      *counter // answers the gateway gave itself
	policy   *policy  // nil where the route asks for nothing
	sampling sampling // of traces
	retries  retries
	mirror   *mirror  // nil where nothing is copied
	pairing  *pairing // nil where nothing is copied for a comparison
	sticky   *sticky  // nil where visitors go anywhere
	others   []*entry // of the same place, each with a condition; asked in order before this one
	none     bool     // there is no route for requests that meet no condition: only the others count
}

// group is a server group of an entry. The ones without weight or instances are
// left out: they take no new request.
type group struct {
	id       string
	name     string
	app      route.App
	weight   int
	until    int    // weights of the groups up to and with this one
	seed     uint64 // of the group, for values that choose one
	backends []*backend
	count    *counter
	compared compared
	match    *route.Match
	breaker  *breaker.Breaker // nil: it is never spared
}

// tables holds the present view and the backends that left it busy.
type tables struct {
	cfg        Config
	reports    *reports
	prober     *prober.Prober
	asking     func(context.Context, *backend, route.Probe) error // asks an instance how it is
	translator *translator
	copies     *copies
	guards     guard.Set
	stocked    stocked
	now        atomic.Pointer[view]

	mu      sync.Mutex              // guards what follows, and is held while a table is put in use
	leaving map[backendKey]*backend // out of the table, with requests
}

func newTables(cfg Config, r *reports) *tables {
	t := &tables{cfg: cfg, reports: r, prober: prober.New(r.ejected), asking: newAsking(), copies: newCopies(cfg.UpstreamIdle), leaving: map[backendKey]*backend{}}
	t.now.Store(&view{table: &route.Table{}, index: route.NewIndex[*entry](), waiting: true})
	return t
}

func (t *tables) view() *view { return t.now.Load() }

func (t *tables) version() uint64 { return t.view().table.Version }

// apply makes a table the one new requests use. Backends and counters are taken
// over from the view before.
func (t *tables) apply(table *route.Table) error {
	if err := table.Check(); err != nil {
		return fmt.Errorf("table %d: %w", table.Version, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.guards.Update(table)
	t.put(table)
	return nil
}

// put makes a view of a table the present one. The caller holds the lock.
func (t *tables) put(table *route.Table) {
	t.reports.begin()
	old := t.view()
	next := &view{
		table: table, index: route.NewIndex[*entry](), byID: make(map[string]*entry, len(table.Routes)),
		backends: make(map[backendKey]*backend, len(old.backends)),
		journeys: journeys(table),
		waiting:  table.Boot != "" && t.cfg.Boot != "" && table.Boot != t.cfg.Boot,
	}
	for i := range table.Routes {
		spec := &table.Routes[i]
		e := t.entry(spec, old, next)
		next.byID[spec.ID] = e
		next.add(e)
	}
	t.passages(table, old, next)
	t.now.Store(next)
	if next.waiting { // its addresses may be anybody's
		next.asked, next.trials = nil, nil
	}
	t.prober.Want(next.asked)
	for id, e := range old.byID {
		if now := next.byID[id]; now != nil {
			e.policy.retire(now.policy)
		} else {
			e.policy.retire(nil)
		}
	}
	// Only now, that nobody new can find them, do backends leave: whoever found one
	// just before is either counted or sent back to the new view.
	for key, b := range old.backends {
		if next.backends[key] != nil {
			continue
		}
		if b.leave() {
			t.leaving[key] = b
		} else {
			b.close()
		}
	}
	t.reports.applied(table.Version, t.busy())
}

func (t *tables) entry(spec *route.Entry, old, next *view) *entry {
	e := &entry{spec: spec, own: t.reports.tours(t.reports.counter(spec.ID, ""), next.journeys[spec.App.ID], spec.App.ID, "")}
	var before *policy
	if was := old.byID[spec.ID]; was != nil {
		before = was.policy
	}
	e.policy = newPolicy(spec.Policy, before)
	e.sampling = newSampling(spec.Tracing(), &t.cfg, old.byID[spec.ID])
	e.retries = newRetries(e.policy, t.cfg.Attempts)
	total := 0
	weights, tripped := t.guards.Weights(spec)
	for i := range spec.Groups {
		g := &spec.Groups[i]
		backends := make([]*backend, len(g.Instances))
		for j, in := range g.Instances {
			backends[j] = t.backend(in, g.Protocol == route.HTTP2, old, next)
			next.ask(backends[j], e.policy)
		}
		matches := g.Match != nil && !tripped[i]
		spare := weights[i] == 0 && baseline(spec, g.ID)
		if weights[i] == 0 && !matches && !spare || len(backends) == 0 {
			continue
		}
		total += weights[i]
		app := spec.App
		if g.App != nil {
			app = *g.App
		}
		made := &group{id: g.ID, name: g.Name, app: app, weight: weights[i], until: total, seed: rendezvous.Hash(g.ID), backends: backends, count: t.reports.tours(t.reports.counter(spec.ID, g.ID).named(g.Name), next.journeys[app.ID], app.ID, g.ID), match: g.Match}
		made.compared.watch, made.compared.side, made.compared.share = t.guards.Of(spec, i)
		if made.compared.watch == nil { // else the guard judges, and silence would look like success to it
			made.breaker = e.policy.breaker(spec.ID, g.ID, before, t.reports)
		}
		if matches {
			e.matches = append(e.matches, made)
		}
		if weights[i] > 0 {
			e.groups = append(e.groups, made)
		}
		if spare {
			e.spare = made
		}
	}
	if len(e.groups) == 0 && e.spare != nil { // nobody else is there
		e.spare.weight, e.spare.until = 1, 1
		e.groups = []*group{e.spare}
	}
	next.trials = append(next.trials, trialsOf(e)...)
	e.sticky = newSticky(e)
	e.mirror = t.newMirror(e, before, next)
	e.pairing = t.newPairing(e, tripped, old.byID[spec.ID], next)
	return e
}

// baseline reports that a group is what a guarded one of its entry is compared
// with.
func baseline(e *route.Entry, id string) bool {
	return slices.ContainsFunc(e.Groups, func(g route.Group) bool { return g.Guard != nil && g.Guard.Baseline == id })
}

// backend finds the object for an instance's address: in the next view, the
// present one, among those leaving, or a new one.
func (t *tables) backend(in route.Instance, http2 bool, old, next *view) *backend {
	key := backendKey{in.ID, in.Address, http2}
	if b := next.backends[key]; b != nil {
		return b
	}
	b := old.backends[key]
	if left := t.leaving[key]; left != nil {
		b = left
		b.enter()
		delete(t.leaving, key)
	}
	if b == nil {
		b = &backend{instance: in, http2: http2, seed: rendezvous.Hash(in.ID), tables: t, pool: pool{among: &t.stocked}}
	}
	next.backends[key] = b
	return b
}

// tried are the backends a request has failed to connect to.
type tried []*backend

// pick chooses where a request goes: a group by weight, then the less loaded of
// two instances drawn at random. Instances that just refused a connection are
// passed over while another one is there. Nil means there is none left.
func (e *entry) pick(cfg *Config, skip tried) (*group, *backend) {
	if len(e.groups) == 0 {
		return nil, nil
	}
	first := 0
	if n := len(e.groups); n > 1 {
		draw := rand.IntN(e.groups[n-1].until)
		for e.groups[first].until <= draw {
			first++
		}
	}
	now := int64(0) // read only where an ejected backend asks for it
	for i := range e.groups {
		g := e.groups[(first+i)%len(e.groups)]
		if !g.admissible() {
			continue
		}
		if b := g.pick(cfg, skip, &now); b != nil && g.admits() {
			return g, b
		}
	}
	if e.spare != nil && e.spare.admissible() {
		if b := e.spare.pick(cfg, skip, &now); b != nil && e.spare.admits() {
			return e.spare, b
		}
	}
	// All are ejected. Trying one anyway is better than refusing everybody.
	for i := range e.groups {
		g := e.groups[(first+i)%len(e.groups)]
		start := rand.IntN(len(g.backends))
		for j := range g.backends {
			if b := g.backends[(start+j)%len(g.backends)]; !slices.Contains(skip, b) && g.admits() {
				return g, b
			}
		}
	}
	return nil, nil
}

// lighter chooses between two that are in service.
func lighter(a, b *backend) *backend {
	if b.busy() < a.busy() {
		a, b = b, a
	}
	if a.returning() && !b.returning() {
		return b
	}
	return a
}

// pick chooses in a group, among those in service.
func (g *group) pick(cfg *Config, skip tried, now *int64) *backend {
	n := len(g.backends)
	start := 0
	if n > 1 {
		start = rand.IntN(n)
		a, b := g.backends[start], g.backends[(start+1+rand.IntN(n-1))%n]
		if len(skip) == 0 {
			switch {
			case !a.serving() && a.available(cfg, now):
				return a
			case !b.serving() && b.available(cfg, now), !a.serving() && b.serving():
				return b
			case a.serving() && !b.serving():
				return a
			case a.serving():
				return lighter(a, b)
			}
		}
	}
	for j := range n {
		b := g.backends[(start+j)%n]
		if slices.Contains(skip, b) {
			continue
		}
		if b.available(cfg, now) {
			return b
		}
	}
	return nil
}
