package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"naru/internal/atomicfile"
	"naru/internal/client"
	"naru/internal/fault"
)

// trusted is HTTP for a server: it trusts the machine's authorities, and the one
// that was named at the login to this server or by NARU_CA_CERT.
func trusted(getenv func(string) string, server string) (*http.Client, error) {
	path := getenv("NARU_CA_CERT")
	if path == "" {
		var err error
		if path, err = authorityPath(getenv, server); err != nil {
			return nil, err
		}
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return &http.Client{Transport: client.Transport(nil)}, nil
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "ca-cert", "cannot read %s", path).WithCause(err)
	}
	return trusting(path, text)
}

// trusting is HTTP that trusts the certificates in a PEM file too.
func trusting(name string, text []byte) (*http.Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // not on every system, and what counts is the file
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fault.New(fault.Invalid, "ca-cert", "%s holds no certificate in PEM form", name).
			WithTry("naru ca > naru-ca.pem, on the platform's machine, writes one")
	}
	return &http.Client{Transport: client.Transport(pool)}, nil
}

// keepAuthority remembers the authority of a server for later commands; the text
// "" forgets it.
func keepAuthority(getenv func(string) string, server string, text []byte) error {
	path, err := authorityPath(getenv, server)
	if err != nil {
		return err
	}
	if len(text) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("forget authority: %w", err)
		}
		return nil
	}
	return atomicfile.Write(path, text, 0o600)
}

// authorityPath is beside the login of the server.
func authorityPath(getenv func(string) string, server string) (string, error) {
	path, err := newFileSession(getenv, server).path()
	return path[:max(0, len(path)-len(".json"))] + ".pem", err
}
