package gateway

import (
	"bytes"
	"io"
	"sync/atomic"
)

// pump moves the rest of a request's body while the answer is waited for.
type pump struct {
	x       *exchange
	u       *upstream
	watch   watch // for the client's bytes; the exchange's own is for the answer
	pace    pace
	stopped chan struct{}
	err     atomic.Pointer[error] // why the client's side failed
	sent    bool                  // all of it; read after stopped
}

// start begins to move the body.
func (t *trip) start(x *exchange) {
	p := &pump{x: x, u: t.u, stopped: make(chan struct{})}
	p.watch.owner = x.client
	t.pump = p
	if calls(x.req) {
		x.streams()
	}
	x.upload.talk.Store(x.talks())
	x.g.watcher.add(&p.watch)
	go p.run()
}

func (p *pump) run() {
	defer close(p.stopped)
	defer p.x.g.watcher.remove(&p.watch)
	in := getLarge()
	defer larges.Put(in)
	up, cfg, pause := &p.x.upload, &p.x.g.cfg, p.x.pause()
	for !up.done.Load() {
		begun := now()
		p.watch.begin(onClient, begun, pause)
		n, rerr := p.x.client.receive(in[room : len(in)-spare])
		p.watch.rest()
		slow := p.pace.slow(cfg, since(begun), n)
		p.x.watch.extend(onAnswer, now(), p.x.entry.response(cfg))
		out, used, err := up.pass(in[:], room, room+n)
		if err == nil && rerr == io.EOF && !up.done.Load() {
			rerr = nil
			err = up.finish(p.x.client.tail())
		}
		if err == nil && rerr != nil && !up.done.Load() {
			err = rerr
		}
		if err == nil && slow && !up.done.Load() && !up.talk.Load() {
			err = errSlow
		}
		if err != nil {
			p.fail(err)
			return
		}
		if used < n {
			up.rest = bytes.Clone(in[room+used : room+n])
		}
		if p.x.replica.add(out); up.done.Load() {
			p.x.replica.add(up.end)
		}
		if p.write(out) != nil || up.done.Load() && p.write(up.end) != nil {
			return // the instance's answer, or its end, says why
		}
	}
	p.sent = true
	p.x.replica.send()
}

func (p *pump) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return p.u.write(b)
}

// fail notes what the client did and ends the exchange at the instance.
func (p *pump) fail(err error) {
	p.err.Store(&err)
	p.u.interrupt()
}

func (p *pump) failed() error {
	if err := p.err.Load(); err != nil {
		return *err
	}
	return nil
}

// stop is called when the answer is through or will not come: what is left of
// the body is not wanted any more. It reports whether all of it was moved.
func (p *pump) stop() bool {
	if !p.x.upload.done.Load() {
		p.x.client.interrupt(onClient)
		p.u.interrupt()
	} else {
		// The last bytes are being written. An instance that answered without reading
		// them is not waited for.
		p.x.watch.begin(onAnswer, now(), tick)
	}
	<-p.stopped
	p.x.watch.rest()
	return p.sent
}
