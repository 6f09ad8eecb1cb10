//go:build !linux

package gateway

import "context"

// lot takes no connections here: each waits with its goroutine.
type lot struct{}

func (*lot) open() error { return nil }

func (*lot) run(ctx context.Context, _ func(*conn)) { <-ctx.Done() }
func (*lot) park(*conn) bool                        { return false }
func (*lot) fetch(*conn) bool                       { return false }
func (*lot) expire(*conn)                           {}
func (*lot) tidy()                                  {}
func (*lot) sweep() []*conn                         { return nil }
