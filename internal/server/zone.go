//go:build linux

package server

import (
	"context"
	"os"

	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/route/acme"
	"naru/internal/route/acme/dnsupdate"
	"naru/internal/route/domain"
)

// zone is where authorities are answered in DNS.
type zone struct {
	*dnsupdate.Client
	desk *domain.Desk
}

// Alias asks the world's DNS, not the zone's: the name is somebody else's.
func (z zone) Alias(ctx context.Context, name string) (string, error) { return z.desk.Alias(ctx, name) }

// newZone wires the zone, nil where none is configured.
func newZone(d config.ACMEDNS, desk *domain.Desk) (acme.DNS, error) {
	if d.Server == "" {
		return nil, nil
	}
	text, err := os.ReadFile(d.SecretFile)
	if err != nil {
		return nil, fault.New(fault.Invalid, "acme.dns.secret_file", "cannot read %s", d.SecretFile).WithCause(err)
	}
	key, err := dnsupdate.ParseSecret(string(text))
	if err != nil {
		return nil, fault.New(fault.Invalid, "acme.dns.secret_file", "%s: %s", d.SecretFile, err).WithTry("tsig-keygen -a %s %s > %s", d.Algorithm, d.KeyName, d.SecretFile)
	}
	return zone{dnsupdate.New(dnsupdate.Config{
		Server: d.Server, Zone: d.Zone, KeyName: d.KeyName, Algorithm: d.Algorithm, Secret: key, Shown: d.Servers,
	}), desk}, nil
}
