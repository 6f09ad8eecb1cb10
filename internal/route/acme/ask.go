package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"naru/internal/fault"
	"naru/internal/route/certificate"
)

// names of challenges, for people.
var names = map[string]string{
	acme.ChallengeTypeHTTP01: "HTTP-01", acme.ChallengeTypeTLSALPN01: "TLS-ALPN-01", acme.ChallengeTypeDNS01: "DNS-01",
}

// ways are the challenges by which a host is proved to the authority, at most two.
// A wildcard has one.
func (k *Keeper) ways(host string) []string {
	switch base, wildcard := strings.CutPrefix(host, "*."); {
	case wildcard:
		return []string{acme.ChallengeTypeDNS01}
	case k.cfg.DNS != nil && k.cfg.DNS.In(base):
		return []string{acme.ChallengeTypeDNS01, acme.ChallengeTypeHTTP01}
	}
	return []string{acme.ChallengeTypeHTTP01, acme.ChallengeTypeTLSALPN01}
}

// obtain asks the authority, and lets it look the other way where the first leads
// nowhere: one port may end elsewhere.
func (k *Keeper) obtain(ctx context.Context, host string) (certificate.Pair, error) {
	ways := k.ways(host)
	pair, err := k.by(ctx, host, ways[0])
	if err == nil || ctx.Err() != nil || len(ways) == 1 || !errors.As(err, new(acme.Problem)) && !errors.As(err, new(*zoneError)) {
		return pair, err
	}
	pair, second := k.by(ctx, host, ways[1])
	if second != nil {
		return pair, fmt.Errorf("%w (with %s: %s)", err, names[ways[1]], reason(second))
	}
	return pair, nil
}

// by asks with one kind of challenge.
func (k *Keeper) by(ctx context.Context, host, challenge string) (certificate.Pair, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	client := acmez.Client{
		Client: &acme.Client{
			Directory: k.cfg.Directory, UserAgent: "naru", Logger: slog.New(slog.DiscardHandler),
			HTTPClient: &http.Client{Transport: k.cfg.Transport, Timeout: 30 * time.Second},
		},
		ChallengeSolvers: map[string]acmez.Solver{challenge: k.solver(challenge)},
	}
	key, err := k.accountKey()
	if err != nil {
		return certificate.Pair{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if k.cfg.Email != "" {
		account.Contact = []string{"mailto:" + k.cfg.Email}
	}
	// An authority answers a known key with its account.
	if account, err = client.NewAccount(ctx, account); err != nil {
		return certificate.Pair{}, fmt.Errorf("open account: %w", err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate.Pair{}, fmt.Errorf("make key: %w", err)
	}
	chains, err := client.ObtainCertificateForSANs(ctx, account, private, []string{host})
	if err != nil {
		return certificate.Pair{}, err
	}
	if len(chains) == 0 {
		return certificate.Pair{}, errors.New("the authority gave no certificate")
	}
	text, err := keyPEM(private)
	return certificate.Pair{Chain: chains[0].ChainPEM, Key: text, Names: []string{host}}, err
}

// reason is what people are told of a failure.
func reason(err error) string {
	var p acme.Problem
	if errors.As(err, &p) && p.Detail != "" {
		return p.Detail
	}
	var f *fault.Error
	if errors.As(err, &f) && f.Try != "" {
		return f.Message + "; " + f.Try
	}
	return err.Error()
}
