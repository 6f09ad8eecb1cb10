package acme

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"naru/internal/route/certificate"
)

func (k *Keeper) solver(challenge string) acmez.Solver {
	if challenge == acme.ChallengeTypeDNS01 {
		return zoneSolver{k}
	}
	return solver{k}
}

// solver answers HTTP-01 and TLS-ALPN-01 through the gateways. One host is asked
// for at a time, so that there is one question at a time.
type solver struct{ k *Keeper }

// Present has the gateways answer.
func (s solver) Present(ctx context.Context, c acme.Challenge) error {
	host := c.Identifier.Value
	var a certificate.Answers
	if c.Type == acme.ChallengeTypeHTTP01 {
		a.Tokens = map[string]string{host + "/" + c.Token: c.KeyAuthorization}
		return s.k.present.Present(ctx, a)
	}
	proof, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		return fmt.Errorf("make proof for %s: %w", host, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(proof.PrivateKey)
	if err != nil {
		return fmt.Errorf("encode key of proof for %s: %w", host, err)
	}
	a.Proofs = []certificate.Pair{{
		Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proof.Certificate[0]}),
		Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), Names: []string{host},
	}}
	return s.k.present.Present(ctx, a)
}

// CleanUp has them forget it.
func (s solver) CleanUp(ctx context.Context, _ acme.Challenge) error {
	return s.k.present.Present(ctx, certificate.Answers{})
}
