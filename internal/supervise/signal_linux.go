package supervise

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Signals turns what is sent to a supervisor into what Up understands: the
// first Ctrl-C or TERM ends ctx, the second closes hurry; USR1, which naru down
// sends, closes letGo. stop ends the listening.
func Signals(parent context.Context) (ctx context.Context, hurry, letGo <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	hurried, released := make(chan struct{}), make(chan struct{})
	received := make(chan os.Signal, 4)
	// PIPE is received so that a pipe whose reader is gone does not take the
	// platform along. Ignoring it would do that too, for every app as well:
	// ignored signals are inherited.
	signal.Notify(received, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		hurry, let := sync.OnceFunc(func() { close(hurried) }), sync.OnceFunc(func() { close(released) })
		for {
			select {
			case <-done:
				return
			case sig := <-received:
				switch {
				case sig == syscall.SIGPIPE:
				case sig == syscall.SIGUSR1:
					let()
				case ctx.Err() != nil:
					hurry()
				default:
					cancel()
				}
			}
		}
	}()
	return ctx, hurried, released, func() {
		signal.Stop(received)
		close(done)
		cancel()
	}
}
