package certificate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/route/certificate"
)

// signer is a certificate with its key.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (s signer) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw})
}

func (s signer) keyPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	params := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}})
	return append(params, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...)
}

// sign makes a certificate that by signed, nil for one that signs itself.
func sign(t *testing.T, by *signer, name string, until time.Time, dns ...string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := signer{key: key}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: dns,
		NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until, IsCA: len(dns) == 0, BasicConstraintsValid: true,
	}
	parent, signing := c, key
	if by != nil {
		parent, signing = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signing)
	if err != nil {
		t.Fatal(err)
	}
	if s.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return s
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func TestCheckNamesWhatIsWrong(t *testing.T) {
	now := time.Now()
	good := now.Add(60 * 24 * time.Hour)
	root := sign(t, nil, "root", good)
	middle := sign(t, &root, "middle", good)
	leaf := sign(t, &middle, "shop", good, "shop.example", "*.wild.example")
	old := sign(t, &middle, "old", now.Add(-time.Hour), "shop.example")
	later := sign(t, &middle, "later", now.Add(91*24*time.Hour), "shop.example")
	key := leaf.keyPEM(t)
	sealed := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	legacy := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("x")})
	for _, c := range []struct {
		name       string
		chain, key []byte
		host       string
		field, say string // "": it is taken
	}{
		{"a chain", join(leaf.pem(), middle.pem(), root.pem()), key, "shop.example", "", ""},
		{"the leaf alone", leaf.pem(), key, "shop.example", "", ""},
		{"a name under its wildcard", leaf.pem(), key, "a.wild.example", "", ""},
		{"its wildcard", leaf.pem(), key, "*.wild.example", "", ""},
		{"two labels under its wildcard", leaf.pem(), key, "a.b.wild.example", "host", "not for a.b.wild.example, but for shop.example"},
		{"a wildcard it has not", leaf.pem(), key, "*.example", "host", "not for *.example"},
		{"another host", leaf.pem(), key, "bank.example", "host", "not for bank.example"},
		{"no name", middle.pem(), middle.keyPEM(t), "shop.example", "host", "no DNS name"},
		{"another key", leaf.pem(), root.keyPEM(t), "shop.example", "key", "does not belong"},
		{"the chain turned round", join(middle.pem(), leaf.pem()), key, "shop.example", "cert", "number 2, not the first"},
		{"a gap", join(leaf.pem(), root.pem()), key, "shop.example", "cert", "did not sign certificate 1"},
		{"expired", old.pem(), old.keyPEM(t), "shop.example", "cert", "expired at"},
		{"not yet", later.pem(), later.keyPEM(t), "shop.example", "cert", "good only from"},
		{"a sealed key", leaf.pem(), sealed, "shop.example", "key", "passphrase"},
		{"a key sealed the old way", leaf.pem(), legacy, "shop.example", "key", "passphrase"},
		{"no key", leaf.pem(), leaf.pem(), "shop.example", "key", "no private key"},
		{"a key that is none", leaf.pem(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), "shop.example", "key", "cannot be read"},
		{"no certificate", []byte("hello"), key, "shop.example", "cert", "no certificate in PEM form"},
		{"files exchanged", key, leaf.pem(), "shop.example", "cert", "holds a ec parameters"},
		{"broken bytes", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), key, "shop.example", "cert", "certificate 1 cannot be read"},
		{"a bundle", slices.Repeat(leaf.pem(), 11), key, "shop.example", "cert", "more than 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := certificate.Check(certificate.Pair{Chain: c.chain, Key: c.key}, c.host, now)
			if c.say == "" {
				if err != nil || f.Issuer != "middle" || !f.Until.Equal(leaf.cert.NotAfter) {
					t.Fatalf("got %+v, %v", f, err)
				}
				return
			}
			e := fault.Of(err)
			if err == nil || e.Field != c.field || !strings.Contains(e.Message, c.say) {
				t.Errorf("got %q: %v, want %q: …%s…", e.Field, err, c.field, c.say)
			}
			if e.Try == "" && !strings.Contains(c.say, "cannot be read") {
				t.Error("no way out")
			}
		})
	}
}

func TestServesOnlyTheNamesItIsGivenFor(t *testing.T) {
	s, err := certificate.Open("")
	if err != nil {
		t.Fatal(err)
	}
	brought := issue(t, "shop.example", "bank.example")
	brought.Names = []string{"shop.example"}
	set := &certificate.Set{Version: 1, Nameless: "example", Pairs: []certificate.Pair{brought, issue(t, "example", "*.example")}}
	if err := s.Use(set); err != nil {
		t.Fatal(err)
	}
	own, platform := []string{"shop.example", "bank.example"}, []string{"example", "*.example"}
	for name, want := range map[string][]string{"shop.example": own, "bank.example": platform, "": platform} {
		if got := chosen(t, s, name); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestKeptTellsNoKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "certificates.json")
	s, err := certificate.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	p := issue(t, "shop.example", "bank.example")
	p.Names = []string{"shop.example"}
	if err := s.Use(&certificate.Set{Version: 1, Pairs: []certificate.Pair{p}}); err != nil {
		t.Fatal(err)
	}
	all, err := certificate.Kept(path)
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Names, p.Names) || time.Until(all[0].Until) < 80*24*time.Hour {
		t.Errorf("got %+v, %v", all, err)
	}
}
