package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// ProofRequired reports whether hosts outside the apps domain are to be proved.
// Unless somebody decided, they are wherever others can come: from another
// machine, or by a certificate that the world believes.
func (c Config) ProofRequired() bool {
	if c.Domains.Check != "auto" {
		return c.Domains.Check == "required"
	}
	return c.ACME.Agree || !loopback(c.Listen.Apps) || !loopback(c.Listen.AppsTLS)
}

// loopback reports whether an address is of this machine alone, or none.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if addr == "" || err == nil && host == "localhost" {
		return true
	}
	ip, bad := netip.ParseAddr(host)
	return err == nil && bad == nil && ip.IsLoopback()
}

// Reached are the addresses at which the world reaches the gateway.
func (d Domains) Reached() (all []netip.Addr, err error) {
	for _, text := range d.Addresses {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("domains.addresses: must be IP addresses, without networks (got %q)", text)
		}
		all = append(all, a.Unmap())
	}
	return all, nil
}

func (d Domains) complaints() []error {
	_, addresses := d.Reached()
	resolver := error(nil)
	if d.Resolver != "" {
		resolver = serverAddress("domains.resolver", d.Resolver)
	}
	return []error{oneOf("domains.check", d.Check, "auto", "off", "required"), addresses, resolver}
}

// serverAddress is for the address of another machine's server, which must work
// without a name server.
func serverAddress(key, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = netip.ParseAddr(host)
	}
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
		return fmt.Errorf("%s: must be IP:PORT, such as 192.0.2.53:53 (got %q)", key, addr)
	}
	return nil
}
