// Package authority is naru's own certificate authority for the names of the
// platform itself.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"naru/internal/atomicfile"
	"naru/internal/fault"
	"naru/internal/route/certificate"
)

// How long certificates last. The authority is replaced while its last leaf is
// still good.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	authorityLeft = 180 * 24 * time.Hour
	// LeafLife is how long a certificate of Issue is good for.
	LeafLife = 90 * 24 * time.Hour
	// backdated lets clients in whose clock is behind.
	backdated = time.Hour
)

// Authority signs certificates for names under one domain, and its own
// certificate says that it can do no other.
type Authority struct {
	domain string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// Load reads the authority for domain from path, a PEM file of mode 0600 with
// its key and its certificate. It makes one where there is none, where the one
// found is for another domain, and where it ends within half a year; made says
// so, because people then have to trust it anew.
func Load(path, domain string, now time.Time) (a *Authority, made bool, err error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, false, fmt.Errorf("read certificate authority: %w", err)
	default:
		a, err := parse(text)
		if err != nil {
			return nil, false, fault.New(fault.Invalid, path, "the file holds no certificate authority: %s", err).
				WithTry("remove the file; naru makes another authority, and everybody trusts that one anew (naru ca)")
		}
		if slices.Equal(a.cert.PermittedDNSDomains, []string{domain}) && a.cert.NotAfter.Sub(now) > authorityLeft {
			a.domain = domain
			return a, false, nil
		}
	}
	a, text, err = create(domain, now)
	if err != nil {
		return nil, false, fmt.Errorf("make certificate authority: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, false, fmt.Errorf("make folder of certificate authority: %w", err)
	}
	return a, true, atomicfile.Write(path, text, 0o600)
}

// ReadCertificate returns the certificate in the file of Load, in PEM form and
// without the key.
func ReadCertificate(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	a, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("read certificate authority %s: %w", path, err)
	}
	return a.Certificate(), nil
}

// Certificate is what clients are to trust, in PEM form.
func (a *Authority) Certificate() []byte { return encode("CERTIFICATE", a.cert.Raw) }

// Issue makes a key and a certificate for names, all of them the domain or
// under it; a wildcard may be among them.
func (a *Authority) Issue(names []string, now time.Time) (certificate.Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate.Pair{}, fmt.Errorf("make key for %v: %w", names, err)
	}
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: "naru " + a.domain}, DNSNames: names,
		NotBefore: now.Add(-backdated), NotAfter: now.Add(LeafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return certificate.Pair{}, fmt.Errorf("sign certificate for %v: %w", names, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return certificate.Pair{}, fmt.Errorf("encode key for %v: %w", names, err)
	}
	return certificate.Pair{Chain: encode("CERTIFICATE", der), Key: encode("PRIVATE KEY", private)}, nil
}

func create(domain string, now time.Time) (*Authority, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	self := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "naru authority for " + domain + " of " + now.UTC().Format(time.DateOnly)},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		// It ends up in people's trust stores: it must be of no use for other sites.
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{domain},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, self, self, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	text := append(encode("PRIVATE KEY", private), encode("CERTIFICATE", der)...)
	return &Authority{domain: domain, cert: cert, key: key}, text, nil
}

func parse(text []byte) (*Authority, error) {
	a := &Authority{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			var any any
			if any, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				a.key, _ = any.(*ecdsa.PrivateKey)
			}
		case "CERTIFICATE":
			a.cert, err = x509.ParseCertificate(block.Bytes)
		}
		if err != nil {
			return nil, err
		}
	}
	if a.cert == nil || a.key == nil || !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return nil, errors.New("it needs a certificate and the P-256 key that belongs to it")
	}
	return a, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
