package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"naru/internal/auth/vault"
	"naru/internal/fault"
	"naru/internal/secret"
)

// tester tries credentials against their hosts before they are kept.
type tester struct{ transport http.RoundTripper }

// Test asks a registry for a token, or a git host for anything at all.
func (t tester) Test(ctx context.Context, c vault.Credential, password secret.Secret) error {
	if c.Kind == vault.Registry {
		return t.registry(ctx, c, password)
	}
	return t.git(ctx, c, password)
}

func (t tester) registry(ctx context.Context, c vault.Credential, password secret.Secret) error {
	reg, err := name.NewRegistry(c.Host)
	if err != nil {
		return fault.New(fault.Invalid, "host", "%q is not the host of a registry", c.Host)
	}
	basic := &authn.Basic{Username: c.Username, Password: password.Reveal()}
	if _, err := transport.NewWithContext(ctx, reg, basic, t.transport, nil); err != nil {
		return refused(c.Host, err)
	}
	return nil
}

func (t tester) git(ctx context.Context, c vault.Credential, password secret.Secret) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.Host+"/", nil)
	if err != nil {
		return fault.New(fault.Invalid, "host", "%q is not a host", c.Host)
	}
	req.SetBasicAuth(c.Username, password.Reveal())
	res, err := (&http.Client{Transport: t.transport}).Do(req)
	if err != nil {
		return refused(c.Host, err)
	}
	if err := res.Body.Close(); err != nil {
		return refused(c.Host, err)
	}
	if res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden {
		return refused(c.Host, errors.New(res.Status))
	}
	return nil
}

func refused(host string, err error) error {
	return fault.New(fault.Failed, "host", "%s does not take these credentials: %s", host, err).
		WithTry("check user and password; nothing was kept")
}
