//go:build linux

package server

import (
	"context"
	"log/slog"
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
	"naru/internal/route/domain"
	"naru/internal/secret"
)

// hosts tells what hosts are served with, and changes it.
type hosts struct {
	holders domain.Store
	log     *slog.Logger
	vault   *vault.Vault
	served  *certified
	https   bool
	domains []string // of the platform

	keeper    *acme.Keeper // nil: no authority is asked
	routes    hostRoutes
	clock     func() time.Time                       // of the keeper; nil: time.Now
	wildcards bool                                   // the authority gives them, too
	own       atomic.Pointer[map[string]app.SpaceID] // whose the certificates are that people brought, by host
}

func newHosts(cfg config.Config, v *vault.Vault, holders domain.Store, served *certified) *hosts {
	h := &hosts{
		vault: v, holders: holders, log: served.log, served: served, https: cfg.Listen.AppsTLS != "",
		domains: []string{strings.ToLower(cfg.AppsDomain), strings.ToLower(cfg.PlatformDomain())},
	}
	served.brought = h.brought
	return h
}

// brought are the certificates that people brought for hosts which are theirs.
func (h *hosts) brought(ctx context.Context) ([]certificate.Pair, error) {
	pairs, stuck := h.vault.Pairs(ctx)
	if pairs == nil && stuck != nil {
		return nil, stuck
	}
	owners, err := h.vault.Owners(ctx)
	if err != nil {
		return nil, err
	}
	kept, own := []certificate.Pair{}, map[string]app.SpaceID{}
	for _, p := range pairs {
		host := p.Names[0]
		theirs, err := h.answers(ctx, host, owners[host])
		if err != nil {
			return nil, err
		}
		if theirs {
			kept = append(kept, p)
			own[host] = owners[host]
		}
	}
	h.own.Store(&own)
	return kept, stuck
}

// answers reports whether visitors of a host that a certificate is for come to the
// space whose it is. Those of the platform's names are for all spaces.
func (h *hosts) answers(ctx context.Context, host string, space app.SpaceID) (bool, error) {
	if h.OfPlatform(host) {
		return true, nil
	}
	holders, err := h.holders.HostHolders(ctx, host)
	return err == nil && domain.Answers(host, space, holders), err
}

// hasOwn reports whether a host is served with a certificate that its space
// brought, also for a wildcard. Somebody else's wildcard is none of its own.
func (h *hosts) hasOwn(host string) bool {
	own := h.own.Load()
	if own == nil {
		return false
	}
	if _, exact := (*own)[host]; exact {
		return true
	}
	_, parent, _ := strings.Cut(host, ".")
	space, wide := (*own)["*."+parent]
	if !wide {
		return false
	}
	theirs, err := h.answers(context.Background(), host, space)
	if err != nil {
		h.log.Error("whose a host is", "host", host, "error", err)
	}
	return theirs || err != nil
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
	theirs, err := h.answers(ctx, host, space)
	if err != nil {
		return client.Certificate{}, err
	}
	if !theirs {
		return client.Certificate{}, fault.New(fault.Conflict, "host", "%s belongs to another space", host).
			WithTry("map a route at the host first, then add its certificate: naru domain %s says what that takes", host)
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
