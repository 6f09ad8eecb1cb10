//go:build !linux

package inherit

import (
	"net"

	"naru/internal/fault"
)

// Take finds no sockets: nobody hands any over on this system.
func Take() (*Sockets, error) { return &Sockets{}, nil }

// Fetch is Linux only.
func Fetch(string) (map[string]int, error) {
	return nil, fault.New(fault.Unsupported, "", "taking sockets over is Linux only")
}

func listener(int) (net.Listener, error) {
	return nil, fault.New(fault.Unsupported, "", "inherited sockets are Linux only")
}

func (s *Sockets) give(conn *net.UnixConn) error { return conn.Close() }
