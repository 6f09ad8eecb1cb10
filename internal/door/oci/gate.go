package oci

import (
	"context"
	"sync"

	"naru/internal/fault"
)

// gate lets changes pass until somebody closes it, who then waits for those that
// are inside.
type gate struct {
	mu     sync.Mutex // guards all below
	inside int
	closed bool
	empty  chan struct{} // closed when the last one leaves a closed gate
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.closed && g.inside == 0 {
		close(g.empty)
	}
}

// close refuses newcomers and waits until everybody has left. Where ctx ends
// first the gate is open again.
func (g *gate) close(ctx context.Context) error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return fault.New(fault.Conflict, "", "a garbage collection of the registry is running already")
	}
	g.closed, g.empty = true, make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	empty := g.empty
	g.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		g.open()
		return fault.New(fault.Unavailable, "", "uploads to the registry are going on").WithCause(ctx.Err()).
			WithTry("collect garbage when they have ended")
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
}
