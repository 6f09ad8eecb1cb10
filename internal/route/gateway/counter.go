package gateway

import (
	"sync/atomic"
	"time"

	"naru/internal/route"
)

// counter counts what happened behind one route and group, without a lock.
type counter struct {
	classes   [6]atomic.Uint64
	latency   [len(route.LatencyBounds) + 1]atomic.Uint64
	took      atomic.Int64
	sent      atomic.Int64
	received  atomic.Int64
	active    atomic.Int64
	retries   atomic.Uint64
	ejections atomic.Uint64
	budget    atomic.Int32            // of retries: see earn
	round     atomic.Uint64           // of the last table that named it
	used      atomic.Int64            // unix seconds of that
	name      atomic.Pointer[string]  // of the group; nil: none was said
	tours     atomic.Pointer[[]*tour] // of its app's journeys; nil: none are counted
}

// named notes the name of the counter's group.
func (c *counter) named(name string) *counter {
	if had := c.name.Load(); had == nil || *had != name {
		c.name.Store(&name)
	}
	return c
}

// ended counts a request that has ended. Status 0 is one that was not answered.
func (c *counter) ended(status int, took time.Duration, sent, received int64) {
	if class := status / 100; class >= 0 && class < len(c.classes) {
		c.classes[class].Add(1)
	}
	c.latency[route.LatencyBucket(took)].Add(1)
	c.took.Add(int64(took))
	c.sent.Add(sent)
	if received > 0 {
		c.received.Add(received)
	}
}

func (c *counter) total(key counterKey) route.Counter {
	out := route.Counter{
		Route: key.route, Group: key.group, Took: time.Duration(c.took.Load()), Sent: c.sent.Load(), Received: c.received.Load(),
		Active: c.active.Load(), Retries: c.retries.Load(), Ejections: c.ejections.Load(),
	}
	if name := c.name.Load(); name != nil {
		out.Name = *name
	}
	for i := range c.classes {
		out.Classes[i] = c.classes[i].Load()
	}
	for i := range c.latency {
		out.Latency[i] = c.latency[i].Load()
	}
	return out
}
