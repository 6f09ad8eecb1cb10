package gateway

import (
	"time"

	"naru/internal/route/h1"
)

// maxText bounds each string a client wrote.
const maxText = 2048

// clip is a string of the bytes, as far as they are kept. It lives as long as they.
func clip(b []byte) string { return stringOf(b[:min(len(b), maxText)]) }

// wanted reports whether anybody takes records.
func (r *reports) wanted() bool { return r.records.most > 0 || r.recorder != nil }

// record makes a record of an exchange that has ended.
func (r *reports) record(x *exchange, took time.Duration) {
	logged := r.recorder != nil && r.recorder.Wants(x.status)
	if !logged && r.records.most == 0 {
		return
	}
	a := &x.said
	x.describe(a, took)
	if r.records.most > 0 {
		r.records.record(a)
	}
	if logged {
		a.ForwardedFor, a.ForwardedProto = x.behalf()
		r.recorder.Record(a)
	}
}

// behalf is what an instance is told of the client and of how it came.
func (x *exchange) behalf() (client, proto string) {
	if client, proto = x.origin.ip, "http"; x.origin.secure {
		proto = "https"
	}
	if x.req == nil || !x.origin.trusted {
		return client, proto
	}
	if said := x.req.Get(h1.ForwardedProto); len(said) > 0 {
		proto = clip(said)
	}
	chain := x.chain[:0]
	for i := range x.req.Fields {
		if f := &x.req.Fields[i]; f.Kind == h1.ForwardedFor && len(x.req.Value(f)) > 0 && len(chain) < maxText {
			chain = append(append(chain, clip(x.req.Value(f))...), ", "...)
		}
	}
	x.chain = append(chain, client...)
	return stringOf(x.chain), proto
}
