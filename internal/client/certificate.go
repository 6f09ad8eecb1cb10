package client

import (
	"context"
	"time"
)

// The states of a certificate.
const (
	CertificateActive  = "active"    // served
	CertificateExpired = "expired"   // served, and refused by clients
	CertificateWaiting = "asked for" // an authority is asked
	CertificateFailed  = "failed"    // an authority refused; Detail says why
)

// Certificate is what a host is served with. Its key is never told.
type Certificate struct {
	Host   string    `json:"host" doc:"what it serves; may be a wildcard"`
	Source string    `json:"source" enum:"own,acme" doc:"own: somebody added it; acme: an authority was asked for it"`
	State  string    `json:"state" enum:"active,expired,asked for,failed"`
	Names  []string  `json:"names" doc:"DNS names it is for"`
	Issuer string    `json:"issuer,omitempty"`
	Until  time.Time `json:"until,omitzero" doc:"when it expires; absent where there is none yet"`
	Detail string    `json:"detail,omitempty" doc:"why an authority refused the last time"`
	Next   time.Time `json:"next,omitzero" doc:"when an authority is asked again"`
}

// NewCertificate is a certificate to be kept.
type NewCertificate struct {
	Chain string `json:"chain" minLength:"1" maxLength:"131072" doc:"PEM: the certificate of the host first, then those that lead to its authority"`
	Key   string `json:"key" minLength:"1" maxLength:"65536" doc:"PEM: its private key, without a passphrase"`
}

// String prints stars.
func (NewCertificate) String() string { return "***" }

// Certificates lists the certificates of the space by host.
func (s *InSpace) Certificates(ctx context.Context) ([]Certificate, error) {
	l, err := list[Certificate](ctx, s.c, s.path+"/certificates", nil)
	return l.Items, err
}

// SetCertificate keeps a certificate for a host, in place of the one there is.
func (s *InSpace) SetCertificate(ctx context.Context, host string, in NewCertificate) (c Certificate, err error) {
	err = s.c.put(ctx, join(s.path+"/certificates", host), in, &c)
	return c, err
}

// DeleteCertificate forgets the certificate of a host.
func (s *InSpace) DeleteCertificate(ctx context.Context, host string) error {
	return s.c.remove(ctx, join(s.path+"/certificates", host), nil)
}
