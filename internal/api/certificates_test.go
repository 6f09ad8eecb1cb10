package api_test

import (
	"strings"
	"testing"

	"naru/internal/api"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
)

func TestCertificatesOfHosts(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	dev, ctx := w.dev("dev"), t.Context()
	in := client.NewCertificate{Chain: "chain", Key: "key"}
	one, err := dev.SetCertificate(ctx, "*.Shop.Example", in)
	must(t, err)
	if one.Host != "*.shop.example" {
		t.Errorf("kept for %q", one.Host)
	}
	all, err := dev.Certificates(ctx)
	must(t, err)
	if len(all) != 1 || all[0].Host != one.Host {
		t.Errorf("listed: %+v", all)
	}
	_, err = dev.SetCertificate(ctx, "shop.example", client.NewCertificate{Chain: "chain", Key: "wrong"})
	if f := fault.Of(err); f.Field != "key" || f.Try == "" {
		t.Errorf("a wrong key: %v", err)
	}
	if _, err = dev.SetCertificate(ctx, "https://x", in); !fault.Is(err, fault.Invalid) {
		t.Errorf("a URL: %v", err)
	}
	if _, err = dev.SetCertificate(ctx, "*.localhost", in); !fault.Is(err, fault.Denied) {
		t.Errorf("the platform's wildcard, by a developer: %v", err)
	}
	if _, err = w.dev("root").SetCertificate(ctx, "*.localhost", in); err != nil {
		t.Errorf("the platform's wildcard, by an admin: %v", err)
	}
	must(t, dev.DeleteCertificate(ctx, "*.localhost"))
	if err := dev.DeleteCertificate(ctx, "shop.example"); !fault.Is(err, fault.NotFound) {
		t.Errorf("what is not there: %v", err)
	}
	if strings.Contains(w.logs.String(), "chain") {
		t.Error("the log has what was sent")
	}
}
