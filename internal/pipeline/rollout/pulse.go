package rollout

import (
	"context"
	"sync"
	"time"
)

// Of a pulse: how often it beats, and from which pause between two beats the
// process, or the machine, was standing still.
const (
	beatEvery = 250 * time.Millisecond
	stoodFor  = time.Second
)

// pulse knows since when this process has been running without standing still,
// as far as somebody needs to know.
type pulse struct {
	mu     sync.Mutex // guards what follows
	needed int        // by how many
	last   time.Time  // beat
	awake  time.Time
}

// need has the pulse beat until ctx ends; done waits for that.
func (p *pulse) need(ctx context.Context) (done func()) {
	p.mu.Lock()
	if p.needed++; p.needed == 1 {
		p.last = time.Now()
	}
	p.mu.Unlock()
	ctx, stop := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() {
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.since(time.Now())
			}
		}
	})
	return func() {
		stop()
		beating.Wait()
		p.mu.Lock()
		p.needed--
		p.mu.Unlock()
	}
}

// since is a beat, and returns since when there was no pause between any two.
func (p *pulse) since(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awake.IsZero() || p.needed > 0 && now.Sub(p.last) > stoodFor {
		p.awake = now
	}
	p.last = now
	return p.awake
}
