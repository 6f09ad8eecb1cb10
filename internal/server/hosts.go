//go:build linux

package server

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/client"
	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/route/acme"
	"naru/internal/route/certificate"
	"naru/internal/secret"
)

// hosts tells what hosts are served with, and changes it.
type hosts struct {
	vault   *vault.Vault
	served  *certified
	https   bool
	domains []string // of the platform

	keeper    *acme.Keeper // nil: no authority is asked
	routes    hostRoutes
	clock     func() time.Time                // of the keeper; nil: time.Now
	wildcards bool                            // the authority gives them, too
	own       atomic.Pointer[map[string]bool] // hosts with a certificate that people brought
}

func newHosts(cfg config.Config, v *vault.Vault, served *certified) *hosts {
	served.brought = v.Pairs
	h := &hosts{
		vault: v, served: served, https: cfg.Listen.AppsTLS != "",
		domains: []string{strings.ToLower(cfg.AppsDomain), strings.ToLower(cfg.PlatformDomain())},
	}
	return h
}

// OfPlatform reports whether a certificate for the host would be for all spaces.
func (h *hosts) OfPlatform(host string) bool {
	for i, d := range h.domains {
		if host == d || host == "*."+d || strings.HasPrefix(host, "*.") && strings.HasSuffix(d, host[1:]) || i == 1 && strings.HasSuffix(host, "."+d) {
			return true
		}
	}
	return false
}

// HostCertificates lists the certificates of a space.
func (h *hosts) HostCertificates(ctx context.Context, space app.SpaceID) ([]client.Certificate, error) {
	all, err := h.vault.Certificates(ctx, space)
	if err != nil {
		return nil, err
	}
	out := make([]client.Certificate, 0, len(all))
	for _, c := range all {
		one, err := ownCertificate(c, time.Now())
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	asked, err := h.askedFor(ctx, space)
	return append(out, asked...), err
}

// SetCertificate checks, keeps and serves a certificate.
func (h *hosts) SetCertificate(ctx context.Context, by operation.Ask, space app.SpaceID, host string, in client.NewCertificate) (client.Certificate, error) {
	if !h.https {
		return client.Certificate{}, fault.New(fault.Unsupported, "host", "this platform serves no HTTPS").
			WithTry("start it with naru up --listen-apps-tls 0.0.0.0:443, then add the certificate")
	}
	c, err := h.vault.SetCertificate(ctx, by, space, host, []byte(in.Chain), secret.New(in.Key))
	if err != nil {
		return client.Certificate{}, err
	}
	h.served.refresh(ctx)
	return ownCertificate(c, time.Now())
}

// DeleteCertificate forgets a certificate and serves it no longer.
func (h *hosts) DeleteCertificate(ctx context.Context, by operation.Ask, space app.SpaceID, host string) error {
	if err := h.vault.DeleteCertificate(ctx, by, space, host); err != nil {
		return err
	}
	h.served.refresh(ctx)
	return nil
}

func ownCertificate(c vault.Certificate, now time.Time) (client.Certificate, error) {
	f, err := certificate.Read(c.Chain)
	if err != nil {
		return client.Certificate{}, err
	}
	out := client.Certificate{Host: c.Host, Source: "own", State: client.CertificateActive, Names: f.Names, Issuer: f.Issuer, Until: f.Until}
	if now.After(f.Until) {
		out.State = client.CertificateExpired
	}
	return out, nil
}
