package certificate

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"naru/internal/fault"
)

// maxChain bounds the certificates of one chain.
const maxChain = 10

// Facts are what a certificate says of itself.
type Facts struct {
	Names    []string // DNS names it is for
	Issuer   string
	From     time.Time
	Until    time.Time
	SelfMade bool // its own issuer: clients trust it only when told to
}

// Read returns the facts of the first certificate of a chain in PEM form.
func Read(chain []byte) (Facts, error) {
	certs, err := parseChain(chain)
	if err != nil {
		return Facts{}, err
	}
	return factsOf(certs[0]), nil
}

// Check returns the facts of a pair that people gave for a host in the form of
// the routing table. What would not work is an error that says which file, why,
// and the way out.
func Check(p Pair, host string, now time.Time) (Facts, error) {
	certs, err := parseChain(p.Chain)
	if err != nil {
		return Facts{}, err
	}
	key, err := parseKey(p.Key)
	if err != nil {
		return Facts{}, err
	}
	own, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return Facts{}, fault.New(fault.Unsupported, "key", "the key is of a kind that TLS does not use").WithTry("use an ECDSA (P-256) or RSA key")
	}
	if !own.Equal(certs[0].PublicKey) {
		for i, c := range certs[1:] {
			if own.Equal(c.PublicKey) {
				return Facts{}, fault.New(fault.Invalid, "cert", "the chain is in the wrong order: the certificate of the key is number %d, not the first", i+2).
					WithTry("put the certificate of the host first, then the one that signed it, and so on")
			}
		}
		return Facts{}, fault.New(fault.Invalid, "key", "the key does not belong to the certificate").
			WithTry("compare: openssl x509 -noout -pubkey -in CERT, and openssl pkey -pubout -in KEY")
	}
	for i, c := range certs[:len(certs)-1] {
		if err := c.CheckSignatureFrom(certs[i+1]); err != nil {
			return Facts{}, fault.New(fault.Invalid, "cert", "the chain is in the wrong order or has a gap: certificate %d (%s) did not sign certificate %d (%s)",
				i+2, certs[i+1].Subject, i+1, c.Subject).
				WithTry("put the certificate of the host first, then the one that signed it, and so on; leave out what does not belong to it").WithCause(err)
		}
	}
	f := factsOf(certs[0])
	for i, c := range certs {
		switch {
		case now.After(c.NotAfter):
			return f, fault.New(fault.Invalid, "cert", "certificate %d (%s) expired at %s", i+1, c.Subject, c.NotAfter.UTC().Format(time.RFC3339)).
				WithTry("renew it where it came from")
		case now.Before(c.NotBefore):
			return f, fault.New(fault.Invalid, "cert", "certificate %d (%s) is good only from %s on", i+1, c.Subject, c.NotBefore.UTC().Format(time.RFC3339)).
				WithTry("wait until then, and look at the clock of this machine")
		}
	}
	if !covers(f.Names, host) {
		names := strings.Join(f.Names, ", ")
		if names == "" {
			names = "no DNS name at all (a common name counts no more)"
		}
		return f, fault.New(fault.Invalid, "host", "the certificate is not for %s, but for %s", host, names).
			WithTry("have one issued with DNS:%s among its alternative names", host)
	}
	if _, err := tls.X509KeyPair(p.Chain, p.Key); err != nil { // what crypto/tls alone minds
		return f, fault.New(fault.Invalid, "cert", "the certificate cannot be served with the key: %s", err)
	}
	return f, nil
}

// covers reports whether a certificate for names serves all of a host, which may
// be a wildcard.
func covers(names []string, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(names, func(n string) bool {
		n = strings.ToLower(n)
		return n == host || n == "*."+parent && !strings.HasPrefix(host, "*.")
	})
}

func factsOf(c *x509.Certificate) Facts {
	issuer := c.Issuer.CommonName
	if issuer == "" {
		issuer = c.Issuer.String()
	}
	return Facts{
		Names: c.DNSNames, Issuer: issuer, From: c.NotBefore.UTC(), Until: c.NotAfter.UTC(),
		SelfMade: slices.Equal(c.RawIssuer, c.RawSubject),
	}
}

func parseChain(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fault.New(fault.Invalid, "cert", "the certificate file holds a %s", strings.ToLower(block.Type)).
				WithTry("give certificates alone in --cert, and the key in --key")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.New(fault.Invalid, "cert", "certificate %d cannot be read: %s", len(certs)+1, err)
		}
		if certs = append(certs, c); len(certs) > maxChain {
			return nil, fault.New(fault.Invalid, "cert", "the chain has more than %d certificates", maxChain).
				WithTry("give the certificate of the host and those that lead to its authority, no bundle of authorities")
		}
	}
	if len(certs) == 0 {
		return nil, fault.New(fault.Invalid, "cert", "there is no certificate in PEM form").
			WithTry("a DER file becomes PEM with: openssl x509 -inform der -in FILE; a .p12 with: openssl pkcs12 -nodes -in FILE")
	}
	return certs, nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, fault.New(fault.Invalid, "key", "the key is encrypted with a passphrase").
				WithTry("decrypt it first: openssl pkey -in KEY -out PLAIN; naru keeps it sealed with its own key")
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue // EC PARAMETERS stand before some keys
		}
		key, err := parsePrivate(block.Bytes)
		if err != nil {
			return nil, fault.New(fault.Invalid, "key", "the key cannot be read").WithTry("write it anew as PKCS 8: openssl pkey -in KEY")
		}
		return key, nil
	}
	return nil, fault.New(fault.Invalid, "key", "there is no private key in PEM form").WithTry("a DER file becomes PEM with: openssl pkey -inform der -in FILE")
}

func parsePrivate(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Unsupported, "key", "the key cannot sign")
	}
	return signer, nil
}
