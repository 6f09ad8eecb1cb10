package vault_test

import (
	"fmt"
	"strings"
	"testing"

	"naru/internal/operate/alarm"
	"naru/internal/secret"
)

func TestKeysOfReceiversAreSealed(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	id := b.store.NewReceiverID()
	sealed, err := b.SealKeys(id, alarm.Keys{URL: secret.New("https://hooks.example.com/HIDDEN"), Token: secret.New("HIDDEN-TOO")})
	must(t, err)
	_, err = b.store.AddReceiver(ctx, alarm.Receiver{ID: id, Place: alarm.Place{Space: b.space}, Name: "chat", Kind: alarm.Webhook, Shown: "hooks.example.com"}, sealed, 9)
	must(t, err)
	if b.ring, err = b.ring.Rotated(); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Reseal(ctx); err != nil || n != 1 {
		t.Fatalf("sealed %d anew, %v", n, err)
	}
	b.ring = b.ring.Newest()
	all, kept, err := b.store.AllReceivers(ctx)
	must(t, err)
	if kept[0] == sealed || strings.Contains(fmt.Sprintf("%+v %v", all, kept), "HIDDEN") {
		t.Errorf("kept is %+v %v", all, kept)
	}
	k, err := b.OpenKeys(id, kept[0])
	must(t, err)
	if k.URL.Reveal() != "https://hooks.example.com/HIDDEN" || k.Token.Reveal() != "HIDDEN-TOO" {
		t.Error("the keys are others")
	}
	if _, err := b.OpenKeys(b.store.NewReceiverID(), kept[0]); err == nil {
		t.Error("the keys open for another receiver")
	}
}
