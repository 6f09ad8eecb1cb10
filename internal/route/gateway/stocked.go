package gateway

import (
	"sync"
	"time"
)

// stocked are the pools that hold connections: few, where there are many thousands.
type stocked struct {
	mu    sync.Mutex // guards what follows
	pools []*pool
	old   []*pool // memory of the last look
}

// add takes in a pool that is not among them.
func (s *stocked) add(p *pool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pools = append(s.pools, p)
}

// age ages them. One goroutine at a time does.
func (s *stocked) age(now int64, limit time.Duration, most int) {
	s.mu.Lock()
	pools := s.pools
	s.pools = s.old[:0]
	s.mu.Unlock()
	for _, p := range pools {
		if p.age(now, limit, most) {
			s.add(p)
		}
	}
	clear(pools)
	s.old = pools
}
