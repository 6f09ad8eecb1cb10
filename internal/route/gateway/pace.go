package gateway

import (
	"errors"
	"time"
)

// errSlow ends an exchange whose client moves a body byte by byte.
var errSlow = errors.New("the client is too slow")

// pace bounds how slowly a client may move a body. Only time spent waiting for
// the client counts: a stream in which nobody has anything to say is not slow,
// and neither is one whose other end is.
type pace struct {
	waited time.Duration
	moved  int64
}

// slow notes bytes that came, or went, after a wait for the client, and reports
// whether they were too few. Waits are put together, and none by itself is too
// long, so that a client that stumbles can make up for it; a socket that was full
// takes a lot at once.
func (p *pace) slow(cfg *Config, waited time.Duration, bytes int) bool {
	if cfg.BodyRate < 0 {
		return false
	}
	p.waited += min(waited, cfg.BodyWindow/2)
	p.moved += int64(bytes)
	if p.waited < cfg.BodyWindow {
		return false
	}
	enough := float64(p.moved) >= float64(cfg.BodyRate)*cfg.BodyWindow.Seconds()
	*p = pace{}
	return !enough
}

// talks reports a gRPC call between two that can have one. There both ends may
// think as long as they like.
func (x *exchange) talks() bool {
	_, able := x.client.(*h2stream)
	return able && x.back.http2 && calls(x.req)
}

// pause is how long a client may be silent inside a request's body; 0 is for ever.
func (x *exchange) pause() time.Duration {
	if x.talks() {
		return x.entry.silence()
	}
	return x.g.cfg.BodyIdle
}

// since is the time since a moment that now told.
func since(moment int64) time.Duration { return time.Duration(now()-moment) * time.Millisecond }
