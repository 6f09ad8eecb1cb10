package drain

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"naru/internal/fault"
)

// Way is how receivers are reached.
type Way struct {
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Roots *x509.CertPool // nil: the machine's
}

// Outside is a way to receivers that are not this machine: whoever may name a
// receiver could otherwise have naru speak to what listens here for nobody else.
// inside are further addresses that are not reached, as those of instances, which
// are none of other spaces' business. local lifts all of that.
func Outside(local bool, roots *x509.CertPool, inside ...netip.Prefix) Way {
	d := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if local {
			return nil
		}
		return closed(at.Addr().Unmap(), inside)
	}}
	return Way{d.DialContext, roots}
}

// Reachable refuses an address that a way Outside does not lead to, for those who
// have somebody else connect.
func Reachable(ip netip.Addr, inside ...netip.Prefix) error { return closed(ip.Unmap(), inside) }

// closed refuses addresses that are not reached.
func closed(ip netip.Addr, inside []netip.Prefix) error {
	if ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ownAddress(ip) ||
		slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return fault.New(fault.Denied, "url", "%s is this machine, its link or its instances, where lines are not drained", ip).WithTry("an address of another machine, or logs.drain_local=true")
	}
	return nil
}

// cloudMetadata is where machines of a cloud ask about themselves over IPv6.
var cloudMetadata = netip.MustParseAddr("fd00:ec2::254")

// ownAddress reports whether an address is one of this machine's; where it cannot
// be found out, it is.
func ownAddress(ip netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil || ip == cloudMetadata {
		return true
	}
	return slices.ContainsFunc(all, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == ip.WithZone("")
	})
}

func (w Way) dialTLS(name string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		plain, err := w.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := tls.Client(plain, &tls.Config{ServerName: name, RootCAs: w.Roots, MinVersion: tls.VersionTLS12})
		if err := c.HandshakeContext(ctx); err != nil {
			_ = plain.Close() // the handshake's error says more
			return nil, err
		}
		return c, nil
	}
}

func (w Way) transport() http.RoundTripper {
	return &http.Transport{
		DialContext: w.Dial, TLSClientConfig: &tls.Config{RootCAs: w.Roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		MaxIdleConns: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
	}
}
