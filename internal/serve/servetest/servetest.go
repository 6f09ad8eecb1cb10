// Package servetest finds addresses for servers that tests start as programs of
// their own.
package servetest

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// Ports below those that a system gives to whoever asks for any: a program
// listens at its own only after a while.
const firstPort, ports = 10000, 2000

// Free is an address of this machine at which nobody listens.
func Free(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(firstPort+rand.IntN(ports))).String()
		ln, err := net.Listen("tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		return addr
	}
	t.Fatalf("no port from %d on is free", firstPort)
	return ""
}
