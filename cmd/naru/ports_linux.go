package main

import (
	"context"
	"fmt"
	"net"

	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/route/gateway"
	"naru/internal/supervise/inherit"
)

// tcpListeners are those of all ports that TCP routes may have.
func tcpListeners(ctx context.Context, cfg config.Config, sockets *inherit.Sockets) (all []net.Listener, err error) {
	ports, err := cfg.Listen.TCP()
	if err != nil {
		return nil, fmt.Errorf("listen.tcp: %w", err) // validated before
	}
	for name, addr := range ports.Sockets {
		ln, err := sockets.Listen(ctx, name, addr)
		if err != nil {
			for _, other := range all {
				_ = other.Close()
			}
			return nil, fault.New(fault.Conflict, "listen.tcp", "cannot listen on %s: %s", addr, err).WithTry("choose other ports with listen.tcp")
		}
		all = append(all, gateway.Ports(ln))
	}
	return all, nil
}
