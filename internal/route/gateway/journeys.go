package gateway

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"naru/internal/route"
)

// journey is a journey made ready to be compared with requests.
type journey struct {
	name     string
	methods  []string
	host     string
	any      bool // every path
	segments []segment
	rest     bool // what follows the segments does not matter
	statuses []int
	within   []time.Duration
	spec     *route.Counted
}

// segment is one part of a path between slashes.
type segment struct {
	text string // exactly that
	any  bool   // or anything but nothing
}

func newJourney(spec *route.Counted) *journey {
	j := &journey{name: spec.Name, methods: spec.Methods, host: spec.Host, any: spec.Path == "", statuses: spec.Statuses, spec: spec}
	for _, d := range spec.Within {
		j.within = append(j.within, d.Std())
	}
	if j.any {
		return j
	}
	for s := range strings.SplitSeq(strings.TrimPrefix(spec.Path, "/"), "/") {
		switch {
		case strings.HasSuffix(s, "...}"):
			j.rest = true
		case strings.HasPrefix(s, "{"):
			j.segments = append(j.segments, segment{any: true})
		default:
			j.segments = append(j.segments, segment{text: s})
		}
	}
	return j
}

// matches reports that a request is on the journey: as app.Journey.Matches says,
// with what was made ready.
func (j *journey) matches(method []byte, host, path string) bool {
	if len(j.methods) > 0 && !slices.ContainsFunc(j.methods, func(m string) bool { return m == string(method) }) {
		return false
	}
	if j.host != "" && !strings.EqualFold(j.host, host) {
		return false
	}
	if j.any {
		return true
	}
	if path == "" || path[0] != '/' {
		return false
	}
	rest, more := path[1:], true
	for _, s := range j.segments {
		if !more {
			return false
		}
		var got string
		got, rest, more = strings.Cut(rest, "/")
		if s.any && got == "" || !s.any && got != s.text {
			return false
		}
	}
	return more == j.rest
}

// tour counts the requests of a journey that one group answered, without a lock.
type tour struct {
	*journey
	cells []atomic.Uint64 // as route.JourneyCounter.Cells
	round atomic.Uint64   // of the last table that named it
	used  atomic.Int64    // unix seconds of that
}

// count counts a request that has ended. Status 0 is one that was not answered.
func (t *tour) count(status int, took time.Duration) {
	row := status / 100
	if row < 0 || row > 5 {
		return
	}
	for i, s := range t.statuses {
		if s == status {
			row = 6 + i
			break
		}
	}
	width := 1 + len(t.within)
	t.cells[row*width].Add(1)
	for i, most := range t.within {
		if took <= most {
			t.cells[row*width+1+i].Add(1)
		}
	}
}

// toured counts a request that has ended on the journeys it was on.
func (x *exchange) toured(tours []*tour, took time.Duration) {
	if x.req == nil {
		return
	}
	for _, t := range tours {
		if t.matches(x.req.Method, x.host, x.path) {
			t.count(x.status, took)
		}
	}
}

// journeys are those of a table by app.
func journeys(t *route.Table) map[string][]*journey {
	if len(t.Journeys) == 0 {
		return nil
	}
	out := make(map[string][]*journey, len(t.Journeys))
	for i := range t.Journeys {
		for k := range t.Journeys[i].Counted {
			id := t.Journeys[i].App
			out[id] = append(out[id], newJourney(&t.Journeys[i].Counted[k]))
		}
	}
	return out
}

// tours gives a counter the tours of its app's journeys, as a group counts them.
func (r *reports) tours(c *counter, of []*journey, app, group string) *counter {
	if len(of) == 0 {
		if c.tours.Load() != nil {
			c.tours.Store(nil)
		}
		return c
	}
	all := make([]*tour, len(of))
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now().Unix()
	for i, j := range of {
		key := tourKey{app, group, j.spec.Name, layout(j.spec)}
		t := r.toured[key]
		if t == nil {
			t = &tour{journey: j, cells: make([]atomic.Uint64, route.CellCount(len(j.statuses), len(j.within)))}
			r.toured[key] = t
		}
		t.round.Store(r.round)
		t.used.Store(now)
		all[i] = t
	}
	c.tours.Store(&all)
	return c
}

// tourKey tells tours apart: what was counted in another way is another one.
type tourKey struct{ app, group, journey, layout string }

func layout(c *route.Counted) string {
	return route.JourneyCounter{Statuses: c.Statuses, Within: c.Within}.Key()
}

// total is what a tour counted.
func (t *tour) total(key tourKey) route.JourneyCounter {
	out := route.JourneyCounter{App: key.app, Group: key.group, Journey: key.journey, Statuses: t.statuses, Within: slices.Clone(t.spec.Within), Cells: make([]uint64, len(t.cells))}
	for i := range t.cells {
		out.Cells[i] = t.cells[i].Load()
	}
	return out
}

// ended is how many requests a tour counted.
func (t *tour) ended() (n uint64) {
	for i := 0; i < len(t.cells); i += 1 + len(t.within) {
		n += t.cells[i].Load()
	}
	return n
}

// walked lists the tours that counted since they were last in seen, and forgets
// those whose journey or group is long gone.
func (r *reports) walked(seen map[tourKey]uint64) []route.JourneyCounter {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []route.JourneyCounter
	now := time.Now().Unix()
	for key, t := range r.toured {
		n := t.ended()
		switch {
		case n != seen[key]:
			seen[key] = n
			out = append(out, t.total(key))
		case t.round.Load() != r.round && now-t.used.Load() > int64(forget/time.Second):
			delete(r.toured, key)
			delete(seen, key)
		}
	}
	return out
}
