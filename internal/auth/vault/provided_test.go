package vault_test

import (
	"fmt"
	"strings"
	"testing"

	"naru/internal/app/service"
	"naru/internal/id"
	"naru/internal/secret"
)

func TestWhatServicesHoldIsSealed(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	one := service.Service{ID: service.ID(id.New()), Space: b.space, Name: "db"}
	content := service.Content{Credentials: secret.New(`{"password":"hidden & <odd>"}`), Drain: "otlp+https://h?key=hidden"}
	sealed, err := b.SealService(one.ID, content)
	must(t, err)
	_, err = b.store.AddService(ctx, one, sealed)
	must(t, err)
	if b.ring, err = b.ring.Rotated(); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Reseal(ctx); err != nil || n != 1 {
		t.Fatalf("sealed %d anew, %v", n, err)
	}
	b.ring = b.ring.Newest()
	kept, err := b.store.ServiceContent(ctx, one.ID)
	must(t, err)
	if kept == sealed || strings.Contains(fmt.Sprintf("%v %+v %#v", kept, content, content.Credentials), "hidden") {
		t.Error("it is readable, or not sealed anew")
	}
	got, err := b.OpenService(one.ID, kept)
	must(t, err)
	if got.JSON() != content.JSON() || got.Drain != content.Drain {
		t.Error("what was opened is something else")
	}
	if _, err := b.OpenService(service.ID(id.New()), kept); err == nil {
		t.Error("it opens for another service")
	}
}
