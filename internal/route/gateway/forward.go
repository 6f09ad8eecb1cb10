package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/route"
	"naru/internal/route/strict"
)

// forwarder is the Forwarder on net/http's transport.
type forwarder struct {
	cfg      Config
	tables   *tables
	log      *slog.Logger
	draining *atomic.Bool
}

var _ Forwarder = (*forwarder)(nil)

// Reasons an exchange is ended from our side.
var (
	errSlowAnswer = errors.New("the instance did not begin to answer in time")
	errNoInstance = errors.New("no instance")
)

// Forward carries one request: send it to an instance that accepts it, then
// bring the answer back, or join both ends if the protocol was switched.
func (f *forwarder) Forward(w http.ResponseWriter, r *http.Request, x *Exchange) {
	if len(x.entry.groups) == 0 {
		f.unavailable(w, r, x, unhealthy)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	wait := newPatience(x.entry.response(&f.cfg), func() { cancel(errSlowAnswer) })
	defer wait.stop()
	if r.Body != nil && r.Body != http.NoBody {
		limit := x.entry.bodyLimit(&f.cfg)
		if limit > 0 && r.ContentLength > limit {
			f.takeOver(r, x, limit, wait)
			tooLarge(w, r, x, limit)
			x.body.finish()
			return
		}
		f.takeOver(r, x, limit, wait)
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 always is
		defer x.body.finish()
	}

	early := &interim{w: w, done: !r.ProtoAtLeast(1, 1)}
	res, b, err := f.send(early.trace(ctx), r, x)
	early.stop()
	if err != nil {
		f.failed(w, r, x, err, context.Cause(ctx))
		return
	}
	defer b.release()
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusSwitchingProtocols {
		wait.stop()
		f.join(w, r, x, res)
		return
	}
	f.bring(w, r, x, res, wait)
}

// takeOver makes the request's body ours.
func (f *forwarder) takeOver(r *http.Request, x *Exchange, limit int64, wait *patience) {
	x.body = &body{src: r.Body, conn: strict.Of(r.Context()), limit: limit, touch: wait.more}
}

// send tries instances until one accepts a connection. Nothing of the request
// has left before that, so trying another one is always safe. The backend that
// answered is counted in.
func (f *forwarder) send(ctx context.Context, r *http.Request, x *Exchange) (*http.Response, *backend, error) {
	out := f.outgoing(r, x)
	if t := x.entry.spec.Timeouts; t != nil && t.Connect > 0 {
		ctx = context.WithValue(ctx, connectLimit{}, t.Connect.Std())
	}
	out = out.WithContext(ctx)
	var skip tried
	last := errNoInstance
	for len(skip) < f.cfg.Attempts {
		g, b := x.entry.pick(&f.cfg, skip)
		if b == nil {
			return nil, nil, last
		}
		if !b.acquire() { // it left the table just now
			if !f.again(r, x) {
				return nil, nil, errNoInstance
			}
			continue
		}
		x.chose(g, b)
		res, err := b.conn(&f.cfg).RoundTrip(out)
		if err == nil {
			b.worked()
			return res, b, nil
		}
		b.release()
		refused := new(connectError)
		if !errors.As(err, &refused) || ctx.Err() != nil {
			return nil, nil, err
		}
		b.failed(&f.cfg, err)
		skip, last = append(skip, b), err
	}
	return nil, nil, last
}

// again looks the request up in the present table.
func (f *forwarder) again(r *http.Request, x *Exchange) bool {
	v := f.tables.view()
	if v.waiting {
		return false
	}
	e, ok := v.index.Find(route.CutPort(r.Host), r.URL.Path)
	if ok {
		x.entry = e
	}
	return ok
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

// interim passes on answers before the answer (103 Early Hints). 100 is not
// among them: the client gets its own when its body is first read.
type interim struct {
	w http.ResponseWriter

	mu   sync.Mutex // guards what follows, and w until done
	done bool
}

func (i *interim) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: i.got})
}

func (i *interim) got(code int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.done || code == http.StatusContinue {
		return nil
	}
	h := i.w.Header()
	passOn(h, http.Header(header))
	i.w.WriteHeader(code)
	clear(h)
	return nil
}

func (i *interim) stop() {
	i.mu.Lock()
	i.done = true
	i.mu.Unlock()
}
