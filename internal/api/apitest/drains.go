package apitest

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/backoff"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
	"naru/internal/secret"
)

// DrainStore is what drains need of the store.
type DrainStore interface {
	drain.Store
	drain.Register
	vault.Store
}

// Drains passes logs on until the test ends, to receivers on this machine too; a
// space may have three.
func Drains(t testing.TB, st DrainStore, book *logs.Book) *drain.Desk {
	t.Helper()
	ring, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	safe := vault.New(st, func() *secret.Keyring { return ring }, nil)
	reach := drain.Reach{Targets: safe, Local: true, Timeout: 10 * time.Second}
	fleet := drain.NewFleet(drain.FleetParts{
		Store: st, Book: book, Open: reach.Open, Tell: func(context.Context, app.ID, string) error { return nil },
		Limits: drain.Limits{Lines: 100, Bytes: 1 << 20, Retry: backoff.Policy{First: time.Millisecond, Max: 10 * time.Millisecond}},
		Clock:  time.Now, Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- fleet.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return drain.NewDesk(drain.DeskParts{Store: st, Vault: safe, Book: book, Fleet: fleet, Reach: reach, Most: 3})
}
