package acme

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"naru/internal/route/acme/dnsupdate"
	"naru/internal/route/domain/dnstest"
	"naru/internal/secret"
)

const tsig = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlYw=="

// updated is a zone on a real name server; others lead to it as aliases say.
type updated struct {
	*dnsupdate.Client
	aliases map[string]string
}

func (u updated) Alias(_ context.Context, name string) (string, error) {
	if to := u.aliases[name]; to != "" {
		return to, nil
	}
	return name, nil
}

func newZone(primary *dnstest.Server, key string, aliases map[string]string) updated {
	return updated{dnsupdate.New(dnsupdate.Config{
		Server: primary.Addr, Zone: "zone.example", KeyName: "naru", Algorithm: "hmac-sha256", Secret: secret.New(key),
	}), aliases}
}

func asked(host string) acme.Challenge {
	return acme.Challenge{
		Type: acme.ChallengeTypeDNS01, Token: "token", KeyAuthorization: "token.key",
		Identifier: acme.Identifier{Type: "dns", Value: host},
	}
}

func TestWhereRecordsArePut(t *testing.T) {
	primary := dnstest.NewPrimary(t, "zone.example", "naru", tsig)
	aliases := map[string]string{
		"_acme-challenge.good.org": "_acme-challenge.good.zone.example",
		"_acme-challenge.evil.org": "www.zone.example",
		"_acme-challenge.far.org":  "_acme-challenge.elsewhere.example",
	}
	for host, want := range map[string]string{
		"shop.zone.example": "_acme-challenge.shop.zone.example", "zone.example": "_acme-challenge.zone.example",
		"good.org": "_acme-challenge.good.zone.example", "evil.org": "", "far.org": "", "none.org": "", "xzone.example": "",
	} {
		t.Run(host, func(t *testing.T) {
			dir := t.TempDir()
			k := keeper(t, Config{Dir: dir, DNS: newZone(primary, tsig, aliases)})
			before := len(primary.Updates())
			err := zoneSolver{k}.Present(t.Context(), asked(host))
			if (err == nil) != (want != "") {
				t.Fatalf("got %v", err)
			}
			if want == "" {
				if !errors.As(err, new(*zoneError)) || !strings.Contains(err.Error(), "_acme-challenge."+host+".zone.example") || len(primary.Updates()) != before {
					t.Errorf("refused with %v, after %v", err, primary.Updates()[before:])
				}
				return
			}
			must(t, zoneSolver{k}.Wait(t.Context(), asked(host)))
			if got := primary.TXT(want); !slices.Equal(got, []string{asked(host).DNS01KeyAuthorization()}) {
				t.Errorf("there are %q", got)
			}
			must(t, zoneSolver{k}.CleanUp(t.Context(), asked(host)))
			if got := primary.TXT(want); len(got) != 0 || len(k.left) != 0 {
				t.Errorf("left are %q, %v", got, k.left)
			}
		})
	}
}

// A process may end between any two steps; the next one takes out what is left.
func TestRecordsOfAKilledProcess(t *testing.T) {
	for name, when := range map[string]string{"after the record was added": "added", "before it was": "written"} {
		t.Run(name, func(t *testing.T) {
			primary, dir := dnstest.NewPrimary(t, "zone.example", "naru", tsig), t.TempDir()
			primary.Set(t, `_acme-challenge.shop.zone.example. 60 IN TXT "of somebody else"`)
			killed := keeper(t, Config{Dir: dir, DNS: newZone(primary, tsig, nil)})
			if when == "added" {
				must(t, zoneSolver{killed}.Present(t.Context(), asked("shop.zone.example")))
			} else {
				must(t, killed.remember([]change{{"_acme-challenge.shop.zone.example", "never added"}}))
			}
			path := filepath.Join(dir, "zone.json")
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("written down: %v, %v", info, err)
			}

			// The zone takes no updates for now: nothing is forgotten.
			k := keeper(t, Config{Dir: dir, DNS: newZone(primary, "b3RoZXIgb3RoZXIgb3RoZXI=", nil)})
			starts(t, k)
			if len(k.left) != 1 {
				t.Errorf("what could not be removed is forgotten: %v", k.left)
			}
			k = keeper(t, Config{Dir: dir, DNS: newZone(primary, tsig, nil)})
			starts(t, k)
			if got := primary.TXT("_acme-challenge.shop.zone.example"); !slices.Equal(got, []string{"of somebody else"}) {
				t.Errorf("left are %q", got)
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) || len(k.left) != 0 {
				t.Errorf("still to be undone: %v, %v", k.left, err)
			}
		})
	}
}

// telling tells when something was to be removed.
type telling struct {
	DNS
	tried func()
}

func (d telling) Remove(ctx context.Context, name, value string) error {
	defer d.tried()
	return d.DNS.Remove(ctx, name, value)
}

// starts runs a keeper that has nothing else to do until it has tried to remove
// something.
func starts(t *testing.T, k *Keeper) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	k.cfg.DNS = telling{k.cfg.DNS, stop}
	must(t, k.Run(ctx))
}

func TestWhatCannotBeReadIsNotUndone(t *testing.T) {
	primary, dir := dnstest.NewPrimary(t, "zone.example", "naru", tsig), t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "zone.json"), []byte("{"), 0o600))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	must(t, keeper(t, Config{Dir: dir, DNS: newZone(primary, tsig, nil)}).Run(ctx))
	if got := primary.Updates(); len(got) != 0 {
		t.Errorf("updates: %v", got)
	}
}

// A wildcard without a zone, which was there when it was wanted, is told what is
// missing.
func TestNoZoneNoWildcard(t *testing.T) {
	k := keeper(t, Config{Dir: t.TempDir()})
	err := k.solver(acme.ChallengeTypeDNS01).Present(t.Context(), asked("shop.example"))
	if err == nil || !strings.Contains(err.Error(), "acme.dns") {
		t.Errorf("got %v", err)
	}
}

func TestWays(t *testing.T) {
	k := keeper(t, Config{DNS: newZone(&dnstest.Server{}, tsig, nil)})
	for host, want := range map[string]string{
		"shop.example": "[http-01 tls-alpn-01]", "shop.zone.example": "[dns-01 http-01]", "*.zone.example": "[dns-01]", "*.shop.example": "[dns-01]",
	} {
		if got := fmt.Sprint(k.ways(host)); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

// What is due before the next look is not left until then.
func TestShortLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keeper(t, Config{})
		now := time.Now()
		k.hosts["shop.example"] = &entry{}
		k.hosts["shop.example"].pair.Chain = []byte("chain")
		k.hosts["shop.example"].facts.From, k.hosts["shop.example"].facts.Until = now, now.Add(30*time.Minute)
		if host, wait := k.next(now); host != "" || wait != 20*time.Minute {
			t.Errorf("%q in %s", host, wait)
		}
		if host, _ := k.next(now.Add(20 * time.Minute)); host != "shop.example" {
			t.Errorf("due is %q", host)
		}
		k.hosts["shop.example"].facts.Until = now.Add(90 * 24 * time.Hour)
		if _, wait := k.next(now); wait != look {
			t.Errorf("looks after %s", wait)
		}
	})
}
