package traces

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
)

// Call is how one service called another.
type Call struct {
	From, To string
	Calls    int64
	Errors   int64
	Took     time.Duration // sum over all calls, as the one called measured it where it did
	Slowest  time.Duration
}

// Graph says who called whom.
type Graph struct {
	Calls []Call // by who calls, and whom
	Spans int    // that it is made of
	Over  bool   // there were more than are looked at: it is made of the newest
	Since time.Time
	Until time.Time
}

// Gateway is the service of the gateway's own spans. In a graph the gateway is
// nobody's middleman: who calls an app through it called that app.
const Gateway = "gateway"

// graphSpans bounds a graph.
const graphSpans = 2_000_000

// half a span, as the graph knows it.
type node struct {
	key, parent uint64 // of trace and span
	took        int64
	service     uint32
	remote      uint32
	kind        Kind
	failed      bool
	shared      bool
	root        bool
	called      bool // somebody else's span is its child
}

// GraphQuery says which calls are wanted.
type GraphQuery struct {
	App   app.ID      // only calls from and to its services; "": all
	Space app.SpaceID // likewise, where App is ""
	Since time.Time
	Until time.Time // before it
}

func (q GraphQuery) narrow() bool { return q.App != "" || q.Space != "" }

// wants reports whether services of an owner are asked for.
func (q GraphQuery) wants(o Owner) bool {
	if q.App != "" {
		return o.App == q.App
	}
	return q.Space != "" && o.Space == q.Space
}

// Graph returns the calls that started in a time, as far as a reader sees both
// ends.
func (s *Store) Graph(ctx context.Context, r Reader, q GraphQuery) (Graph, error) {
	since, until := q.Since, q.Until
	g := Graph{Since: since, Until: until}
	w := words{number: map[string]uint32{"": 0}, all: []string{""}}
	var nodes []node
	own := map[uint32]bool{} // services that are asked for
	err := s.eachDay(ctx, func(d *dayfile.File) (bool, error) {
		before := len(nodes)
		err := nodesOf(ctx, d, s.press, r, q, &w, own, &nodes)
		if err != nil {
			nodes = nodes[:before]
		}
		if len(nodes) > graphSpans {
			nodes, g.Over = nodes[:graphSpans], true
		}
		return !g.Over, err
	})
	if err != nil {
		return g, err
	}
	g.Spans = len(nodes)
	for c, sum := range join(nodes, w.of(Gateway)) {
		if q.narrow() && !own[c.from] && !own[c.to] {
			continue
		}
		g.Calls = append(g.Calls, Call{w.all[c.from], w.all[c.to], sum.Calls, sum.Errors, sum.Took, sum.Slowest})
	}
	slices.SortFunc(g.Calls, func(a, b Call) int {
		return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
	return g, nil
}

// nodesOf reads the spans of a day, newest first.
func nodesOf(ctx context.Context, d *dayfile.File, p *dayfile.Press, r Reader, q GraphQuery, w *words, own map[uint32]bool, into *[]node) error {
	where, args := blocksOf(r, "", q.Since, q.Until)
	rows, err := d.Reader.QueryContext(ctx, `SELECT space, app, data FROM blocks WHERE `+where+` ORDER BY id DESC`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() && len(*into) <= graphSpans {
		var of Owner
		var data []byte
		if err := rows.Scan(&of.Space, &of.App, &data); err != nil {
			return err
		}
		b, err := openBlock(p, data)
		if err != nil {
			continue
		}
		number := make(map[uint32]uint32)
		word := func(n uint32) uint32 {
			to, ok := number[n]
			if !ok {
				to = w.of(strings.Clone(b.words[n]))
				number[n] = to
			}
			return to
		}
		for i := range b.len() {
			if at := b.starts[i]; at < q.Since.UnixNano() || at >= q.Until.UnixNano() {
				continue
			}
			parent := b.parent(i)
			trace := b.trace(i)
			n := node{
				key: keyOf(trace, b.id(i)), took: b.took[i], service: word(b.service[i]), remote: word(b.remote[i]),
				kind: b.kind(i), failed: b.failed(i), shared: b.flags[i]&flagShared != 0, root: parent.IsZero(),
			}
			if !n.root {
				n.parent = keyOf(trace, parent)
			}
			switch {
			case !q.wants(of):
			case b.words[b.service[i]] == Gateway:
				own[n.remote] = true // the app, by its name
			default:
				own[n.service] = true
			}
			*into = append(*into, n)
		}
	}
	return rows.Err()
}

func keyOf(t ID, s SpanID) uint64 {
	return dayfile.Spread(t.low()*0x9e3779b97f4a7c15 ^ binary.BigEndian.Uint64(s[:]))
}

type edge struct{ from, to uint32 }

// join finds the calls among spans.
func join(nodes []node, gateway uint32) map[edge]*Call {
	asks, others := make(map[uint64]int32, len(nodes)/2), make(map[uint64]int32, len(nodes)/2)
	for i := range nodes {
		if nodes[i].kind.asks() {
			asks[nodes[i].key] = int32(i)
		} else {
			others[nodes[i].key] = int32(i)
		}
	}
	find := func(key uint64, first, then map[uint64]int32) *node {
		if i, ok := first[key]; ok {
			return &nodes[i]
		}
		if i, ok := then[key]; ok {
			return &nodes[i]
		}
		return nil
	}
	above := func(n *node) *node {
		if !n.kind.asks() { // Zipkin: both halves may have one id
			if i, ok := asks[n.key]; ok {
				return &nodes[i]
			}
		}
		if n.root {
			return nil
		}
		return find(n.parent, others, asks)
	}
	// through is who called by way of gateways.
	through := func(n *node) *node {
		for range 8 { // spans may be each other's parents
			if n == nil || n.service != gateway {
				return n
			}
			up := above(n)
			if up == nil {
				return n
			}
			up.called = true
			n = up
		}
		return nil
	}
	out := map[edge]*Call{}
	add := func(from, to uint32, n *node) {
		e := edge{from, to}
		c := out[e]
		if c == nil {
			c = &Call{}
			out[e] = c
		}
		c.Calls++
		if n.failed {
			c.Errors++
		}
		c.Took += time.Duration(n.took)
		c.Slowest = max(c.Slowest, time.Duration(n.took))
	}
	for i := range nodes {
		n := &nodes[i]
		up := above(n)
		if n.service == gateway { // what it called speaks for itself, see below where it does not
			if up != nil && n.remote != 0 {
				up.called = true
			}
			continue
		}
		if up == nil {
			if !n.kind.asks() && n.remote != 0 && n.kind != Internal {
				add(n.remote, n.service, n) // it knows who called
			}
			continue
		}
		calls := n.service != up.service || up.kind.asks() && (n.kind == Server || n.kind == Consumer)
		if !calls {
			continue
		}
		up.called = true
		if from := through(up); from != nil {
			add(from.service, n.service, n)
		}
	}
	for i := range nodes {
		n := &nodes[i]
		switch {
		case n.called || n.remote == 0:
		case n.service == gateway: // an app that reports no spans
			if from := through(n); from != nil {
				add(from.service, n.remote, n)
			}
		case n.kind.asks():
			add(n.service, n.remote, n)
		}
	}
	return out
}
