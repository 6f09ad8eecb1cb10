package drain

import (
	"context"
	"crypto/x509"
	"net/netip"
	"time"

	"naru/internal/fault"
)

// Targets knows where drains lead to.
type Targets interface {
	DrainTarget(ctx context.Context, d Declared) (Target, error)
}

// Reach is how the receivers of declared drains are reached.
type Reach struct {
	Targets Targets
	Local   bool           // also this machine, its link and its instances
	Inside  []netip.Prefix // of instances
	Roots   *x509.CertPool // whom naru believes; nil: whom the machine does
	Timeout time.Duration  // for one attempt
}

// Open makes the sender of a drain.
func (r Reach) Open(ctx context.Context, d Declared) (Sender, error) {
	t, err := r.Targets.DrainTarget(ctx, d)
	if err != nil {
		return nil, err
	}
	u, err := Check(t.URL)
	if err != nil {
		return nil, err
	}
	roots := r.Roots
	if d.CA != "" {
		if roots, err = parseCA(d.CA); err != nil {
			return nil, err
		}
	}
	return New(u, t.Header, Outside(r.Local, roots, r.Inside...), r.Timeout), nil
}

// refuses says what is known before a receiver is tried: that its address is one
// that is not reached.
func (r Reach) refuses(host string) error {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if r.Local || err != nil {
		return nil //nolint:nilerr // a name is looked up when it is used
	}
	return closed(ip.Unmap(), r.Inside)
}

func parseCA(pem string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, fault.New(fault.Invalid, "ca", "there is no certificate in PEM form").WithTry("--ca FILE with the certificate of the receiver's authority")
	}
	return pool, nil
}
