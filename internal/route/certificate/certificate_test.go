package certificate_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/route/authority"
	"naru/internal/route/certificate"
)

func issue(t *testing.T, names ...string) certificate.Pair {
	t.Helper()
	a, _, err := authority.Load(filepath.Join(t.TempDir(), "authority.pem"), "example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Issue(names, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func chosen(t *testing.T, s *certificate.Shelf, name string) []string {
	t.Helper()
	cert, err := s.For(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	if cert == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.DNSNames
}

func TestChoosesByName(t *testing.T) {
	s, err := certificate.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if got := chosen(t, s, "a.example"); got != nil {
		t.Fatalf("an empty shelf gave %v", got)
	}
	platform, shop := []string{"example", "*.example"}, []string{"shop.example"}
	err = s.Use(&certificate.Set{Version: 7, Pairs: []certificate.Pair{issue(t, platform...), issue(t, shop...), issue(t, "shop.example", "other.example")}})
	if err != nil || s.Version() != 7 {
		t.Fatalf("version %d, error %v", s.Version(), err)
	}
	for name, want := range map[string][]string{
		"example": platform, "x.example": platform, "shop.example": shop, "SHOP.example.": shop, "": platform, "127.0.0.1": platform, "::1": platform,
		"a.b.example": nil, "elsewhere.org": nil, "org": nil,
	} {
		if got := chosen(t, s, name); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestKeptAcrossStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "certificates.json")
	s, err := certificate.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Use(&certificate.Set{Version: 3, Pairs: []certificate.Pair{issue(t, "a.example")}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file with the keys: %v, %v", info.Mode(), err)
	}
	again, err := certificate.Open(path)
	if err != nil || again.Version() != 3 || chosen(t, again, "a.example") == nil {
		t.Fatalf("after a start: version %d, error %v", again.Version(), err)
	}
	if err := os.WriteFile(path, []byte(`{"version":4,"pairs":[{`), 0o600); err != nil {
		t.Fatal(err)
	}
	broken, err := certificate.Open(path)
	if err == nil || broken == nil || broken.Version() != 0 {
		t.Fatalf("a broken file: %v, error %v", broken, err)
	}
}

func TestABadSetChangesNothing(t *testing.T) {
	s, err := certificate.Open("")
	if err != nil {
		t.Fatal(err)
	}
	good, other := issue(t, "a.example"), issue(t, "b.example")
	if err := s.Use(&certificate.Set{Version: 1, Pairs: []certificate.Pair{good}}); err != nil {
		t.Fatal(err)
	}
	err = s.Use(&certificate.Set{Version: 2, Pairs: []certificate.Pair{{Chain: good.Chain, Key: other.Key}}})
	if err == nil || s.Version() != 1 || chosen(t, s, "a.example") == nil {
		t.Errorf("a key of another certificate: version %d, error %v", s.Version(), err)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	p := issue(t, "a.example")
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(form, &certificate.Set{Pairs: []certificate.Pair{p}}) + fmt.Sprintf(form, p)
		if strings.Contains(text, "PRIVATE") || strings.Contains(text, "45, 45, 45") || strings.Contains(text, "45 45 45") {
			t.Errorf("%s prints a key: %.200s", form, text)
		}
	}
}
