package backup_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/backup"
	"naru/internal/config"
	"naru/internal/route/acme"
	"naru/internal/route/authority"
)

// Who trusted the platform's authority trusts the one that came back, and no
// public authority is asked for what there was.
func TestCertificatesComeBackWithTheKey(t *testing.T) {
	const host = "*.shop.example"
	o := platform(t)
	was, is := config.Config{DataDir: o.dir}, config.Config{}
	ca, _, err := authority.Load(was.AuthorityPath(), "example", time.Now())
	must(t, err)
	pair, err := ca.Issue([]string{host}, time.Now())
	must(t, err)
	account := filepath.Join(was.ACMEDir(), "account.pem")
	kept := filepath.Join(was.ACMEDir(), "hosts", host+".pem")
	must(t, os.MkdirAll(filepath.Dir(kept), 0o700))
	must(t, os.WriteFile(kept, append(pair.Key, pair.Chain...), 0o600))
	must(t, os.WriteFile(account, pair.Key, 0o600))

	to := target(t)
	_, err = backup.Restore(t.Context(), o.write(t, true), to)
	must(t, err)
	is.DataDir = to.Dir
	again, made, err := authority.Load(is.AuthorityPath(), "example", time.Now())
	if err != nil || made || !bytes.Equal(again.Certificate(), ca.Certificate()) {
		t.Errorf("another authority: %v, %v", made, err)
	}
	keeper := acme.New(acme.Config{Dir: is.ACMEDir()}, nil, nil, slog.New(slog.DiscardHandler))
	keeper.Want([]string{host})
	if s := keeper.States(); len(s) != 1 || s[0].Asking || !bytes.Equal(s[0].Chain, pair.Chain) {
		t.Errorf("the certificate: %+v", s)
	}
	for _, name := range []string{is.AuthorityPath(), filepath.Join(is.ACMEDir(), "account.pem"), filepath.Join(is.ACMEDir(), "hosts", host+".pem")} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}

	without := target(t)
	without.WithoutKey = true
	_, err = backup.Restore(t.Context(), o.write(t, false), without)
	must(t, err)
	for name, text := range tree(t, without.Dir) {
		if bytes.Contains([]byte(text), []byte("PRIVATE KEY")) {
			t.Errorf("without the key %s has a private one", name)
		}
	}
}
