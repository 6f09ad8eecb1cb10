package routetest

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/hub"
)

// Subject is a gateway under test. Run dials the hub until ctx ends; Begin
// starts a request that stays in flight until end is called, or says why it was
// not let in. Ask starts one that its instance has not begun to answer; with
// answer it becomes a stream, which end ends.
type Subject interface {
	Run(ctx context.Context) error
	Begin(host, path string) (instance string, end func(), err error)
	Ask(host, path string) (instance string, answer, end func(), err error)
}

// Made is a subject with two addresses at which instances may be said to live.
type Made struct {
	Subject
	Addresses [2]string
}

// limit is how long the suite waits for what has to happen.
const limit = 20 * time.Second

// Suite plays what control plane and gateway promise each other. start makes a
// subject for the hub at a unix socket; the suite runs it.
func Suite(t *testing.T, start func(t *testing.T, socket string) Made) {
	for name, play := range map[string]func(*testing.T, *stage){
		"an acknowledged table is in use":                  inUse,
		"an instance is idle after its last request":       drained,
		"a stream is told from an ordinary request":        streams,
		"an instance that comes back is not idle":          comesBack,
		"waiting for an instance in the table is an error": stillThere,
		"all gateways have to acknowledge":                 all,
		"the newest of many tables wins":                   newest,
		"a refused table does not block the next":          refused,
		"without a control plane the last table is used":   alone,
		"requests are reported":                            reported,
		"a gateway that leaves is forgotten":               leaves,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &stage{t: t, start: start, socket: filepath.Join(t.TempDir(), "s")}
			s.Hub, s.stopHub = s.open()
			s.Made = s.join()
			play(t, s)
		})
	}
}

// stage is a hub with one gateway.
type stage struct {
	t      *testing.T
	start  func(t *testing.T, socket string) Made
	socket string
	seen   Seen
	*hub.Hub
	stopHub func()
	Made
	leave func()
}

func (s *stage) open() (*hub.Hub, func()) {
	s.t.Helper()
	ln, err := hub.Listen(s.socket, 0)
	s.must(err)
	h := hub.New(hub.Config{Observer: &s.seen, Settle: time.Nanosecond, Interval: time.Millisecond}, slog.New(slog.NewTextHandler(s.t.Output(), nil)))
	return h, s.run(func(ctx context.Context) error { return h.Run(ctx, ln) })
}

func (s *stage) join() Made {
	m := s.start(s.t, s.socket)
	s.leave = s.run(m.Run)
	return m
}

// run starts a part and returns what stops it.
func (s *stage) run(part func(context.Context) error) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("stopped with %v", err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) ctx() context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	s.t.Cleanup(cancel)
	return ctx
}

// now is a context that lets nothing be waited for.
func now() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// publish brings a table with the given instances (0, 1) into use.
func (s *stage) publish(instances ...int) uint64 {
	s.t.Helper()
	v := s.Publish(s.table(instances...))
	s.must(s.WaitAcked(s.ctx(), v))
	return v
}

func (s *stage) table(instances ...int) route.Table {
	g := route.Group{ID: "g", Name: "shop-v001", Weight: 100, Instances: []route.Instance{}}
	for _, i := range instances {
		g.Instances = append(g.Instances, route.Instance{ID: names[i], Address: s.Addresses[i], Index: i})
	}
	return route.Table{Routes: []route.Entry{{
		ID: "r", Host: "shop.test", Path: "/", App: route.App{ID: "a", Name: "shop"}, Groups: []route.Group{g},
	}}}
}

var names = [2]string{"one", "two"}

func (s *stage) begin() (string, func()) {
	s.t.Helper()
	instance, end, err := s.Begin("shop.test", "/")
	s.must(err)
	return instance, end
}

// want begins and ends a request that has to reach an instance.
func (s *stage) want(instance string) {
	s.t.Helper()
	got, end := s.begin()
	end()
	if got != instance {
		s.t.Errorf("the request went to %s, want %s", got, instance)
	}
}

func inUse(t *testing.T, s *stage) {
	s.publish(0)
	s.want("one")
	s.publish(1)
	s.want("two")
	s.publish()
	if instance, _, err := s.Begin("shop.test", "/"); err == nil {
		t.Errorf("the request went to %s, want a refusal", instance)
	}
}

func drained(t *testing.T, s *stage) {
	s.publish(0)
	_, end := s.begin()
	_, end2 := s.begin()
	s.publish(1)
	s.want("two")
	if err := s.WaitIdle(now(), "one"); err == nil {
		t.Fatal("one counts as idle with two requests in flight")
	}
	end()
	if err := s.WaitIdle(now(), "one"); err == nil {
		t.Fatal("one counts as idle with a request in flight")
	}
	s.publish(1) // a further table changes nothing about it
	if err := s.WaitIdle(now(), "one"); err == nil {
		t.Fatal("one counts as idle after another table")
	}
	end2()
	s.must(s.WaitIdle(s.ctx(), "one"))
}

func streams(t *testing.T, s *stage) {
	s.publish(0)
	_, answer, end, err := s.Ask("shop.test", "/")
	s.must(err)
	s.publish(1)
	if err := s.WaitAnswered(now(), "one"); err == nil {
		t.Fatal("one counts as having answered")
	}
	if s.Streams("one") {
		t.Fatal("a request that is not answered yet counts as a stream")
	}
	answer()
	s.must(s.WaitAnswered(s.ctx(), "one"))
	if !s.Streams("one") {
		t.Fatal("an answer that goes on does not count as a stream")
	}
	s.publish(1) // a further table changes nothing about it
	s.must(s.WaitAnswered(s.ctx(), "one"))
	if err := s.WaitIdle(now(), "one"); err == nil || !s.Streams("one") {
		t.Fatal("one counts as idle with a stream")
	}
	end()
	s.must(s.WaitIdle(s.ctx(), "one"))
	if s.Streams("one") {
		t.Error("one counts as having a stream after that has ended")
	}
}

func comesBack(t *testing.T, s *stage) {
	s.publish(0)
	_, end := s.begin()
	s.publish(1)
	s.publish(0)
	s.want("one")
	_, again := s.begin()
	s.publish(1)
	end()
	if err := s.WaitIdle(now(), "one"); err == nil {
		t.Fatal("one counts as idle with its newer request in flight")
	}
	again()
	s.must(s.WaitIdle(s.ctx(), "one"))
}

func stillThere(t *testing.T, s *stage) {
	s.publish(0, 1)
	if err := s.WaitIdle(s.ctx(), "one"); !fault.Is(err, fault.Conflict) {
		t.Errorf("WaitIdle = %v, want a conflict", err)
	}
}

func all(t *testing.T, s *stage) {
	s.publish(0)
	lazy := NewGateway(s.socket)
	lazy.Hold()
	stop := s.run(lazy.Run)
	_, err := lazy.Table(s.ctx())
	s.must(err)
	v := s.Publish(s.table(1))
	if err := s.WaitAcked(now(), v); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("WaitAcked = %v, want unavailable", err)
	}
	if err := s.WaitIdle(now(), "one"); err == nil {
		t.Fatal("one counts as idle although a gateway may send requests there")
	}
	lazy.Release()
	s.must(s.WaitAcked(s.ctx(), v))
	s.must(s.WaitIdle(s.ctx(), "one"))
	lazy.Hold()
	v = s.Publish(s.table(0))
	stop() // a gateway that has left need not acknowledge
	s.must(s.WaitAcked(s.ctx(), v))
}

func newest(t *testing.T, s *stage) {
	var v uint64
	for i := range 500 {
		last := v
		if v = s.Publish(s.table(i % 2)); v <= last {
			t.Fatalf("version %d after %d", v, last)
		}
	}
	s.must(s.WaitAcked(s.ctx(), v))
	s.want("two")
}

func refused(t *testing.T, s *stage) {
	s.publish(0)
	bad := s.table(1)
	bad.Routes[0].Host = "not a host"
	v := s.Publish(bad)
	good := s.Publish(s.table(1))
	s.must(s.WaitAcked(s.ctx(), good))
	s.want("two")
	if good <= v {
		t.Errorf("version %d after %d", good, v)
	}
}

func alone(t *testing.T, s *stage) {
	v := s.publish(0)
	_, end := s.begin()
	s.stopHub()
	s.want("one")
	s.Hub, s.stopHub = s.open()
	next := s.publish(1)
	if next <= v {
		t.Errorf("version %d after a restart, %d before", next, v)
	}
	s.want("two")
	if err := s.WaitIdle(now(), "one"); err == nil {
		t.Fatal("one counts as idle with a request from before the restart")
	}
	end()
	s.must(s.WaitIdle(s.ctx(), "one"))
}

func reported(t *testing.T, s *stage) {
	s.publish(0)
	for range 3 {
		s.want("one")
	}
	s.must(s.seen.Until(s.ctx(), func(seen *Seen) bool {
		return len(seen.Records) == 3 && seen.Requests("r", "g") == 3
	}))
	for _, a := range s.seen.Records {
		if a.Instance != "one" || a.App.ID != "a" || a.Status != 200 || a.Group != "g" || a.Route != "r" {
			t.Errorf("record %+v", a)
		}
	}
}

func leaves(t *testing.T, s *stage) {
	s.publish(0)
	if all := s.Gateways(); len(all) != 1 || !all[0].Connected {
		t.Fatalf("gateways %+v", all)
	}
	s.leave()
	v := s.Publish(s.table(1))
	if err := s.WaitAcked(now(), v); err == nil {
		t.Error("a table counts as in use without a gateway")
	}
	s.Made = s.join()
	s.must(s.WaitAcked(s.ctx(), v))
	if all := s.Gateways(); len(all) != 1 {
		t.Errorf("gateways %+v", all)
	}
}

// Seen keeps what gateways reported. It is a hub.Observer.
type Seen struct {
	mu        sync.Mutex
	changed   chan struct{}
	counters  map[string]route.Counter // by gateway, route and group
	Loads     map[string]route.Load    // by gateway
	Records   []route.Access
	Dropped   uint64
	Ejections []route.Ejection
}

var _ hub.Observer = (*Seen)(nil)

// Counters keeps the newest totals.
func (s *Seen) Counters(gateway string, counters []route.Counter) {
	s.note(func() {
		if s.counters == nil {
			s.counters = map[string]route.Counter{}
		}
		for _, c := range counters {
			s.counters[gateway+" "+c.Route+" "+c.Group] = c
		}
	})
}

// Load keeps the newest of each gateway.
func (s *Seen) Load(gateway string, l route.Load) {
	s.note(func() {
		if s.Loads == nil {
			s.Loads = map[string]route.Load{}
		}
		s.Loads[gateway] = l
	})
}

// Access keeps the records in their order.
func (s *Seen) Access(_ string, records []route.Access, dropped uint64) {
	s.note(func() {
		s.Records = append(s.Records, records...)
		s.Dropped += dropped
	})
}

// Ejected keeps the ejections in their order.
func (s *Seen) Ejected(_ string, ejections []route.Ejection) {
	s.note(func() { s.Ejections = append(s.Ejections, ejections...) })
}

func (s *Seen) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Until waits until a condition holds; the fields may be read inside it.
func (s *Seen) Until(ctx context.Context, holds func(*Seen) bool) error {
	for {
		s.mu.Lock()
		if holds(s) {
			s.mu.Unlock()
			return nil
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Requests is the number of requests counted for a route and group by all
// gateways. It is for use inside Until.
func (s *Seen) Requests(id, group string) uint64 {
	var n uint64
	for _, c := range s.counters {
		if c.Route == id && c.Group == group {
			n += c.Requests()
		}
	}
	return n
}
