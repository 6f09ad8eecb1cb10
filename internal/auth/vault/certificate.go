package vault

import (
	"context"
	"fmt"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/pipeline/operation"
	"naru/internal/route/certificate"
	"naru/internal/secret"
)

// certificateKey is the kind of sealed values that are keys of certificates.
const certificateKey Kind = "certificate"

// Certificate is one that people brought for a host. Its key stays sealed in the
// store.
type Certificate struct {
	Host    string // in the form of the routing table, may be a wildcard
	Space   app.SpaceID
	Chain   []byte // PEM
	By      string // who set it
	Created time.Time
	Updated time.Time
}

// SealedKey is a certificate's sealed private key and what it belongs to.
func (c Certificate) SealedKey(value string) Sealed {
	return Sealed{Space: c.Space, Host: c.Host, Kind: certificateKey, Value: value}
}

// OfCertificate reports whether the value is the key of a certificate.
func (s Sealed) OfCertificate() bool { return s.App == "" && s.Kind == certificateKey }

// SetCertificate checks a certificate and its key for a host and keeps them, in
// place of those that are there. The host is in the form of the routing table. A
// host whose certificate or routes belong to another space is a Conflict.
func (v *Vault) SetCertificate(ctx context.Context, by operation.Ask, space app.SpaceID, host string, chain []byte, key secret.Secret) (Certificate, error) {
	facts, err := certificate.Check(certificate.Pair{Chain: chain, Key: []byte(key.Reveal())}, host, time.Now())
	if err != nil {
		return Certificate{}, err
	}
	c := Certificate{Host: host, Space: space, Chain: chain, By: by.Actor}
	sealed, err := v.ring().Seal(key, c.SealedKey("").Owner())
	if err != nil {
		return c, fmt.Errorf("seal key for %s: %w", host, err)
	}
	return v.store.SetCertificate(ctx, c, sealed, event.Event{
		Kind: "certificate.set", Actor: by.Actor, Subject: host, Detail: map[string]any{"issuer": facts.Issuer, "until": facts.Until.Format(time.RFC3339)},
	})
}

// Certificates lists the certificates of a space by host.
func (v *Vault) Certificates(ctx context.Context, space app.SpaceID) ([]Certificate, error) {
	return v.store.Certificates(ctx, space)
}

// DeleteCertificate forgets the certificate of a host; where the space has none
// it is a NotFound.
func (v *Vault) DeleteCertificate(ctx context.Context, by operation.Ask, space app.SpaceID, host string) error {
	return v.store.DeleteCertificate(ctx, space, host, event.Event{Kind: "certificate.deleted", Actor: by.Actor, Subject: host})
}

// Owners tells whose the certificates are that are to be served, by host.
func (v *Vault) Owners(ctx context.Context) (map[string]app.SpaceID, error) {
	all, _, err := v.store.ServedCertificates(ctx)
	if err != nil {
		return nil, err
	}
	owners := make(map[string]app.SpaceID, len(all))
	for _, c := range all {
		owners[c.Host] = c.Space
	}
	return owners, nil
}

// Pairs opens all certificates that are to be served. Those whose key does not
// open are left out, and the error says which.
func (v *Vault) Pairs(ctx context.Context) (pairs []certificate.Pair, err error) {
	all, sealed, err := v.store.ServedCertificates(ctx)
	if err != nil {
		return nil, err
	}
	var stuck error
	for i, c := range all {
		key, err := v.open(sealed[i], c.SealedKey(""))
		if err != nil {
			stuck = fmt.Errorf("certificate of %s: %w", c.Host, err)
			continue
		}
		pairs = append(pairs, certificate.Pair{Chain: c.Chain, Key: []byte(key.Reveal()), Names: []string{c.Host}})
	}
	return pairs, stuck
}
