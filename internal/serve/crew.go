package serve

import (
	"context"
	"sync"
)

// Crew is parts that can be stopped before the rest of their process: those that
// would do again what is about to be undone.
type Crew struct {
	parts []Part
	once  sync.Once
	halt  chan struct{}
	done  chan struct{} // closed when the parts have returned
}

// NewCrew makes a crew of parts; Run runs them.
func NewCrew(parts ...Part) *Crew {
	return &Crew{parts: parts, halt: make(chan struct{}), done: make(chan struct{})}
}

// Run runs the parts as Ordered does, until ctx ends. It is called once. After
// Halt it only waits for that end.
func (c *Crew) Run(ctx context.Context) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-c.halt:
			stop()
		case <-inner.Done():
		}
	}()
	err := Ordered(inner, c.parts...)
	close(c.done)
	if err == nil {
		<-ctx.Done()
	}
	return err
}

// Halt stops the parts and returns when they have returned, or with ctx's error.
func (c *Crew) Halt(ctx context.Context) error {
	c.once.Do(func() { close(c.halt) })
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
