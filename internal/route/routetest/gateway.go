// Package routetest holds a gateway in memory for tests of the control plane,
// and the suite that it and the real one pass.
package routetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/route/wire"
)

// Gateway speaks with a hub like the real one and moves no traffic: requests
// are begun and ended by the test.
type Gateway struct {
	socket     string
	generation string

	mu       sync.Mutex // guards what follows, and every write on conn
	conn     net.Conn
	table    *route.Table
	flight   map[string]int // requests by instance id
	streams  map[string]int // those of them that are streams
	counts   map[[2]string]*route.Counter
	hold     bool // tables are taken but not acknowledged
	withheld []uint64
	changed  chan struct{}
}

// NewGateway wires a gateway for the hub at a unix socket; Run dials it.
func NewGateway(socket string) *Gateway {
	return &Gateway{
		socket: socket, generation: id.New(), flight: map[string]int{}, streams: map[string]int{}, counts: map[[2]string]*route.Counter{},
		changed: make(chan struct{}),
	}
}

// Run keeps a stream to the hub until ctx ends, then takes its leave.
func (g *Gateway) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", g.socket)
		if err == nil {
			err = g.session(ctx, conn)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// session returns nil after it took its leave, an error when the hub went away.
func (g *Gateway) session(ctx context.Context, conn net.Conn) error {
	g.mu.Lock()
	var version uint64
	if g.table != nil {
		version = g.table.Version
	}
	err := wire.Write(conn, &wire.Message{Hello: &wire.Hello{Generation: g.generation, PID: os.Getpid(), Version: version}})
	g.conn = conn
	g.mu.Unlock()
	left := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(left)
		g.say(&wire.Message{State: &wire.State{Gone: true}})
		_ = conn.Close()
	})
	for err == nil {
		var m *wire.Message
		if m, err = wire.Read(conn, wire.DefaultMaxFrame); err == nil && m.Table != nil {
			g.take(m)
		}
	}
	if !stop() {
		<-left
		return nil
	}
	_ = conn.Close()
	return err
}

// take puts a table in use and says so.
func (g *Gateway) take(m *wire.Message) {
	t, err := route.Decode(m.Table)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		var bad struct{ Version uint64 }
		_ = json.Unmarshal(m.Table, &bad) // what cannot be read stays 0
		g.write(&wire.Message{Ack: &wire.Ack{Version: bad.Version, Refused: err.Error()}})
		return
	}
	g.table = t
	if g.hold {
		g.withheld = append(g.withheld, t.Version)
	} else {
		g.ack(t.Version)
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

// ack acknowledges a version. The caller holds the lock.
func (g *Gateway) ack(version uint64) {
	ack := wire.Ack{Version: version}
	for instance, n := range g.flight {
		if n > 0 && !g.holds(instance) {
			ack.Busy = append(ack.Busy, instance)
			ack.Left = append(ack.Left, g.left(instance))
		}
	}
	slices.Sort(ack.Busy)
	g.write(&wire.Message{Ack: &ack})
}

// left says what an instance has. The caller holds the lock.
func (g *Gateway) left(instance string) wire.Left {
	return wire.Left{Instance: instance, Requests: g.flight[instance] > g.streams[instance], Streams: g.streams[instance] > 0}
}

// tell says what is left at an instance, where it left the table. The caller
// holds the lock.
func (g *Gateway) tell(instance string) {
	switch {
	case g.holds(instance):
	case g.flight[instance] == 0:
		g.write(&wire.Message{Idle: &wire.Idle{Instances: []string{instance}}})
	default:
		g.write(&wire.Message{Idle: &wire.Idle{Left: []wire.Left{g.left(instance)}}})
	}
}

func (g *Gateway) holds(instance string) bool {
	if g.table == nil {
		return false
	}
	for in := range g.table.Instances {
		if in.ID == instance {
			return true
		}
	}
	return false
}

// Hold makes the gateway take tables without acknowledging them, until Release.
func (g *Gateway) Hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = true
}

// Release acknowledges what was held back.
func (g *Gateway) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = false
	for _, version := range g.withheld {
		g.ack(version)
	}
	g.withheld = nil
}

// Eject reports an instance as one that does not answer.
func (g *Gateway) Eject(e route.Ejection) { g.say(&wire.Message{Ejected: []route.Ejection{e}}) }

// Trip says that a guard tripped, as the gateway does when it happens.
func (g *Gateway) Trip(t route.Trip) { g.say(&wire.Message{Trips: []route.Trip{t}}) }

// Table waits until a table is in use and returns it.
func (g *Gateway) Table(ctx context.Context) (*route.Table, error) {
	for {
		g.mu.Lock()
		t, changed := g.table, g.changed
		g.mu.Unlock()
		if t != nil {
			return t, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// Begin starts a request and returns the instance it went to: the least busy one
// of the heaviest group. It stays in flight until end is called.
func (g *Gateway) Begin(host, path string) (instance string, end func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.table == nil {
		return "", nil, errors.New("503: no table yet")
	}
	x := route.NewIndex[*route.Entry]()
	for i := range g.table.Routes {
		x.Add(g.table.Routes[i].Host, g.table.Routes[i].Path, &g.table.Routes[i])
	}
	e, ok := x.Find(host, path)
	if !ok {
		return "", nil, fmt.Errorf("404: nothing at %s", route.Name(host, path))
	}
	var best *route.Group
	for i := range e.Groups {
		if len(e.Groups[i].Instances) > 0 && (best == nil || e.Groups[i].Weight > best.Weight) {
			best = &e.Groups[i]
		}
	}
	if best == nil || best.Weight == 0 {
		return "", nil, fmt.Errorf("503: %s has no healthy instance", e.App.Name)
	}
	in := slices.MinFunc(best.Instances, func(a, b route.Instance) int { return g.flight[a.ID] - g.flight[b.ID] })
	g.flight[in.ID]++
	began := time.Now()
	return in.ID, sync.OnceFunc(func() { g.end(e, best, in, host, path, began) }), nil
}

// Ask starts a request like Begin. With answer it becomes a stream.
func (g *Gateway) Ask(host, path string) (instance string, answer, end func(), err error) {
	instance, done, err := g.Begin(host, path)
	count := func(n int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.streams[instance] += n
		if n > 0 {
			g.tell(instance)
		}
	}
	begun := false
	answer = func() { begun = true; count(1) }
	end = func() {
		if begun {
			count(-1)
		}
		done()
	}
	return instance, answer, end, err
}

func (g *Gateway) end(e *route.Entry, group *route.Group, in route.Instance, host, path string, began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flight[in.ID]--
	g.tell(in.ID)
	key := [2]string{e.ID, group.ID}
	c := g.counts[key]
	if c == nil {
		c = &route.Counter{Route: e.ID, Group: group.ID}
		g.counts[key] = c
	}
	c.Classes[2]++
	c.Took += time.Since(began)
	g.write(&wire.Message{Counters: []route.Counter{*c}})
	app := e.App
	if group.App != nil {
		app = *group.App
	}
	g.write(&wire.Message{Access: &wire.Access{Records: []route.Access{{
		Time: began, Method: "GET", Host: host, URI: path, Proto: "HTTP/1.1", Status: 200, Took: time.Since(began),
		Route: e.ID, App: app, Group: group.ID, Instance: in.ID, Index: in.Index, Upstream: in.Address, Attempts: 1,
	}}}})
}

func (g *Gateway) say(m *wire.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.write(m)
}

// write sends a message; one that is lost with its stream is made good by the
// next acknowledgement. The caller holds the lock.
func (g *Gateway) write(m *wire.Message) {
	if g.conn != nil && wire.Write(g.conn, m) != nil {
		_ = g.conn.Close()
		g.conn = nil
	}
}
