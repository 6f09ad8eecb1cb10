//go:build linux

package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/config"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/objective"
	"naru/internal/observe/drain"
	"naru/internal/operate/alarm"
	"naru/internal/operate/notify"
	"naru/internal/serve"
	"naru/internal/store"
)

// alerts is what watches budgets, and who is told.
type alerts struct {
	*alarm.Desk
	*alarm.Watcher
	courier *notify.Courier
	keep    int // lines of the log of deliveries
}

// measurements is how many times an alert's shortest window is measured: fewer
// would be chance.
const measurements = 4

func newAlerts(ctx context.Context, cfg config.Config, st *store.Store, safe *vault.Vault, counts objective.Counts, t trust, log *slog.Logger) (*alerts, error) {
	a := cfg.Alerts
	timing := notify.DefaultTiming
	timing.Wait, timing.Interval, timing.Repeat = a.Wait, a.News, a.Repeat
	text, err := st.AlertBook(ctx)
	if err != nil {
		return nil, err
	}
	book, err := notify.ReadBook(text)
	if err != nil {
		return nil, err
	}
	open, err := newSenders(cfg, t)
	if err != nil {
		return nil, err
	}
	out := &alerts{keep: a.Deliveries}
	out.courier = notify.New(notify.Settings{Timing: timing}, book, told{st, a.Deliveries}, log)
	out.Desk = alarm.NewDesk(alarm.DeskParts{
		Files: st, Sealer: safe, Courier: out.courier, Open: open.open, Timing: timing, Base: cfg.ExternalURL, Domains: cfg.Mail.ToDomains,
		Receivers: a.Receivers, Silences: a.Silences, Log: log,
	})
	// Before the courier begins: who it does not know it tells nothing.
	if err := out.Refresh(ctx); err != nil {
		return nil, err
	}
	out.Watcher = alarm.New(st, counts, out.courier, changes{st}, alarm.Options{Interval: a.Interval, Least: measurements * cfg.Metrics.Interval}, log)
	return out, nil
}

// part is what runs: who tells ends after who has something to tell.
func (a *alerts) part() serve.Part {
	return serve.Part{Name: "alerts", Run: func(ctx context.Context) error {
		return serve.Ordered(ctx,
			serve.Part{Name: "courier", Run: a.courier.Run},
			serve.Part{Name: "receivers", Run: a.Desk.Run},
			serve.Part{Name: "watcher", Run: a.Watcher.Run},
		)
	}}
}

// TestReceiver sends a test, which is a line of the log like all others.
func (a *alerts) TestReceiver(ctx context.Context, by string, p alarm.Place, name string) (alarm.Trial, error) {
	return a.Desk.TestReceiver(ctx, by, p, name, a.keep)
}

// told keeps what a courier must not forget.
type told struct {
	store *store.Store
	most  int
}

// Save keeps the book.
func (t told) Save(ctx context.Context, book []byte) error { return t.store.SetAlertBook(ctx, book) }

// Delivered logs a try.
func (t told) Delivered(ctx context.Context, d notify.Delivery) error {
	return t.store.AddDelivery(ctx, d, t.most)
}

// changes finds what changed before an alert.
type changes struct{ store *store.Store }

// suspects are the events that may be why an app became worse.
var suspects = []event.Kind{
	"rollout.started", "rollout.rolledback", "rollout.superseded", "env.changed", "app.configured", "app.scaled", "app.stopped", "route.changed", "route.mapped", "route.unmapped",
}

// LastChange names the newest suspect before a moment.
func (c changes) LastChange(ctx context.Context, id app.ID, before time.Time) (string, error) {
	all, err := c.store.Events(ctx, store.EventFilter{App: id, Kinds: suspects, Newest: true, Limit: 100})
	if err != nil {
		return "", err
	}
	for _, e := range all {
		if e.Time.After(before) {
			continue
		}
		what := map[event.Kind]string{
			"rollout.rolledback": "a release was taken back", "rollout.superseded": "a release gave way to another", "env.changed": "the environment was changed",
			"app.configured": "settings were changed", "app.scaled": "it was scaled", "app.stopped": "it was stopped",
		}[e.Kind]
		switch {
		case e.Kind == "rollout.started":
			what = fmt.Sprintf("release v%v began to replace what ran", e.Detail["release"])
		case what == "":
			what = "its routes were changed"
		}
		return fmt.Sprintf("%s %s before, by %s (%s)", what, before.Sub(e.Time).Round(time.Second), e.Actor, e.Time.UTC().Format(time.RFC3339)), nil
	}
	return "", nil
}

// senders make ways to receivers.
type senders struct {
	client    *http.Client
	pagerDuty string
	mail      notify.MailServer
	mails     bool
}

func newSenders(cfg config.Config, t trust) (*senders, error) {
	roots, err := believed(cfg)
	if err != nil {
		return nil, err
	}
	inside := []netip.Prefix{instanceRange}
	if cfg.Subnet.IsValid() {
		inside = append(inside, cfg.Subnet.Prefix)
	}
	s := &senders{client: notify.NewHTTPClient(newOutward(cfg.Alerts.Local, roots, inside, t)), pagerDuty: cfg.Alerts.PagerDuty}
	if s.mail, s.mails, err = mailServer(cfg.Mail); err != nil {
		return nil, err
	}
	if roots != nil {
		s.mail.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return s, nil
}

func (s *senders) open(r alarm.Receiver, k alarm.Keys) (notify.Trier, error) {
	switch r.Kind {
	case alarm.Webhook:
		return notify.NewWebhook(s.client, k.URL, k.Token), nil
	case alarm.Slack:
		return notify.NewSlack(s.client, k.URL), nil
	case alarm.PagerDuty:
		return notify.NewPagerDuty(s.client, s.pagerDuty, k.Token), nil
	case alarm.Mail:
		if !s.mails {
			return nil, fault.New(fault.Unsupported, "kind", "this platform sends no mail").WithTry("set mail.server and mail.from, or add a receiver with --webhook")
		}
		return notify.NewMail(s.mail, r.Addresses)
	}
	return nil, fault.New(fault.Invalid, "kind", "%q is no kind of receiver", r.Kind)
}

// outward reaches receivers: this machine, its link and its instances are none,
// unless the operator says so, for whoever may name a receiver could otherwise
// have naru speak to what listens there for nobody else. What goes through the
// proxy the proxy reaches.
type outward struct {
	direct, proxied http.RoundTripper
	proxy           func(*http.Request) (*url.URL, error)
	check           func(host string) error
}

func newOutward(local bool, roots *x509.CertPool, inside []netip.Prefix, t trust) *outward {
	way := drain.Outside(local, roots, inside...)
	return &outward{
		direct: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := way.Dial(ctx, network, address)
				return conn, notHere(err)
			},
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			MaxIdleConns: 100, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		},
		proxied: t.transport, proxy: t.proxy,
		check: func(host string) error {
			if host == "localhost" {
				host = "127.0.0.1"
			}
			if ip, err := netip.ParseAddr(host); err == nil && !local {
				return notHere(drain.Reachable(ip, inside...))
			}
			return nil
		},
	}
}

// RoundTrip sends a request to a receiver.
func (o *outward) RoundTrip(r *http.Request) (*http.Response, error) {
	by, err := o.proxy(r)
	if err != nil {
		return nil, err
	}
	if by == nil {
		return o.direct.RoundTrip(r)
	}
	if err := o.check(r.URL.Hostname()); err != nil {
		return nil, err
	}
	return o.proxied.RoundTrip(r)
}

// notHere says of a refused address what it is about.
func notHere(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Denied {
		return fault.New(fault.Denied, "url", "this address is this machine, its link or one of its instances, where nobody is told (alerts.receivers_local)").
			WithTry("an address of another machine")
	}
	return err
}
