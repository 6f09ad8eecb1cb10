package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/route/wire"
)

// WaitAcked blocks until every gateway process, draining ones included, uses
// the version or a newer one for new requests, and at least one of them accepts
// connections. While none is connected it waits for one. When ctx ends first,
// the error names those that are missing.
func (h *Hub) WaitAcked(ctx context.Context, version uint64) error {
	return h.wait(ctx, fmt.Sprintf("table %d", version), func(g *gateway) string {
		if g.acked < version {
			return "has not taken the table"
		}
		return ""
	})
}

// WaitIdle blocks until no gateway process, draining ones included, sends
// requests to the instances or has one in flight there. The newest table must
// not hold them; it is an error at once if it does.
func (h *Hub) WaitIdle(ctx context.Context, instances ...string) error {
	return h.waitLeft(ctx, instances, func(l wire.Left) string { return "still has requests at " + l.Instance })
}

// WaitAnswered is WaitIdle but for streams: connections that were switched to
// another protocol, answers that have begun and go on, gRPC calls whose request
// goes on.
func (h *Hub) WaitAnswered(ctx context.Context, instances ...string) error {
	return h.waitLeft(ctx, instances, func(l wire.Left) string {
		if !l.Requests {
			return ""
		}
		return "still has requests at " + l.Instance
	})
}

func (h *Hub) waitLeft(ctx context.Context, instances []string, missing func(wire.Left) string) error {
	version, err := h.absent(instances)
	if err != nil {
		return err
	}
	return h.wait(ctx, "drained instances", func(g *gateway) string {
		if g.acked < version {
			return "has not taken the table without them"
		}
		for _, id := range instances {
			if l, busy := g.busy[id]; busy {
				if why := missing(l); why != "" {
					return why
				}
			}
		}
		return ""
	})
}

// Streams reports whether a gateway process has a stream at an instance outside
// the table.
func (h *Hub) Streams(instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.gateways {
		if g.busy[instance].Streams {
			return true
		}
	}
	return false
}

// absent returns the version under which none of the instances takes requests.
func (h *Hub) absent(instances []string) (uint64, error) {
	h.mu.Lock()
	p := h.latest
	h.mu.Unlock()
	if p == nil {
		return 0, nil
	}
	for _, id := range instances {
		if p.holds(id) {
			return 0, fault.New(fault.Conflict, "instance", "instance %s still takes requests in table %d", id, p.table.Version)
		}
	}
	return p.table.Version, nil
}

// wait blocks until missing says "" of every gateway.
func (h *Hub) wait(ctx context.Context, what string, missing func(*gateway) string) error {
	for {
		var open []string
		changed := h.look(func() { open = h.open(missing) })
		if len(open) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "", "waiting for %s: %s", what, strings.Join(open, ", ")).WithCause(ctx.Err())
		case <-changed:
		}
	}
}

// open lists in words what a wait still misses. The caller holds the lock.
func (h *Hub) open(missing func(*gateway) string) []string {
	var out []string
	accepting := false
	for _, g := range h.gateways {
		if why := missing(g); why != "" {
			out = append(out, g.name()+" "+why)
		}
		accepting = accepting || !g.draining
	}
	slices.Sort(out)
	if !accepting {
		out = append(out, "no gateway is connected")
	}
	if !h.settled {
		out = append(out, "gateways have just begun to dial")
	}
	return out
}

// Status is one gateway process as the hub knows it.
type Status struct {
	Generation string
	PID        int
	Boot       string
	Connected  bool // false: the process lives, its stream is broken
	Draining   bool
	Version    uint64 // newest table it uses for new requests; 0: none of this hub's
	Busy       int    // instances outside the table that still have requests
	Since      time.Time
}

// Gateways lists the gateway processes, oldest first.
func (h *Hub) Gateways() []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Status, 0, len(h.gateways))
	for _, g := range h.gateways {
		out = append(out, Status{
			Generation: g.hello.Generation, PID: g.peer.pid, Boot: g.hello.Boot, Connected: g.conn != nil,
			Draining: g.draining, Version: g.acked, Busy: len(g.busy), Since: g.since,
		})
	}
	slices.SortFunc(out, func(a, b Status) int { return a.Since.Compare(b.Since) })
	return out
}
