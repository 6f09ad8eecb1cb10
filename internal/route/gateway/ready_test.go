package gateway_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"naru/internal/route/gateway"
)

// TestReadyWithItsTable: whoever waits for a gateway finds it with the table, or
// hears that it has none.
func TestReadyWithItsTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "table.json")
	var g *gateway.Gateway
	said := make(chan uint64, 2)
	config := gateway.Config{TableFile: file, Ready: func(context.Context) error { said <- g.Version(); return nil }}
	run := func(ctx context.Context) error {
		var err error
		g, err = gateway.New(config, testLog(t))
		must(t, err)
		return g.Run(ctx, []net.Listener{listen(t)})
	}
	if err := run(t.Context()); err == nil || len(said) > 0 {
		t.Errorf("ran without a table: %v, ready %d times", err, len(said))
	}
	table := tableOf(named(t, "one"))
	table.Version = 7
	writeTable(t, file, table)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	if version := <-said; version != 7 {
		t.Errorf("ready with table %d", version)
	}
	stop()
	must(t, <-done)

	config.Ready = func(context.Context) error { return errors.New("nobody hears it") }
	if err := run(t.Context()); err == nil || err.Error() != "nobody hears it" {
		t.Errorf("ended with %v", err)
	}
}
