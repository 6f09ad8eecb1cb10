package gateway

import (
	"errors"
	"net/http"
	"time"
)

// Reasons an exchange ends without an answer of an instance.
var (
	errSlowAnswer = errors.New("the instance did not begin to answer in time")
	errNoInstance = errors.New("no instance")
	errInterims   = errors.New("it sent too many answers before the answer")
	errLargeHead  = errors.New("the header of its answer is too large")
)

// began is what now counts from: a clock that is set must end no wait.
var began = time.Now()

// now is milliseconds of a clock that only goes forward.
func now() int64 { return at(time.Now()) }

func at(t time.Time) int64 { return t.Sub(began).Milliseconds() }

// serve answers one request: find where it goes, send it there, bring the answer
// back. False means that the client must see its connection break off.
func (x *exchange) serve() (whole bool) {
	defer x.ended()
	x.watch.why = working
	v := x.g.tables.view()
	if v.waiting {
		return x.page(x.unavailable(starting))
	}
	if p := x.proof(); p != nil {
		return x.page(p)
	}
	ok := false
	if x.entry, ok = v.find(x); !ok {
		return x.page(x.unknownHost())
	}
	x.hurry()
	x.traced()
	if p := x.entry.policy; p != nil {
		if on, whole := x.meets(p); !on {
			return whole
		}
		if v != x.g.tables.view() { // it waited long enough for another table
			x.again()
		}
	}
	if len(x.entry.groups) == 0 && x.entry.matched(x.req) == nil {
		return x.page(x.unavailable(unhealthy))
	}
	if x.upload.bound(x.entry.bodyLimit(&x.g.cfg)); x.upload.bad != nil {
		return x.failed(nil, x.upload.bad)
	}
	var t trip
	err := x.send(&t)
	if t.back != nil {
		defer x.leave(t.back)
	}
	if err != nil {
		t.drop(x)
		return x.failed(err, t.clientErr())
	}
	if x.answer.Status == 101 {
		return x.join(&t)
	}
	clean, err := x.relay(t.u, t.buf, t.from, t.to)
	if !t.finish(x) {
		clean = false
	}
	if clean && err == nil && !x.answer.Close() && x.watch.rest() {
		t.keep(x)
	} else {
		t.drop(x)
	}
	if err != nil {
		x.brokeOff(err)
		return false
	}
	return true
}

// send tries instances until one begins to answer; x.answer is its head. Trying
// another one is safe as long as nothing was sent, or nothing came back and
// sending it twice does no harm.
func (x *exchange) send(t *trip) error {
	cfg := &x.g.cfg
	last := errNoInstance
	for len(x.tried) < x.entry.retries.attempts {
		g, b := x.pick(cfg)
		if b == nil {
			if last == errNoInstance && x.entry.spared() > 0 {
				return errSpared
			}
			return last
		}
		if !b.acquire() { // it left the table just now
			if g.breaker != nil {
				g.breaker.Void(g.breaker.Term())
			}
			if !x.again() {
				return errNoInstance
			}
			continue
		}
		t.back = b
		x.chose(g, b)
		err := x.attempt(t, b)
		x.settled(g, b, err, t.clientErr())
		if err == nil {
			b.worked(x.now, x.answer.Status >= http.StatusInternalServerError)
			x.entry.retries.earn(g.count)
			return nil
		}
		if refused := new(connectError); errors.As(err, &refused) {
			if x.overdue() { // which says nothing about the instance
				return errSlowAnswer
			}
			b.failed(cfg, err)
			g.count.ejections.Add(1)
		} else if !x.repeatable(t, err) || !x.entry.retries.spend(g.count) {
			return err
		}
		t.drop(x)
		x.leave(b)
		t.back = nil
		x.tried, last = append(x.tried, b), err
	}
	return last
}

// pick chooses where the request goes: the group it belongs to by its header or
// cookie while that has an instance to take it, else by weight.
func (x *exchange) pick(cfg *Config) (*group, *backend) {
	matched := x.entry.matched(x.req)
	if s := x.entry.sticky; s != nil {
		if g, b := s.pick(x, matched, cfg); b != nil {
			return g, b
		}
	}
	if g := matched; g != nil && g.admissible() {
		now := int64(0)
		if b := g.pick(cfg, x.tried, &now); b != nil && g.admits() {
			return g, b
		}
	}
	return x.entry.pick(cfg, x.tried)
}

// again looks the request up in the present table.
func (x *exchange) again() bool {
	v := x.g.tables.view()
	if v.waiting {
		return false
	}
	e, ok := v.find(x)
	if ok {
		x.entry = e
	}
	return ok
}

// repeatable reports whether an exchange that broke off may be sent to another
// instance: the connection ended without a byte of an answer, and the request is
// one that may be carried out twice, by its method, and is still here.
func (x *exchange) repeatable(t *trip, err error) bool {
	return t.to == 0 && t.pump == nil && x.upload.done.Load() && cut(err) && x.watch.rest() && idempotent(x.req.Method)
}

func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// attempt sends the request to one instance and reads the head of its answer. A
// kept connection that turns out to be dead is replaced.
func (x *exchange) attempt(t *trip, b *backend) error {
	for fresh := false; ; {
		u, err := x.connect(b, fresh)
		if err != nil {
			return err
		}
		t.u, t.from, t.to = u, 0, 0
		u.look = u.served && (u.doubt || b.pool.abrupt.Load() || x.now-u.since > justUsed || !idempotent(x.req.Method) || !x.upload.done.Load())
		x.watch.up.Store(u)
		err = x.exchange(t)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errStale):
		case u.served && x.repeatable(t, err) && !x.entry.retries.never():
			// It was being closed. This costs no budget: it says nothing about the
			// instance's health, and the new connection is the last attempt.
			fresh = true
			b.pool.abrupt.Store(true)
			x.group.count.retries.Add(1)
		default:
			return x.cause(err)
		}
		t.drop(x)
	}
}

// connect returns a connection to an instance, a new one where it is to be fresh.
func (x *exchange) connect(b *backend, fresh bool) (*upstream, error) {
	if !fresh {
		if u := b.pool.get(x.now, x.g.cfg.UpstreamIdle, &x.waiter); u != nil {
			return u, nil
		}
		defer b.pool.made()
	}
	return b.dial(x.within(x.entry.connect(&x.g.cfg)))
}

// justUsed is how long, in milliseconds, a kept connection is taken for good
// without a look at it. Where that was wrong the request is sent again, so it
// has to be one that may be.
const justUsed = 5

// cause is why the watch ended the exchange, or else err.
func (x *exchange) cause(err error) error {
	x.watch.rest()
	switch x.watch.why {
	case byTime:
		return errSlowAnswer
	case byLeaving:
		return errLeft
	}
	return err
}

// exchange sends the request on t's connection and reads the answer's head.
func (x *exchange) exchange(t *trip) error {
	head := x.head()
	if x.entry.mirror != nil {
		x.copied(head)
	}
	if x.entry.pairing != nil {
		x.twin(head)
	}
	out := append(head, x.upload.first...)
	if x.upload.done.Load() {
		out = append(out, x.upload.end...)
		x.out = out
		x.wait()
		return x.hear(t, out)
	}
	x.out = out
	x.wait()
	if t.u.look && !t.u.alive() {
		return errStale
	}
	if err := t.u.write(out); err != nil {
		return err
	}
	if x.req.Expect && len(x.upload.first) == 0 {
		return x.expect(t)
	}
	t.start(x)
	return x.hear(t, nil)
}

// wait begins the wait for the answer's head.
func (x *exchange) wait() { x.watch.begin(onAnswer, x.now, x.entry.response(&x.g.cfg)) }

// patience is how long an instance is given to ask for a body that waits for it
// to: there are some that never heard of it.
const patience = time.Second

// expect waits for the instance to ask for the body. The pump starts then, or
// never, where the answer comes first.
func (x *exchange) expect(t *trip) error {
	_ = t.u.nc.SetReadDeadline(time.Now().Add(patience))
	in, n, err := t.u.ask(nil)
	if interrupted(err) && x.watch.rest() {
		_ = t.u.nc.SetReadDeadline(time.Time{})
		x.wait()
		return x.proceed(t)
	}
	if err != nil {
		return err
	}
	_ = t.u.nc.SetReadDeadline(time.Time{})
	t.take(in, n)
	return x.read(t)
}

// proceed asks the client for its body.
func (x *exchange) proceed(t *trip) error {
	if err := x.client.proceed(x); err != nil {
		return errLeft
	}
	t.start(x)
	return x.hear(t, nil)
}

// hear sends out and reads the head of the answer.
func (x *exchange) hear(t *trip, out []byte) error {
	in, n, err := t.u.ask(out)
	if err != nil {
		return err
	}
	t.take(in, n)
	return x.read(t)
}

func (e *entry) connect(cfg *Config) time.Duration {
	if t := e.spec.Timeouts; t != nil && t.Connect > 0 {
		return t.Connect.Std()
	}
	return cfg.Connect
}

func (e *entry) response(cfg *Config) time.Duration {
	if t := e.spec.Timeouts; t != nil && t.Response > 0 {
		return t.Response.Std()
	}
	return cfg.Response
}

func (e *entry) bodyLimit(cfg *Config) int64 {
	if l := e.spec.Limits; l != nil && l.Body > 0 {
		return l.Body
	}
	return cfg.BodyBytes
}
