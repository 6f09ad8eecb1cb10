package vault_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/route/authority"
	"naru/internal/secret"
	"naru/internal/store"
)

func TestKeysOfCertificatesAreSealed(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	ca, _, err := authority.Load(filepath.Join(t.TempDir(), "authority.pem"), "example", time.Now())
	must(t, err)
	pair, err := ca.Issue([]string{"shop.example", "other.example"}, time.Now())
	must(t, err)
	by, key := operation.Ask{Actor: "ada"}, secret.New(string(pair.Key))
	c, err := b.SetCertificate(ctx, by, b.space, "shop.example", pair.Chain, key)
	must(t, err)
	if c.By != "ada" || c.Host != "shop.example" || c.Created.IsZero() {
		t.Errorf("kept %+v", c)
	}
	_, sealed, err := b.store.ServedCertificates(ctx)
	must(t, err)
	events, err := b.store.Events(ctx, store.EventFilter{})
	must(t, err)
	inside := strings.Split(string(pair.Key), "\n")[1]
	if text := fmt.Sprintf("%v %+v %+v", sealed, events, c); strings.Contains(text, inside) || strings.Contains(text, "PRIVATE") {
		t.Error("the key is readable")
	}
	pairs, err := b.Pairs(ctx)
	must(t, err)
	if len(pairs) != 1 || string(pairs[0].Key) != string(pair.Key) || len(pairs[0].Names) != 1 || pairs[0].Names[0] != "shop.example" {
		t.Errorf("served: %v", pairs)
	}

	_, err = b.SetCertificate(ctx, by, b.space, "bank.example", pair.Chain, key)
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("for another host: %v", err)
	}

	// A new key of the platform seals it anew, under another owner it does not open.
	if b.ring, err = b.ring.Rotated(); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Reseal(ctx); err != nil || n != 1 {
		t.Fatalf("sealed %d anew, %v", n, err)
	}
	b.ring = b.ring.Newest()
	if pairs, err = b.Pairs(ctx); err != nil || len(pairs) != 1 {
		t.Errorf("after a rotation: %v, %v", pairs, err)
	}
	_, sealed, err = b.store.ServedCertificates(ctx)
	must(t, err)
	c.Host = "other.example"
	_, err = b.store.SetCertificate(ctx, c, sealed[0])
	must(t, err)
	if pairs, err = b.Pairs(ctx); err == nil || !strings.Contains(err.Error(), "other.example") || len(pairs) != 1 {
		t.Errorf("a key copied to another host: %v, %v", pairs, err)
	}

	must(t, b.DeleteCertificate(ctx, by, b.space, "shop.example"))
	if err := b.DeleteCertificate(ctx, by, b.space, "shop.example"); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}
