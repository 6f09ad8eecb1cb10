package acme

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/fault"
	"naru/internal/route/authority"
	"naru/internal/route/certificate"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nobody is an authority that is not there; it counts who knocks.
type nobody struct {
	mu     sync.Mutex
	knocks []time.Time
}

func (n *nobody) RoundTrip(*http.Request) (*http.Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.knocks = append(n.knocks, time.Now())
	return nil, errors.New("no route to host")
}

// tries are the moments at which a knocking began; acmez knocks several times.
func (n *nobody) tries() (all []time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, at := range n.knocks {
		if len(all) == 0 || at.Sub(all[len(all)-1]) > time.Minute {
			all = append(all, at)
		}
	}
	return all
}

type silent struct{}

func (silent) Present(context.Context, certificate.Answers) error { return nil }

func keeper(t *testing.T, cfg Config) *Keeper {
	t.Helper()
	if cfg.Directory == "" {
		cfg.Directory = "https://authority.invalid/dir"
	}
	return New(cfg, silent{}, func() {}, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// running has the keeper work for a time of the bubble.
func running(t *testing.T, k *Keeper, d time.Duration) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	time.Sleep(d) // of the bubble's clock
	synctest.Wait()
	stop()
	must(t, <-ended)
}

func TestAnAuthorityThatIsGoneIsAskedEverMoreRarely(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		gone, begun := &nobody{}, time.Now()
		k := keeper(t, Config{Dir: dir, Transport: gone})
		k.Want([]string{"shop.example"})
		running(t, k, 40*time.Hour)
		want := []time.Duration{0, 15 * time.Minute, 75 * time.Minute, 255 * time.Minute, 975 * time.Minute, 1695 * time.Minute}
		tries := gone.tries()
		if len(tries) != len(want) {
			t.Fatalf("tried at %v", tries)
		}
		for i, at := range tries {
			if late := at.Sub(begun) - want[i]; late < 0 || late > time.Minute*time.Duration(i+1) {
				t.Errorf("try %d after %s, want %s", i, at.Sub(begun), want[i])
			}
		}
		s := k.States()
		if len(s) != 1 || s[0].Failure == "" || s[0].Asking || s[0].Chain != nil || !s[0].Next.After(time.Now()) {
			t.Errorf("states: %+v", s)
		}
	})
}

// One host after the other, and a host that was forgotten is forgotten with its
// failures.
func TestHostsThatAreWantedNoLonger(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		gone := &nobody{}
		k := keeper(t, Config{Dir: dir, Transport: gone})
		if !k.Want([]string{"a.example", "b.example"}) || k.Want([]string{"b.example", "a.example"}) {
			t.Error("what changed is told wrongly")
		}
		running(t, k, 5*time.Minute)
		for _, s := range k.States() {
			if s.Failure == "" {
				t.Errorf("%s was not tried", s.Host)
			}
		}
		if !k.Want([]string{"c.example"}) || !k.Want([]string{"a.example"}) {
			t.Error("a change is not told")
		}
		if s := k.States(); len(s) != 1 || s[0].Failure != "" || !s[0].Asking {
			t.Errorf("wanted again: %+v", s)
		}
	})
}

func TestAnUnprovedHostIsNotAskedAbout(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		gone, looks := &nobody{}, 0
		k := keeper(t, Config{Dir: dir, Transport: gone, Proved: func(context.Context, string) error {
			if looks++; looks > 3 {
				return nil
			}
			return fault.New(fault.Denied, "host", "it is not proved").WithTry("set a record")
		}})
		k.Want([]string{"shop.example"})
		running(t, k, 14*time.Minute)
		if s := k.States(); looks != 3 || len(gone.tries()) != 0 || s[0].Failure != "it is not proved; set a record" {
			t.Errorf("looked %d times, tried %v, %+v", looks, gone.tries(), s)
		}
		running(t, k, 2*time.Minute)
		if len(gone.tries()) != 1 {
			t.Errorf("once it is proved: tried %v", gone.tries())
		}
		if s := k.States(); s[0].Next.Sub(gone.tries()[0]) < 15*time.Minute {
			t.Errorf("looks count as failures: %+v", s)
		}
	})
}

// issue puts a certificate where a keeper looks for it.
func issue(t *testing.T, dir, host string, at time.Time) certificate.Pair {
	t.Helper()
	ca, _, err := authority.Load(filepath.Join(t.TempDir(), "ca.pem"), "example", at)
	must(t, err)
	p, err := ca.Issue([]string{host}, at)
	must(t, err)
	must(t, keeper(t, Config{Dir: dir}).keep(host, p))
	return p
}

func TestWhatTheDiskHas(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	cut := func(text []byte) []byte { return text[:len(text)/2] }
	for name, c := range map[string]struct {
		spoil  func(text []byte) []byte // nil: nothing
		later  time.Duration
		served bool // it is given to the gateways
		asked  bool // and the authority is asked for another one
	}{
		"a good one":              {served: true},
		"an old one":              {later: 61 * 24 * time.Hour, served: true, asked: true},
		"one that ended":          {later: 91 * 24 * time.Hour, asked: true},
		"one of tomorrow":         {later: -48 * time.Hour, asked: true},
		"half of it":              {spoil: cut, asked: true},
		"nothing":                 {spoil: func([]byte) []byte { return nil }, asked: true},
		"no PEM":                  {spoil: func([]byte) []byte { return []byte("\x00\xff") }, asked: true},
		"a key of another":        {spoil: func(text []byte) []byte { return nil }, asked: true},
		"the certificate alone":   {spoil: func(text []byte) []byte { return text[strings.Index(string(text), "-----BEGIN CERT"):] }, asked: true},
		"the key alone":           {spoil: func(text []byte) []byte { return text[:strings.Index(string(text), "-----BEGIN CERT")] }, asked: true},
		"a line that was changed": {spoil: func(text []byte) []byte { return slices.Concat(text[:40], []byte("AAAA"), text[44:]) }, asked: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			host := "shop.example"
			issue(t, dir, host, now)
			path := filepath.Join(dir, "hosts", host+".pem")
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("kept as %v, %v", info, err)
			}
			if name == "a key of another" {
				p := issue(t, dir, host, now)
				p.Key = issue(t, t.TempDir(), host, now).Key
				must(t, keeper(t, Config{Dir: dir}).keep(host, p))
			} else if c.spoil != nil {
				text, err := os.ReadFile(path)
				must(t, err)
				must(t, os.WriteFile(path, c.spoil(text), 0o600))
			}
			k := keeper(t, Config{Dir: dir, Clock: func() time.Time { return now.Add(c.later) }})
			k.Want([]string{host})
			s := k.States()
			if len(s) != 1 || (s[0].Chain != nil) != c.served || s[0].Asking != c.asked || len(k.Pairs()) == 1 != c.served {
				t.Errorf("%d pairs, states %+v", len(k.Pairs()), s)
			}
		})
	}
}

// A wildcard's file is no other host's.
func TestNamesOnDisk(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	issue(t, dir, "*.shop.example", now)
	k := keeper(t, Config{Dir: dir})
	k.Want([]string{"*.shop.example", "shop.example"})
	if s := k.States(); s[0].Host != "*.shop.example" || s[0].Chain == nil || s[1].Chain != nil {
		t.Errorf("states: %+v", s)
	}
}

func TestTheAccountStays(t *testing.T) {
	dir := t.TempDir()
	first, err := keeper(t, Config{Dir: dir}).accountKey()
	must(t, err)
	again, err := keeper(t, Config{Dir: dir}).accountKey()
	must(t, err)
	if !first.(*ecdsa.PrivateKey).Equal(again) {
		t.Error("a start makes another account")
	}
	path := filepath.Join(dir, "account.pem")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kept as %v, %v", info, err)
	}
	for _, text := range []string{"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if _, err := keeper(t, Config{Dir: dir}).accountKey(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != text {
			t.Errorf("%q was replaced: the account of it would be lost", text)
		}
	}
}
