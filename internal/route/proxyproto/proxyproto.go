// Package proxyproto reads and writes the header by which a proxy tells whose
// connection it passes on: HAProxy's PROXY protocol, versions 1 and 2. It moves
// no bytes itself.
package proxyproto

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Version is a form of the header.
type Version string

// The versions; None writes nothing.
const (
	None Version = ""
	V1   Version = "v1" // one line of text
	V2   Version = "v2" // binary
)

// Known reports whether there is such a version, None among them.
func (v Version) Known() bool { return v == None || v == V1 || v == V2 }

// Bounds of a header, in bytes. The specification allows version 2 a payload of
// 64 KiB; what proxies send beside the addresses is some hundred bytes.
const (
	MaxV1 = 107
	MaxV2 = fixed + 4096
)

// Errors of Parse. Nothing that begins so can become a header by more bytes.
var (
	ErrMissing   = errors.New("there is no PROXY header")
	ErrMalformed = errors.New("the PROXY header is malformed")
	ErrTooLarge  = errors.New("the PROXY header is too large")
)

// Header is what a proxy told. Its addresses are not valid where it told none:
// for connections of its own, of an unknown family, or of unix sockets. The
// connection's own addresses count then.
type Header struct {
	From netip.AddrPort // the client
	To   netip.AddrPort // what the client connected to
}

// signature begins version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// fixed is the length of what stands before the payload of version 2.
const fixed = len(signature) + 4

// Parse reads the header at the front of b and returns how long it is. A size of
// 0 without an error means that more bytes are needed.
func Parse(b []byte) (h Header, size int, err error) {
	switch {
	case begins(b, signature):
		return parseV2(b)
	case begins(b, "PROXY "):
		return parseV1(b)
	}
	return h, 0, ErrMissing
}

// begins reports whether b begins with text, as far as it goes.
func begins(b []byte, text string) bool {
	n := min(len(b), len(text))
	return string(b[:n]) == text[:n]
}

// What the two halves of a version 2 header's byte 13 and 14 mean.
const (
	version2  = 0x20
	local     = 0x0
	proxied   = 0x1
	unspec    = 0x0
	inet      = 0x1
	inet6     = 0x2
	unixish   = 0x3
	stream    = 0x1
	datagram  = 0x2
	inetSize  = 12
	inet6Size = 36
	unixSize  = 216
)

func parseV2(b []byte) (h Header, size int, err error) {
	if len(b) < fixed {
		return h, 0, nil
	}
	command, family := b[12], b[13]
	length := int(binary.BigEndian.Uint16(b[14:]))
	if command&0xf0 != version2 {
		return h, 0, ErrMalformed
	}
	size = fixed + length
	if size > MaxV2 {
		return h, 0, ErrTooLarge
	}
	switch command & 0x0f {
	case local: // a look at our health: its payload means nothing
		if len(b) < size {
			size = 0
		}
		return h, size, nil
	case proxied:
	default:
		return h, 0, ErrMalformed
	}
	least, ok := payload(family)
	if !ok || length < least {
		return h, 0, ErrMalformed
	}
	if len(b) < size {
		return h, 0, nil
	}
	// What follows the addresses (TLVs) is not asked for.
	switch at := b[fixed:]; family >> 4 {
	case inet:
		h.From = netip.AddrPortFrom(netip.AddrFrom4([4]byte(at[0:4])), binary.BigEndian.Uint16(at[8:]))
		h.To = netip.AddrPortFrom(netip.AddrFrom4([4]byte(at[4:8])), binary.BigEndian.Uint16(at[10:]))
	case inet6:
		h.From = netip.AddrPortFrom(netip.AddrFrom16([16]byte(at[0:16])).Unmap(), binary.BigEndian.Uint16(at[32:]))
		h.To = netip.AddrPortFrom(netip.AddrFrom16([16]byte(at[16:32])).Unmap(), binary.BigEndian.Uint16(at[34:]))
	}
	return h, size, nil
}

// payload is how long the addresses of a family are.
func payload(family byte) (least int, ok bool) {
	kind := family & 0x0f
	if kind > datagram || kind == unspec != (family>>4 == unspec) {
		return 0, family == unspec
	}
	switch family >> 4 {
	case unspec:
		return 0, true
	case inet:
		least = inetSize
	case inet6:
		least = inet6Size
	case unixish:
		least = unixSize
	default:
		return 0, false
	}
	return least, kind == stream // nobody passes datagrams on over a stream
}
