package gateway

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/route"
	"naru/internal/route/bucket"
	"naru/internal/route/h1"
)

// Bounds of copies for a comparison.
const (
	pairsPerSecond = 10              // requests of one route that are copied, each to both groups
	pairLimit      = 5 * time.Second // until the answer to a copy is through; what took its visitor longer is not copied

	// An instance of the side with fewer has copies for a tenth of its time at most:
	// where it does one thing at a time, its visitors would wait for them, and it would
	// look slower than one of the other side. A copy that hangs rests no longer than
	// one of a second.
	pairRest     = 9
	pairRestMost = time.Second
)

// pairing sends copies of a route's safe requests to two of its groups, which are
// compared by their answers. Both get each, so that what a second request does,
// and what marks a copy, is the same for both; what the visitor was answered
// counts for neither. It belongs to one view.
type pairing struct {
	sides  [2]*group // the group, and its pair
	most   int32     // pairs at once: a copy for each instance of the side with fewer
	pace   *pairPace
	copies *copies
}

// pairPace outlives the table.
type pairPace struct {
	rate   *bucket.Buckets
	atOnce atomic.Int32
	rested atomic.Int64 // until then nothing is copied, as now tells it in nanoseconds
}

// ready reports that a pair may begin now; it takes a token for it.
func (p *pairing) ready(now int64) bool {
	return p.pace.atOnce.Load() < p.most && now >= p.pace.rested.Load() && p.pace.rate.Take(now) == 0
}

// rest lets instances rest from a pair that took so long.
func (p *pairing) rest(now int64, took time.Duration) {
	more := pairRest * min(took, pairRestMost).Nanoseconds() / int64(p.most)
	for {
		old := p.pace.rested.Load()
		if p.pace.rested.CompareAndSwap(old, max(old, now)+more) {
			return
		}
	}
}

// newPairing makes the copies of an entry ready; nil where none are wanted, one
// side has no instance, or its guard has taken the traffic away.
func (t *tables) newPairing(e *entry, tripped []bool, was *entry, next *view) *pairing {
	for i := range e.spec.Groups {
		g := &e.spec.Groups[i]
		if g.Pair == "" || tripped[i] {
			continue
		}
		for j := range e.spec.Groups {
			other := &e.spec.Groups[j]
			if other.ID != g.Pair || len(g.Instances) == 0 || len(other.Instances) == 0 {
				continue
			}
			p := &pairing{copies: t.copies, most: int32(min(len(g.Instances), len(other.Instances)))}
			p.sides = [2]*group{t.side(e, g, next), t.side(e, other, next)}
			if was != nil && was.pairing != nil {
				p.pace = was.pairing.pace
			} else {
				p.pace = &pairPace{rate: bucket.New(pairsPerSecond, time.Second, 0, false)}
			}
			return p
		}
	}
	return nil
}

// side is a group of its own, as that of a mirror: what becomes of copies is no
// evidence for guards, breakers and journeys.
func (t *tables) side(e *entry, g *route.Group, next *view) *group {
	made := &group{id: g.ID, name: g.Name, app: e.spec.App, count: t.reports.counter(e.spec.ID, g.ID+route.Pairs).named(g.Name + route.Pairs)}
	for _, in := range g.Instances {
		made.backends = append(made.backends, next.backends[backendKey{in.ID, in.Address, g.Protocol == route.HTTP2}])
	}
	return made
}

// twins is a request that is copied once it has been answered.
type twins struct {
	pairing *pairing
	text    []byte
}

// safe reports whether a request may be sent again by what RFC 9110 says of it.
func (x *exchange) safe() bool {
	switch string(x.req.Method) {
	case "GET", "HEAD":
		return x.upload.framing.Kind == h1.None && !x.switches()
	}
	return false
}

// twin keeps a request that is just being sent, where it is one to be copied. head
// is what the instance is sent.
func (x *exchange) twin(head []byte) {
	p := x.entry.pairing
	if x.twins != nil || x.attempts > 1 || x.group.id != p.sides[0].id && x.group.id != p.sides[1].id || !x.safe() ||
		headerOf(x.req, mirrorField) != nil || !p.ready(x.start.Sub(began).Nanoseconds()) {
		return
	}
	x.twins = &twins{p, append(make([]byte, 0, len(head)), head...)}
}

// paired sends the copies of a request that has ended: its visitor waits for
// nothing any more.
func (x *exchange) paired(took time.Duration) {
	if t := x.twins; x.status != 0 && x.attempts == 1 && took <= pairLimit {
		t.pairing.send(t.text)
	}
}

// send sends both copies at the same time, if there is room for them and both
// sides are in service.
func (p *pairing) send(text []byte) {
	if p.pace.atOnce.Add(1) > p.most {
		p.pace.atOnce.Add(-1)
		return
	}
	p.copies.running.Go(func() {
		defer p.pace.atOnce.Add(-1)
		a, b := p.sides[0].acquire(), p.sides[1].acquire()
		if a != nil {
			defer a.release()
		}
		if b != nil {
			defer b.release()
		}
		if a != nil && b != nil {
			p.deliver(text, [2]*backend{a, b})
		}
	})
}

// came is what became of a copy.
type came struct {
	status int
	took   time.Duration
	got    int64
}

// deliver counts both copies together, or none when the gateway ends meanwhile: a
// comparison is told of as many of each side.
func (p *pairing) deliver(text []byte, to [2]*backend) {
	var answers [2]came
	var both sync.WaitGroup
	first := rand.IntN(2)
	for _, i := range [2]int{first, 1 - first} {
		both.Go(func() {
			begun := time.Now()
			status, got := p.copies.deliver(text, to[i], pairLimit)
			answers[i] = came{status, time.Since(begun), got}
		})
	}
	both.Wait()
	p.rest(time.Since(began).Nanoseconds(), max(answers[0].took, answers[1].took))
	if p.copies.base.Err() != nil {
		return
	}
	for i, a := range answers {
		p.sides[i].count.ended(a.status, a.took, a.got, 0)
	}
}

// acquire counts a request in at an instance that is in service; nil for none.
func (g *group) acquire() *backend {
	start := rand.IntN(len(g.backends))
	for i := range g.backends {
		if b := g.backends[(start+i)%len(g.backends)]; b.serving() && b.acquire() {
			return b
		}
	}
	return nil
}
