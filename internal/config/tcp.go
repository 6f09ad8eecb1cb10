package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// MaxTCPPorts bounds listen.tcp: all listening sockets of a platform are handed
// on in one message, which takes 253.
const MaxTCPPorts = 200

// TCPRange is listen.tcp read: the ports that TCP routes may have.
type TCPRange struct {
	Host        string
	First, Last int // 0: there are none
}

// TCP reads the range; its error continues the sentence "listen.tcp: ...".
func (l Listen) TCP() (TCPRange, error) {
	if l.TCPPorts == "" {
		return TCPRange{}, nil
	}
	wrong := fmt.Errorf("must be HOST:FIRST-LAST, such as 127.0.0.1:20000-20099 (got %q)", l.TCPPorts)
	host, ports, err := net.SplitHostPort(l.TCPPorts)
	if err != nil {
		return TCPRange{}, wrong
	}
	low, high, isRange := strings.Cut(ports, "-")
	if !isRange {
		high = low
	}
	first, err := strconv.ParseUint(low, 10, 16)
	if err != nil {
		return TCPRange{}, wrong
	}
	last, err := strconv.ParseUint(high, 10, 16)
	switch {
	case err != nil || first == 0 || last < first:
		return TCPRange{}, wrong
	case host != "" && host != "localhost" && net.ParseIP(host) == nil:
		return TCPRange{}, fmt.Errorf("host must be an IP address of this machine, or empty for all (got %q)", host)
	case last-first >= MaxTCPPorts:
		return TCPRange{}, fmt.Errorf("has %d ports, over the limit of %d (got %q)", last-first+1, MaxTCPPorts, l.TCPPorts)
	}
	return TCPRange{host, int(first), int(last)}, nil
}

// Contains reports whether a TCP route may have the port.
func (r TCPRange) Contains(port int) bool { return port > 0 && port >= r.First && port <= r.Last }

// Sockets calls yield with each port's name among the platform's listening
// sockets and its address.
func (r TCPRange) Sockets(yield func(name, addr string) bool) {
	for port := r.First; port > 0 && port <= r.Last; port++ {
		if !yield("tcp-"+strconv.Itoa(port), net.JoinHostPort(r.Host, strconv.Itoa(port))) {
			return
		}
	}
}

// Balancers reads gateway.proxy_protocol: prefixes and single addresses. Its
// error continues the sentence "gateway.proxy_protocol: ...".
func (g Gateway) Balancers() ([]netip.Prefix, error) { return networks(g.ProxyProtocol) }

// TrustedProxies reads gateway.trusted_proxies in the same way.
func (g Gateway) TrustedProxies() ([]netip.Prefix, error) { return networks(g.TrustedProxy) }

func networks(list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range list {
		if at, err := netip.ParseAddr(text); err == nil && at.Zone() == "" {
			all = append(all, netip.PrefixFrom(at.Unmap(), at.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Masked() != p {
			return nil, fmt.Errorf("must be addresses or networks, such as 10.0.0.0/8 (got %q)", text)
		}
		all = append(all, p)
	}
	return all, nil
}

// tcpComplaints are about listen.tcp, gateway.proxy_protocol and
// gateway.trusted_proxies.
func (c Config) tcpComplaints() (list []error) {
	r, err := c.Listen.TCP()
	if err != nil {
		list = append(list, fmt.Errorf("listen.tcp: %w", err))
	}
	for _, other := range []struct{ key, addr string }{
		{"listen.api", c.Listen.API}, {"listen.registry", c.Listen.Registry}, {"listen.apps", c.Listen.Apps}, {"listen.apps_tls", c.Listen.AppsTLS}, {"listen.prometheus", c.Listen.Metrics}, {"listen.otlp", c.Listen.OTLP}, {"listen.zipkin", c.Listen.Zipkin}, {"listen.cf", c.Listen.CF}, {"listen.ssh", c.Listen.SSH},
	} {
		_, port, err := net.SplitHostPort(other.addr)
		if n, nerr := strconv.Atoi(port); err == nil && nerr == nil && r.Contains(n) {
			list = append(list, fmt.Errorf("listen.tcp: holds the port of %s (got %q)", other.key, c.Listen.TCPPorts))
		}
	}
	if _, err := c.Gateway.Balancers(); err != nil {
		list = append(list, fmt.Errorf("gateway.proxy_protocol: %w", err))
	}
	if _, err := c.Gateway.TrustedProxies(); err != nil {
		list = append(list, fmt.Errorf("gateway.trusted_proxies: %w", err))
	}
	return list
}
