package run

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Socket is a listening TCP socket as the kernel lists it.
type Socket struct {
	Addr  netip.AddrPort
	Inode uint64
}

// ParseListening reads the listening sockets from /proc/PID/net/tcp or tcp6.
// Addresses there are hexadecimal, in words of the machine's byte order, which
// is little endian on all that naru is built for.
func ParseListening(table io.Reader) ([]Socket, error) {
	const listen = "0A"
	var out []Socket
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != listen {
			continue
		}
		addr, err := parseHexAddr(f[1])
		if err != nil {
			return nil, err
		}
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read socket table: %w", err)
		}
		out = append(out, Socket{addr, inode})
	}
	return out, lines.Err()
}

func parseHexAddr(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, fmt.Errorf("read socket table: address %q", s)
	}
	for word := 0; word < len(b); word += 4 {
		slices.Reverse(b[word : word+4])
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read socket table: port of %q", s)
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// Addrs are the sockets' addresses, sorted, each once.
func Addrs(sockets []Socket) []netip.AddrPort {
	out := make([]netip.AddrPort, 0, len(sockets))
	for _, s := range sockets {
		out = append(out, s.Addr)
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out)
}
