package gateway

import (
	"maps"
	"slices"
	"strings"

	"naru/internal/route/h1"
	"naru/internal/route/wire"
)

// streams makes the exchange a stream from here on: it may go on long after its
// instance left the table, where ordinary requests may not.
func (x *exchange) streams() {
	if !x.stream {
		x.stream = true
		x.client.streams(1)
		x.back.streams()
	}
}

// leave counts the exchange out at the backend it was last counted in.
func (x *exchange) leave(b *backend) {
	if !x.stream {
		b.release()
		return
	}
	x.stream = false
	x.client.streams(-1)
	b.streamed()
}

// calls reports a gRPC call. One whose request is still being sent is taken for a
// stream: which of them will end soon nobody can know.
func calls(req *h1.Request) bool {
	const kind = "application/grpc"
	got := req.Get(h1.ContentType)
	return len(got) >= len(kind) && equalFold(got[:len(kind)], kind)
}

// left is told that requests at a backend outside the table ended, or became
// streams. What that leaves of its instance is reported where it is news.
func (t *tables) left(b *backend, load int64) {
	if ordinary, streams := inFlight(load); ordinary > 0 && streams > 1 {
		return // others will be the last of their kind
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := b.key()
	if t.leaving[key] != b {
		return // it came back, or was never busy
	}
	if b.load.Load() == gone { // and nobody is just being sent away
		delete(t.leaving, key)
		b.close()
	}
	for _, now := range t.busy() {
		if now.Instance == b.instance.ID {
			t.reports.remain(now)
			return
		}
	}
	t.reports.remain(wire.Left{Instance: b.instance.ID})
}

// busy says what is left at the instances that are in no table and still have
// requests, sorted. The caller holds the lock.
func (t *tables) busy() []wire.Left {
	at := make(map[string]wire.Left, len(t.leaving))
	for _, b := range t.leaving {
		ordinary, streams := inFlight(b.load.Load())
		had := at[b.instance.ID]
		at[b.instance.ID] = wire.Left{Instance: b.instance.ID, Requests: had.Requests || ordinary > 0, Streams: had.Streams || streams > 0}
	}
	return slices.SortedFunc(maps.Values(at), func(a, b wire.Left) int { return strings.Compare(a.Instance, b.Instance) })
}

func (c *conn) streams(n int32) { c.bottom.flowing.Add(n) }

func (s *h2stream) streams(n int32) {
	if on, ok := s.r.Context().Value(calmKey{}).(*calm); ok && on.bottom != nil {
		on.bottom.flowing.Add(n)
	}
}
