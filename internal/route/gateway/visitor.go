package gateway

import (
	"net/netip"

	"naru/internal/route/h1"
)

// visitor is the address of who asks: that of the connection, or, behind proxies
// that are trusted, the last one they tell that is none of theirs. It is not
// valid where nobody tells one.
func (x *exchange) visitor() netip.Addr {
	peer := addressOf(x.origin.ip)
	if !x.origin.trusted {
		return peer
	}
	last := peer
	for i := len(x.req.Fields) - 1; i >= 0; i-- {
		f := &x.req.Fields[i]
		if f.Kind != h1.ForwardedFor {
			continue
		}
		for list := stringOf(x.req.Value(f)); list != ""; {
			one := list
			if list, one = cutLast(list); one == "" {
				continue
			}
			addr := addressOf(one)
			if !addr.IsValid() { // what stands before it may have been written by anybody
				return last
			}
			if last = addr; !x.g.trustsAddr(addr) {
				return addr
			}
		}
	}
	return last
}

// cutLast takes the last element off a list.
func cutLast(list string) (rest, last string) {
	from := len(list)
	for from > 0 && list[from-1] != ',' {
		from--
	}
	last, rest = list[from:], ""
	if from > 0 {
		rest = list[:from-1]
	}
	for len(last) > 0 && (last[0] == ' ' || last[0] == '\t') {
		last = last[1:]
	}
	for n := len(last); n > 0 && (last[n-1] == ' ' || last[n-1] == '\t'); n-- {
		last = last[:n-1]
	}
	return rest, last
}

// addressOf reads an address, with or without a port. What is none is not valid.
func addressOf(text string) netip.Addr {
	if !addressLike(text) { // errors cost memory
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		addr = at.Addr()
	}
	return addr.Unmap().WithZone("")
}

func addressLike(text string) bool {
	return len(text) > 1 && len(text) < 64 && (text[0] >= '0' && text[0] <= '9' || text[0] == ':' || text[0] == '[' ||
		text[0] >= 'a' && text[0] <= 'f' || text[0] >= 'A' && text[0] <= 'F')
}
