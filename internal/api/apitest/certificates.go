// Package apitest has services for tests of what speaks with the API.
package apitest

import (
	"context"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
)

// Certificates keeps the newest certificate that it is given. The key "wrong"
// belongs to none.
type Certificates struct{ all map[string]client.Certificate }

// HostCertificates lists what there is.
func (c *Certificates) HostCertificates(context.Context, app.SpaceID) (out []client.Certificate, err error) {
	for _, one := range c.all {
		out = append(out, one)
	}
	return out, nil
}

// SetCertificate forgets the one before.
func (c *Certificates) SetCertificate(_ context.Context, _ operation.Ask, _ app.SpaceID, host string, in client.NewCertificate) (client.Certificate, error) {
	if in.Key == "wrong" {
		return client.Certificate{}, fault.New(fault.Invalid, "key", "the key does not belong to the certificate").WithTry("openssl")
	}
	one := client.Certificate{
		Host: host, Source: "own", State: client.CertificateActive, Names: []string{host}, Issuer: "someone",
		Until: time.Date(2099, 3, 4, 5, 6, 7, 0, time.UTC),
	}
	c.all = map[string]client.Certificate{host: one}
	return one, nil
}

// DeleteCertificate knows those that were set.
func (c *Certificates) DeleteCertificate(_ context.Context, _ operation.Ask, _ app.SpaceID, host string) error {
	if _, ok := c.all[host]; !ok {
		return fault.New(fault.NotFound, "host", "this space has no certificate for %q", host).WithTry("naru certificates")
	}
	delete(c.all, host)
	return nil
}

// OfPlatform takes localhost and what is below it for the platform's.
func (*Certificates) OfPlatform(host string) bool { return strings.HasSuffix(host, "localhost") }
