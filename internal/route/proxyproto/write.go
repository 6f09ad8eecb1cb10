package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Append adds a header of the version to b: a connection of From, to To. Where
// one of them is not valid it says that nothing is known. Where one is IPv4 and
// the other IPv6, both are written as IPv6.
func Append(b []byte, v Version, h Header) []byte {
	known := h.From.IsValid() && h.To.IsValid()
	from, to := h.From.Addr().Unmap(), h.To.Addr().Unmap()
	four := from.Is4() && to.Is4()
	switch v {
	case V1:
		if !known {
			return append(b, "PROXY UNKNOWN\r\n"...)
		}
		return appendV1(b, four, from, to, h)
	case V2:
		b = append(b, signature...)
		if !known {
			return append(b, version2|local, unspec, 0, 0)
		}
		return appendV2(b, four, from, to, h)
	}
	return b
}

func appendV1(b []byte, four bool, from, to netip.Addr, h Header) []byte {
	write := func(a netip.Addr) {
		if !four && a.Is4() {
			b = append(b, "::ffff:"...)
		}
		b = append(a.WithZone("").AppendTo(b), ' ')
	}
	if four {
		b = append(b, "PROXY TCP4 "...)
	} else {
		b = append(b, "PROXY TCP6 "...)
	}
	write(from)
	write(to)
	b = append(strconv.AppendUint(b, uint64(h.From.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(h.To.Port()), 10)
	return append(b, "\r\n"...)
}

func appendV2(b []byte, four bool, from, to netip.Addr, h Header) []byte {
	if four {
		b = append(b, version2|proxied, inet<<4|stream, 0, inetSize)
		f, t := from.As4(), to.As4()
		b = append(append(b, f[:]...), t[:]...)
	} else {
		b = append(b, version2|proxied, inet6<<4|stream, 0, inet6Size)
		f, t := from.As16(), to.As16()
		b = append(append(b, f[:]...), t[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, h.From.Port())
	return binary.BigEndian.AppendUint16(b, h.To.Port())
}
