//go:build linux

package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/acme"
	"naru/internal/route/certificate"
	"naru/internal/route/domain"
)

// hostRoutes finds the hosts of a space.
type hostRoutes interface {
	RoutesAfter(ctx context.Context, space app.SpaceID, after string, limit int) ([]route.Route, error)
}

// ask has an authority asked for certificates of the hosts of all tables, where
// the operator wants that.
func (h *hosts) ask(cfg config.Config, routes hostRoutes, domains *domain.Desk, trusted trust, log *slog.Logger) error {
	if !cfg.ACME.Agree || !h.https {
		return nil
	}
	transport := trusted.transport
	if cfg.ACME.CABundle != "" {
		text, err := os.ReadFile(cfg.ACME.CABundle)
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(text) {
			return fault.New(fault.Invalid, "acme.ca_bundle", "%s holds no certificates in PEM form", cfg.ACME.CABundle).WithCause(err)
		}
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.Proxy, own.TLSClientConfig = trusted.proxy, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		transport = own
	}
	dns, err := newZone(cfg.ACME.DNS, domains)
	if err != nil {
		return err
	}
	h.routes, h.wildcards = routes, dns != nil
	h.keeper = acme.New(acme.Config{
		Directory: cfg.ACME.Directory, Email: cfg.ACME.Email, Dir: cfg.ACMEDir(), Transport: transport,
		DNS: dns, Proved: domains.Proved, Clock: h.clock,
	}, h.served, func() { h.served.refresh(context.Background()) }, log)
	h.served.brought = func(ctx context.Context) ([]certificate.Pair, error) {
		own, err := h.brought(ctx)
		if own == nil && err != nil {
			return nil, err
		}
		return append(own, h.keeper.Pairs()...), err
	}
	h.served.wanted = func(t route.Table) bool { return h.keeper.Want(h.outside(t)) }
	return nil
}

// Run asks for certificates until ctx ends.
func (h *hosts) Run(ctx context.Context) error {
	if h.keeper == nil {
		<-ctx.Done()
		return nil
	}
	return h.keeper.Run(ctx)
}

// outside are the hosts of a table that are not the platform's. An authority
// gives a wildcard only for a proof in DNS, so without a zone those are left out.
func (h *hosts) outside(t route.Table) []string {
	all := map[string]bool{}
	for i := range t.Routes {
		host := strings.ToLower(t.Routes[i].Host)
		if h.hasOwn(host) || strings.HasPrefix(host, "*.") && !h.wildcards {
			continue
		}
		if strings.Contains(host, ".") && !h.OfPlatform(host) && !strings.HasSuffix(host, "."+h.domains[0]) {
			all[host] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// askedFor tells how it is with the hosts of a space that an authority is asked
// for.
func (h *hosts) askedFor(ctx context.Context, space app.SpaceID) (out []client.Certificate, err error) {
	if h.keeper == nil {
		return nil, nil
	}
	routes, err := h.routes.RoutesAfter(ctx, space, "", 1_000_000)
	if err != nil {
		return nil, err
	}
	mine := map[string]bool{}
	for _, r := range routes {
		mine[r.Host] = true
	}
	for _, s := range h.keeper.States() {
		if mine[s.Host] {
			out = append(out, askedCertificate(s, time.Now()))
		}
	}
	return out, nil
}

func askedCertificate(s acme.State, now time.Time) client.Certificate {
	c := client.Certificate{Host: s.Host, Source: "acme", State: client.CertificateWaiting, Names: []string{s.Host}, Detail: s.Failure, Next: s.Next}
	if s.Failure != "" {
		c.State = client.CertificateFailed
	}
	f, err := certificate.Read(s.Chain)
	if err != nil {
		return c
	}
	c.Issuer, c.Until, c.State = f.Issuer, f.Until, client.CertificateActive
	if now.After(f.Until) {
		c.State = client.CertificateExpired
	}
	return c
}
