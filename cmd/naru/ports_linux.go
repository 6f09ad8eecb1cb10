package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/route/gateway"
	"naru/internal/supervise/inherit"
	"naru/internal/supervise/notify"
)

// tcpListeners are those of all ports that TCP routes may have.
func tcpListeners(ctx context.Context, cfg config.Config, sockets *inherit.Sockets) (all []net.Listener, err error) {
	ports, err := cfg.Listen.TCP()
	if err != nil {
		return nil, fmt.Errorf("listen.tcp: %w", err) // validated before
	}
	keeper, wanted := notify.FromEnv(os.Getenv), map[string]bool{}
	for name := range ports.Sockets {
		wanted[name] = true
	}
	if err := sockets.DropKept("tcp-", wanted, keeper); err != nil {
		return nil, fmt.Errorf("let go of ports that are not offered any more: %w", err)
	}
	for name, addr := range ports.Sockets {
		ln, err := sockets.ListenKept(ctx, name, addr, keeper)
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
