//go:build linux

package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/backoff"
	"naru/internal/config"
	"naru/internal/disk"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
	"naru/internal/store"
)

// newDrains wires what passes logs on.
func newDrains(cfg config.Config, st *store.Store, safe *vault.Vault, book *logs.Book, log *slog.Logger) (*drain.Desk, *drain.Fleet, error) {
	roots, err := believed(cfg)
	if err != nil {
		return nil, nil, err
	}
	inside := []netip.Prefix{instanceRange}
	if cfg.Subnet.IsValid() {
		inside = append(inside, cfg.Subnet.Prefix)
	}
	reach := drain.Reach{Targets: safe, Local: cfg.Logs.DrainLocal, Inside: inside, Roots: roots, Timeout: cfg.Logs.DrainTimeout}
	fleet := drain.NewFleet(drain.FleetParts{
		Store: st, Book: book, Open: reach.Open,
		Tell: func(ctx context.Context, a app.ID, text string) error {
			return book.Append(ctx, []logs.Line{{Time: time.Now().UTC(), App: a, Source: logs.Platform, Stream: "stderr", Text: text}}, nil)
		},
		Limits: drain.Limits{Lines: 1000, Bytes: 4 << 20, Retry: backoff.Policy{First: time.Second, Max: 30 * time.Second, Jitter: 0.2}},
		Clock:  time.Now, Log: log,
	})
	return drain.NewDesk(drain.DeskParts{Store: st, Vault: safe, Book: book, Fleet: fleet, Reach: reach, Most: cfg.Logs.Drains}), fleet, nil
}

// nearlyFull reports that what else waits for room has waited since the whole
// reserve was reached: then the oldest lines make room.
func nearlyFull(cfg config.Config) func() bool {
	all := diskReserve(cfg)
	half := disk.Reserve{Path: all.Path, Percent: (all.Percent + 1) / 2}
	return func() bool { return half.Check("logs") != nil }
}

// believed are the authorities that vouch for receivers; nil are the machine's.
func believed(cfg config.Config) (*x509.CertPool, error) {
	if cfg.CABundle == "" {
		return nil, nil //nolint:nilnil // the machine's
	}
	pem, err := os.ReadFile(cfg.CABundle)
	if err != nil {
		return nil, fmt.Errorf("read ca_bundle: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read system certificates: %w", err)
	}
	pool.AppendCertsFromPEM(pem)
	return pool, nil
}
