package storetest

import (
	"testing"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/store"
)

func certificates(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	other, err := w.CreateSpace(ctx, w.org.ID, "other")
	must(t, err)
	set := func(space app.SpaceID, host, chain, sealed string) error {
		_, err := w.SetCertificate(ctx, vault.Certificate{Host: host, Space: space, Chain: []byte(chain), By: "ada"}, sealed, happened("certificate.set", host))
		return err
	}
	served := func() map[string]string {
		all, sealed, err := w.ServedCertificates(ctx)
		must(t, err)
		out := map[string]string{}
		for i, c := range all {
			out[c.Host] = string(c.Chain) + " " + sealed[i]
		}
		return out
	}
	mapped := func(space app.SpaceID, host string) {
		_, err := w.SetRoute(ctx, route.Route{ID: route.ID(id.New()), Space: space, Host: host, Path: "/"})
		must(t, err)
	}
	must(t, set(w.space.ID, "shop.example", "one", "k1.a"))
	must(t, set(w.space.ID, "shop.example", "two", "k1.b"))
	must(t, set(w.space.ID, "bank.example", "squatted", "k1.c"))
	all, err := w.Certificates(ctx, w.space.ID)
	must(t, err)
	if len(all) != 2 || all[1].Host != "shop.example" || string(all[1].Chain) != "two" || all[1].By != "ada" || all[1].Created.IsZero() || all[1].Updated.IsZero() {
		t.Errorf("certificates are %+v", all)
	}
	if got := served(); len(got) != 2 || got["shop.example"] != "two k1.b" {
		t.Errorf("served are %v", got)
	}

	// A host is one space's, and it is that of its routes.
	mustBe(t, set(other.ID, "shop.example", "theirs", "k1.d"), fault.Conflict)
	mapped(other.ID, "bank.example")
	if got := served(); got["bank.example"] != "" {
		t.Errorf("a host of another space is served with %s", got["bank.example"])
	}
	must(t, set(other.ID, "bank.example", "theirs", "k1.e"))
	if got := served(); got["bank.example"] != "theirs k1.e" {
		t.Errorf("its owner's certificate is %q", got["bank.example"])
	}
	mustBe(t, set(w.space.ID, "bank.example", "again", "k1.f"), fault.Conflict)
	mustBe(t, set(w.space.ID, "*.example", "wide", "k1.g"), fault.Conflict)
	mustBe(t, set("nowhere", "x.example", "x", "k1.h"), fault.NotFound)

	// A new key seals them anew.
	batch, err := w.SealedNotWith(ctx, "k2", 10)
	must(t, err)
	if len(batch) != 2 || !batch[0].OfCertificate() || batch[0].Owner() == batch[1].Owner() {
		t.Fatalf("to be sealed anew: %+v", batch)
	}
	must(t, w.Reseal(ctx, batch[0], "k2.x"))
	if batch, err = w.SealedNotWith(ctx, "k2", 10); err != nil || len(batch) != 1 {
		t.Errorf("left are %+v, %v", batch, err)
	}

	mustBe(t, w.DeleteCertificate(ctx, w.space.ID, "bank.example"), fault.NotFound)
	must(t, w.DeleteCertificate(ctx, w.space.ID, "shop.example", happened("certificate.deleted", "shop.example")))
	if got := served(); len(got) != 1 {
		t.Errorf("served are %v", got)
	}
}
