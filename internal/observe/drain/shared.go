package drain

import (
	"context"

	"naru/internal/observe/logs"
)

// shared is the one connection of a drain, which its apps use in turn: so a
// receiver has one connection however many apps there are, and what is on its
// way to one that is slow is one page of one app.
type shared struct {
	turn chan struct{} // holds a value while it is nobody's turn
	open func(ctx context.Context) (Sender, error)
	to   Sender // nil: none yet
}

func newShared(open func(ctx context.Context) (Sender, error)) *shared {
	s := &shared{turn: make(chan struct{}, 1), open: open}
	s.turn <- struct{}{}
	return s
}

// wait waits for a turn, which the caller gives back by calling done.
func (s *shared) wait(ctx context.Context) (done func(), err error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.turn:
		return func() { s.turn <- struct{}{} }, nil
	}
}

// Send is called by who has the turn.
func (s *shared) Send(ctx context.Context, from Source, lines []logs.Line) error {
	if s.to == nil {
		to, err := s.open(ctx)
		if err != nil {
			return err
		}
		s.to = to
	}
	return s.to.Send(ctx, from, lines)
}

// Close does nothing: others may be at it. The last one calls end.
func (s *shared) Close() error { return nil }

func (s *shared) end() error {
	if s.to == nil {
		return nil
	}
	return s.to.Close()
}
