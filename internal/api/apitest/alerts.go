package apitest

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"naru/internal/auth/vault"
	"naru/internal/fault"
	"naru/internal/operate/alarm"
	"naru/internal/operate/notify"
	"naru/internal/secret"

	"context"
)

// AlertStore is what alerts need of the store.
type AlertStore interface {
	alarm.Files
	vault.Store
}

// Alerts has receivers, also on this machine, and the alarms that a test says; a
// place may have three receivers and three silences.
type Alerts struct {
	*alarm.Desk
	Now []alarm.Alarm // what is known
}

// NewAlerts makes them; no mail is sent.
func NewAlerts(t testing.TB, st AlertStore) *Alerts {
	t.Helper()
	ring, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	http := notify.NewHTTPClient(http.DefaultTransport)
	return &Alerts{Desk: alarm.NewDesk(alarm.DeskParts{
		Files: st, Sealer: vault.New(st, func() *secret.Keyring { return ring }, nil), Courier: deaf{},
		Open: func(r alarm.Receiver, k alarm.Keys) (notify.Trier, error) {
			if r.Kind == alarm.Mail {
				return nil, fault.New(fault.Unsupported, "kind", "this platform sends no mail")
			}
			return notify.NewWebhook(http, k.URL, k.Token), nil
		},
		Timing: notify.DefaultTiming, Receivers: 3, Silences: 3, Log: slog.New(slog.DiscardHandler),
	})}
}

// Alarms returns the wanted ones of those that are known.
func (a *Alerts) Alarms(wanted func(alarm.Alarm) bool) (out []alarm.Alarm, looked time.Time) {
	for _, one := range a.Now {
		if wanted(one) {
			out = append(out, one)
		}
	}
	return out, time.Now()
}

// TestReceiver sends a test.
func (a *Alerts) TestReceiver(ctx context.Context, by string, p alarm.Place, name string) (alarm.Trial, error) {
	return a.Desk.TestReceiver(ctx, by, p, name, 100)
}

// deaf takes up no settings.
type deaf struct{}

func (deaf) Set(context.Context, notify.Settings) {}
