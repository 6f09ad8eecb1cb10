package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"naru/internal/fault"
	"naru/internal/observe/meter"
	"naru/internal/route/gateway"
)

// serveMetrics shows the metrics of a gateway that stands alone, also while it
// drains, until end is called.
func serveMetrics(ctx context.Context, address string, g *gateway.Gateway, log *slog.Logger) (end func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fault.New(fault.Conflict, "metrics", "cannot listen on %s: %s", address, err).WithTry("another address: --metrics HOST:PORT")
	}
	server := &http.Server{Handler: meter.Alone(g, log), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("serve metrics", "error", err)
		}
	}()
	log.Info("serving metrics", "address", ln.Addr().String())
	return func() { _ = server.Close(); <-ended }, nil
}
