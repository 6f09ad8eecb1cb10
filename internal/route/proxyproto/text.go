package proxyproto

import (
	"bytes"
	"net/netip"
	"strings"
)

// parseV1 reads "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n".
func parseV1(b []byte) (h Header, size int, err error) {
	end := bytes.IndexByte(b[:min(len(b), MaxV1)], '\n')
	switch {
	case end < 0 && len(b) >= MaxV1:
		return h, 0, ErrTooLarge
	case end < 0:
		return h, 0, nil
	case b[end-1] != '\r':
		return h, 0, ErrMalformed
	}
	size = end + 1
	line := string(b[len("PROXY ") : end-1])
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
		return h, 0, ErrMalformed
	}
	if family, _, _ := strings.Cut(line, " "); family == "UNKNOWN" {
		return h, size, nil // the rest of the line is to be ignored
	}
	words := strings.Split(line, " ")
	if len(words) != 5 {
		return h, 0, ErrMalformed
	}
	from, fromOK := address(words[0], words[1], words[3])
	to, toOK := address(words[0], words[2], words[4])
	if !fromOK || !toOK {
		return h, 0, ErrMalformed
	}
	return Header{From: from, To: to}, size, nil
}

// address reads an address of the family that the line names, and a port, in the
// one form that the specification allows.
func address(family, host, port string) (netip.AddrPort, bool) {
	at, err := netip.ParseAddr(host)
	if err != nil || at.Zone() != "" || family != "TCP4" && family != "TCP6" || at.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, false
	}
	if len(port) == 0 || len(port) > 5 || port[0] == '0' && port != "0" {
		return netip.AddrPort{}, false
	}
	n := 0
	for _, c := range []byte(port) {
		if c < '0' || c > '9' {
			return netip.AddrPort{}, false
		}
		n = n*10 + int(c-'0')
	}
	if n > 65535 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(at.Unmap(), uint16(n)), true
}
