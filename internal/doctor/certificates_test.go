//go:build linux

package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/route/authority"
	"naru/internal/route/certificate"
)

func TestCertificatesThatEnd(t *testing.T) {
	env := healthy(t)
	if f := checkCertificates(t.Context(), env); f.Level != Skipped {
		t.Errorf("without HTTPS: %+v", f)
	}
	env.Config.Listen.AppsTLS = "127.0.0.1:0"
	if f := checkCertificates(t.Context(), env); f.Level != OK {
		t.Errorf("before the first start: %+v", f)
	}
	must(t, os.MkdirAll(env.Config.GatewayDir(), 0o700))
	shelf, err := certificate.Open(filepath.Join(env.Config.GatewayDir(), "certificates.json"))
	must(t, err)
	began := time.Now()
	ca, _, err := authority.Load(env.Config.AuthorityPath(), "example", began)
	must(t, err)
	pair, err := ca.Issue([]string{"shop.example"}, began)
	must(t, err)
	must(t, shelf.Use(&certificate.Set{Version: 1, Pairs: []certificate.Pair{pair}}))
	for days, want := range map[int]Level{0: OK, 68: OK, 70: Warn, 89: Warn, 91: Fail} {
		env.Now = func() time.Time { return began.AddDate(0, 0, days) }
		f := checkCertificates(t.Context(), env)
		if f.Level != want || want != OK && (!strings.Contains(f.Cause, "shop.example") || f.Try == "") {
			t.Errorf("after %d days: %+v, want %s", days, f, want)
		}
	}
}
