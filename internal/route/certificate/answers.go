package certificate

import (
	"crypto/tls"
	"slices"
	"strings"
)

// ProofProtocol is what an authority speaks that wants a TLS-ALPN-01 proof.
const ProofProtocol = "acme-tls/1"

// Answers are what authorities are told that ask whether a host is ours.
type Answers struct {
	Tokens map[string]string `json:"tokens,omitempty"` // HTTP-01: key authorization by HOST/TOKEN
	Proofs []Pair            `json:"proofs,omitempty"` // TLS-ALPN-01
}

// Answer is what an authority is told that asks a host for a token; "" for what
// nobody asked for.
func (s *Shelf) Answer(host, token string) string {
	in := s.now.Load()
	if in == nil || len(in.tokens) == 0 {
		return ""
	}
	return in.tokens[host+"/"+token]
}

// proving reports whether a client is an authority that wants a proof.
func proving(hello *tls.ClientHelloInfo) bool {
	return slices.Contains(hello.SupportedProtos, ProofProtocol)
}

func proofs(pairs []Pair) (map[string]*tls.Certificate, error) {
	out := map[string]*tls.Certificate{}
	for _, p := range pairs {
		cert, err := tls.X509KeyPair(p.Chain, p.Key)
		if err != nil {
			return nil, err
		}
		for _, name := range p.Names {
			out[strings.ToLower(name)] = &cert
		}
	}
	return out, nil
}
