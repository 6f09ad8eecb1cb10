//go:build linux

package server

import (
	"naru/internal/auth"
	"naru/internal/config"
	"naru/internal/route/domain"
)

// newDomains wires what says which space may have a host. Tokens come from the key
// of logins, so that they are the same after every start.
func newDomains(cfg config.Config, key *auth.Key, store domain.Store) (*domain.Desk, error) {
	secret, err := key.Derive("domains of spaces")
	if err != nil {
		return nil, err
	}
	addresses, err := cfg.Domains.Reached()
	if err != nil {
		return nil, err // validated before
	}
	return domain.New(domain.Config{
		Required: cfg.ProofRequired(), Apps: cfg.AppsDomain, Addresses: addresses,
		Resolver: cfg.Domains.Resolver, Timeout: cfg.Domains.Timeout, Secret: secret,
	}, store), nil
}
