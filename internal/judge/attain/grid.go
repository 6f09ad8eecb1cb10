package attain

import (
	"context"
	"sync"
	"time"

	"naru/internal/judge/objective"
)

// grid remembers the slices of one source, side by side.
type grid struct {
	key string

	mu     sync.Mutex // guards what follows, and is held while slices are counted
	first  int64      // number of the first slice since 1970
	counts []objective.Count

	edge edge // what was last counted up to now, for windows that end there

	turn uint64 // in which it was last used; guarded by Counts.mu
	size int    // slices that Counts has noted; likewise
}

// remembered counts slices, of which it counts only those that it does not
// remember. from and to are multiples of length.
func (c *Counts) remembered(ctx context.Context, s source, from, to time.Time, length time.Duration) ([]objective.Count, error) {
	g := c.grid(s.key() + "\x00" + length.String())
	g.mu.Lock()
	out, err := g.slices(ctx, s, from, to, length, c.o.Now().Add(-c.o.Settle))
	size := len(g.counts)
	g.mu.Unlock()
	c.note(g, size)
	return out, err
}

// edge is what was counted in the part of an hour that is not over.
type edge struct {
	from, to time.Time
	read     time.Time // a sample that is older than its writing may come in between
	count    objective.Count
}

// begun counts the part of an hour up to a time. The windows of one report all end
// with the same one, which is read once.
func (c *Counts) begun(ctx context.Context, s source, from, to time.Time) (objective.Count, error) {
	g := c.grid(s.key() + "\x00" + hour.String())
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.edge.from.Equal(from) && g.edge.to.Equal(to) && time.Since(g.edge.read) < time.Second {
		return g.edge.count, nil
	}
	count, err := s.over(ctx, from, to)
	if err == nil {
		g.edge = edge{from, to, time.Now(), count}
	}
	return count, err
}

func (c *Counts) grid(key string) *grid {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.grids[key]
	if g == nil {
		g = &grid{key: key}
		c.grids[key] = g
	}
	c.turn++
	g.turn = c.turn
	return g
}

// note notes how much a grid remembers, and forgets those that were not used for
// longest while there is too much.
func (c *Counts) note(g *grid, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.grids[g.key] != g { // it was forgotten meanwhile
		return
	}
	c.slots += size - g.size
	g.size = size
	for c.slots > c.o.Slots {
		oldest, key := uint64(0), ""
		for k, other := range c.grids {
			if other.size > 0 && (key == "" || other.turn < oldest) {
				oldest, key = other.turn, k
			}
		}
		if key == "" {
			return
		}
		c.slots -= c.grids[key].size
		delete(c.grids, key)
	}
}

// slices are those between two times. Slices that end after settled may change, and
// are not remembered.
func (g *grid) slices(ctx context.Context, s source, from, to time.Time, length time.Duration, settled time.Time) ([]objective.Count, error) {
	number := func(t time.Time) int64 { return t.UnixNano() / int64(length) }
	moment := func(n int64) time.Time { return time.Unix(0, n*int64(length)) }
	a, b := number(from), number(to)
	stable := min(number(settled), b)
	end := func() int64 { return g.first + int64(len(g.counts)) }
	if len(g.counts) == 0 || a > end() || b < g.first {
		g.first, g.counts = a, nil
	}
	if a < g.first {
		before, err := s.each(ctx, moment(a), int(g.first-a), length)
		if err != nil {
			return nil, err
		}
		g.first, g.counts = a, append(before, g.counts...)
	}
	if stable > end() {
		more, err := s.each(ctx, moment(end()), int(stable-end()), length)
		if err != nil {
			return nil, err
		}
		g.counts = append(g.counts, more...)
	}
	out := make([]objective.Count, 0, b-a)
	if known := min(end(), b); known > a {
		out = append(out, g.counts[a-g.first:known-g.first]...)
	}
	if rest := a + int64(len(out)); rest < b {
		last, err := s.each(ctx, moment(rest), int(b-rest), length)
		if err != nil {
			return nil, err
		}
		out = append(out, last...)
	}
	g.trim(a, int(b-a))
	return out, nil
}

// trim lets go of what is far behind the slices that were asked for.
func (g *grid) trim(asked int64, n int) {
	if old := asked - g.first; old > int64(2*n)+10_000 {
		g.first, g.counts = asked, append([]objective.Count(nil), g.counts[old:]...)
	}
}
