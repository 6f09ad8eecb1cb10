// Command front is the gateway alone behind TLS, for the benchmark: the command
// line of naru has no certificate to give it without a control plane.
//
//	front TABLE LISTEN CERTIFICATE KEY
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"naru/internal/route/gateway"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "front:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("front TABLE LISTEN CERTIFICATE KEY")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cert, err := tls.LoadX509KeyPair(args[2], args[3])
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", args[1])
	if err != nil {
		return err
	}
	g, err := gateway.New(gateway.Config{TableFile: args[0]}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	return g.Run(ctx, []net.Listener{gateway.Secure(ln, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil })})
}
