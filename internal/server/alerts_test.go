//go:build linux

package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/config"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/operate/alarm"
	"naru/internal/operate/notify"
	"naru/internal/secret"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

// Whoever may add a receiver cannot have naru speak to what listens on this machine,
// on its link or in instances, neither directly nor through the proxy.
func TestReceiversAreElsewhere(t *testing.T) {
	var asked atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(hook.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(hook.URL, "http://"), ":")
	direct := trust{proxy: func(*http.Request) (*url.URL, error) { return nil, nil }}
	through := func(*http.Request) (*url.URL, error) { return url.Parse(hook.URL) }
	proxied := trust{transport: &http.Transport{Proxy: through, DisableKeepAlives: true}, proxy: through}
	try := func(cfg config.Config, way trust, to string) error {
		t.Helper()
		s, err := newSenders(cfg, way)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.open(alarm.Receiver{Kind: alarm.Webhook}, alarm.Keys{URL: secret.New(to)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Try(t.Context(), notify.Message{})
		return err
	}
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "[::1]", "169.254.169.254", "10.64.0.7", "[::ffff:127.0.0.1]"} {
		for name, way := range map[string]trust{"directly": direct, "by the proxy": proxied} {
			to := "http://" + host + ":" + port + "/SECRET"
			err := try(config.Config{}, way, to)
			if !fault.Is(err, fault.Denied) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s, %s: %v", to, name, err)
			}
		}
	}
	if asked.Load() > 0 {
		t.Errorf("it was asked %d times", asked.Load())
	}
	if err := try(config.Config{}, proxied, "http://hooks.example.com/x"); err != nil || asked.Load() != 1 {
		t.Errorf("through the proxy: %v, asked %d times", err, asked.Load())
	}
	if err := try(config.Config{Alerts: config.Alerts{Local: true}}, direct, hook.URL); err != nil || asked.Load() != 2 {
		t.Errorf("where the operator lets it: %v, asked %d times", err, asked.Load())
	}
}

func TestMailIsConfigured(t *testing.T) {
	s, err := newSenders(config.Config{}, trust{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.open(alarm.Receiver{Kind: alarm.Mail, Addresses: []string{"a@example.com"}}, alarm.Keys{}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("no mail server: %v", err)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("hidden\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := config.Mail{Server: "mail.example.com:587", Security: "starttls", User: "naru", PasswordFile: file, From: "Naru <naru@example.com>"}
	if s, ok, err := mailServer(m); err != nil || !ok || s.Password.Reveal() != "hidden" {
		t.Errorf("server %+v, %t, %v", s, ok, err)
	}
	m.Security = "none"
	if _, _, err := mailServer(m); !fault.Is(err, fault.Invalid) {
		t.Errorf("a password in clear: %v", err)
	}
	m.PasswordFile = file + "x"
	if _, _, err := mailServer(m); !fault.Is(err, fault.Invalid) {
		t.Errorf("no such file: %v", err)
	}
}

func TestWhatChangedBeforeAnAlert(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	st := storetest.Open(t, store.Options{Clock: func() time.Time { return now }})
	_, space, err := st.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, err := st.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: space.ID, Name: "shop", Slug: "shop", State: app.Started})
	if err != nil {
		t.Fatal(err)
	}
	begin := now
	for _, e := range []event.Event{
		{Kind: "rollout.started", Actor: "ada", Detail: map[string]any{"release": 4}}, {Kind: "instance.healthy", Actor: event.System}, {Kind: "env.changed", Actor: "bob"}, {Kind: "route.changed", Actor: "eve"},
	} {
		now = now.Add(time.Minute)
		e.App = string(a.ID)
		if err := st.AppendEvents(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for after, want := range map[time.Duration]string{
		0:                ``,
		90 * time.Second: "release v4 began to replace what ran 30s before, by ada (2026-11-21T12:01:00Z)",
		3 * time.Minute:  "the environment was changed 0s before, by bob (2026-11-21T12:03:00Z)",
		time.Hour:        "its routes were changed 56m0s before, by eve (2026-11-21T12:04:00Z)",
	} {
		if got, err := (changes{st}).LastChange(t.Context(), a.ID, begin.Add(after)); err != nil || got != want {
			t.Errorf("after %s: got %q, %v, want %q", after, got, err, want)
		}
	}
}
