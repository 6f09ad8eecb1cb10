package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestProofIsRequiredWhereOthersCome(t *testing.T) {
	for name, c := range map[string]struct {
		check, apps, tls string
		agree, want      bool
	}{
		"a demo":                            {"auto", "127.0.0.1:8080", "", false, false},
		"a demo, IPv6 and HTTPS":            {"auto", "[::1]:8080", "localhost:8443", false, false},
		"all addresses":                     {"auto", ":80", "", false, true},
		"one address":                       {"auto", "192.0.2.1:80", "", false, true},
		"HTTPS for others":                  {"auto", "127.0.0.1:80", "0.0.0.0:443", false, true},
		"an authority is asked":             {"auto", "127.0.0.1:80", "127.0.0.1:443", true, true},
		"off, for others":                   {"off", ":80", ":443", true, false},
		"required, behind somebody's front": {"required", "127.0.0.1:80", "", false, true},
	} {
		got := Config{Domains: Domains{Check: c.check}, Listen: Listen{Apps: c.apps, AppsTLS: c.tls}, ACME: ACME{Agree: c.agree}}.ProofRequired()
		if got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDomainsAreChecked(t *testing.T) {
	good := Domains{Check: "required", Addresses: []string{"192.0.2.1", "2001:db8::1"}, Resolver: "127.0.0.1:53", Timeout: time.Second}
	if bad := slices.DeleteFunc(good.complaints(), func(err error) bool { return err == nil }); len(bad) > 0 {
		t.Errorf("complaints: %v", bad)
	}
	for key, d := range map[string]Domains{
		"domains.check":     {Check: "maybe"},
		"domains.addresses": {Check: "off", Addresses: []string{"192.0.2.0/24"}},
		"domains.resolver":  {Check: "off", Resolver: "ns1.example:53"},
	} {
		bad := slices.DeleteFunc(d.complaints(), func(err error) bool { return err == nil })
		if len(bad) != 1 || !strings.HasPrefix(bad[0].Error(), key+": ") {
			t.Errorf("%s: %v", key, bad)
		}
	}
	if bad := (Domains{Check: "off", Resolver: "192.0.2.1"}).complaints(); bad[2] == nil {
		t.Error("a name server without a port is taken")
	}
}
