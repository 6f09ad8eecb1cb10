package authority_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/route/authority"
)

func load(t *testing.T, path, domain string, now time.Time) (*authority.Authority, bool) {
	t.Helper()
	a, made, err := authority.Load(path, domain, now)
	if err != nil {
		t.Fatal(err)
	}
	return a, made
}

func TestMadeOnceAndReplacedInTime(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "keys", "authority.pem"), time.Now()
	first, made := load(t, path, "apps.example", now)
	if !made {
		t.Fatal("the first was not made")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key's file: %v, %v", info, err)
	}
	again, made := load(t, path, "apps.example", now)
	if made || !bytes.Equal(first.Certificate(), again.Certificate()) {
		t.Error("a start made another authority")
	}
	printed, err := authority.ReadCertificate(path)
	if err != nil || !bytes.Equal(printed, first.Certificate()) || bytes.Contains(printed, []byte("PRIVATE")) {
		t.Errorf("printed %s, %v", printed, err)
	}
	if _, made = load(t, path, "other.example", now); !made {
		t.Error("an authority for another domain was kept")
	}
	if _, made = load(t, path, "other.example", now.AddDate(9, 8, 0)); !made {
		t.Error("an authority that ends within half a year was kept")
	}
	if err := os.WriteFile(path, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := authority.Load(path, "apps.example", now); err == nil {
		t.Error("a broken file was taken")
	}
}

func TestSignsForItsDomainAlone(t *testing.T) {
	now := time.Now()
	a, _ := load(t, filepath.Join(t.TempDir(), "authority.pem"), "apps.example", now)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Certificate())
	for name, good := range map[string]bool{"apps.example": true, "shop.apps.example": true, "bank.example": false, "apps.example.org": false} {
		pair, err := a.Issue([]string{name}, now)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := tls.X509KeyPair(pair.Chain, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now})
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
