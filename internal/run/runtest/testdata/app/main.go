// Command app is the driver suite's test app: package behave as a process.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"naru/internal/run/runtest/behave"
)

func main() {
	stop := make(chan struct{})
	resized := make(chan struct{}, 8)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGWINCH)
	go func() {
		for s := range signals {
			if s == syscall.SIGWINCH {
				resized <- struct{}{}
				continue
			}
			select {
			case <-stop:
			default:
				close(stop)
			}
		}
	}()
	os.Exit(behave.Run(behave.Proc{
		Args: os.Args[1:], Env: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Term: stop, Resized: resized,
		Size: func() string {
			w, h, err := term.GetSize(0)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("%dx%d", w, h)
		},
		Listen: func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) },
	}))
}
