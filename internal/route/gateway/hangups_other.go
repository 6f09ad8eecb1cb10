//go:build !linux

package gateway

import "context"

// hangups tells nobody here: connections are read with net's help.
type hangups struct{}

func (*hangups) open() error                      { return nil }
func (*hangups) run(ctx context.Context)          { <-ctx.Done() }
func (*hangups) watch(*mover) (as int64, ok bool) { return 0, false }
func (*hangups) forget(*mover, int64)             {}
