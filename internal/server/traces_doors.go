//go:build linux

package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/config"
	"naru/internal/door/otlp"
	"naru/internal/door/sender"
	"naru/internal/door/zipkin"
	"naru/internal/fault"
	"naru/internal/secret"
	"naru/internal/serve"
	"naru/internal/supervise/inherit"
)

// telemetryPath is where the API's own address takes telemetry: instances of the
// process driver reach no other of ours.
const telemetryPath = "/otlp"

// telemetry is the doors through which spans and metrics come.
type telemetry struct {
	*traced
	people *auth.Service
	seen   *observed
	otlp   http.Handler
	zipkin *zipkin.Door

	otlpLn, zipkinLn net.Listener // own addresses; nil: none
}

func newTelemetry(ctx context.Context, cfg config.Config, t *traced, people *auth.Service, seen *observed, sockets *inherit.Sockets, via string) (*telemetry, error) {
	d := &telemetry{traced: t, people: people, seen: seen}
	seen.traces = t.Store
	d.otlp = otlp.New(otlp.Config{
		BodyBytes: int64(cfg.Traces.BodyBytes),
		Metrics:   newMeasured(seen).take,
	}, d, t.Store, t.log)
	d.zipkin = zipkin.New(zipkin.Config{BodyBytes: int64(cfg.Traces.BodyBytes), Via: via, ViaField: viaField}, d, people, t, t.Store, t.log)
	var err error
	if cfg.Listen.OTLP != "" {
		if d.otlpLn, err = sockets.Listen(ctx, "otlp", cfg.Listen.OTLP); err != nil {
			return nil, err
		}
	}
	if cfg.Listen.Zipkin != "" {
		if d.zipkinLn, err = sockets.Listen(ctx, "zipkin", cfg.Listen.Zipkin); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Sender finds out who sends.
func (d *telemetry) Sender(ctx context.Context, a sender.Asked) (sender.Sender, error) {
	if sender.Is(a.Token) {
		id, instance, ok := d.tokens.Read(a.Token)
		if !ok {
			return sender.Sender{}, fault.New(fault.Unauthenticated, "", "the token of the instance is not of this platform").
				WithTry("naru restart APP: instances get their tokens when they start")
		}
		k, err := d.app(ctx, app.ID(id))
		if fault.Is(err, fault.NotFound) {
			return sender.Sender{}, fault.New(fault.Denied, "", "the app of the instance is gone")
		}
		k.who.Owner.Instance = instance
		return k.who, err
	}
	ctx = auth.From(ctx, a.Remote)
	var who auth.Identity
	var err error
	switch {
	case a.Token != "":
		who, err = d.people.Verify(ctx, a.Token)
	case a.User != "":
		who, err = d.people.Authenticate(ctx, a.User, secret.New(a.Password))
	default:
		err = fault.New(fault.Unauthenticated, "", "a token is needed").
			WithTry("instances have theirs in OTEL_EXPORTER_OTLP_HEADERS; others: naru tokens create NAME, sent as a bearer token")
	}
	if err != nil {
		return sender.Sender{}, err
	}
	place, err := d.seen.Writable(ctx, who, a.Space)
	if err != nil {
		return sender.Sender{}, err
	}
	s := sender.Sender{Place: place}
	s.Owner.Space = app.SpaceID(place.SpaceID)
	return s, nil
}

// all takes telemetry of both kinds, as instances send it.
func (d *telemetry) all() http.Handler {
	zipkin := d.zipkin.Writer()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/t/") || strings.HasPrefix(r.URL.Path, "/api/v2/") {
			zipkin.ServeHTTP(w, r)
			return
		}
		d.otlp.ServeHTTP(w, r)
	})
}

// beside answers requests for the doors' names, and for the path at which the
// API's address takes telemetry; all others go on.
func (d *telemetry) beside(cfg config.Config, others http.Handler) http.Handler {
	all := http.StripPrefix(telemetryPath, d.all())
	domain := "." + strings.ToLower(cfg.PlatformDomain())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		switch host = strings.ToLower(strings.TrimSuffix(host, ".")); {
		case host == "otlp"+domain:
			d.otlp.ServeHTTP(w, r)
		case host == "zipkin"+domain:
			d.zipkin.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, telemetryPath+"/"):
			all.ServeHTTP(w, r)
		default:
			others.ServeHTTP(w, r)
		}
	})
}

// Run serves the doors' own addresses and the bridge's, and keeps the store,
// until ctx ends.
func (d *telemetry) Run(ctx context.Context) error {
	return serve.Ordered(ctx,
		serve.Part{Name: "traces", Run: d.traced.Run},
		serve.Part{Name: "otlp", Run: served(d.otlpLn, d.otlp)},
		serve.Part{Name: "zipkin", Run: served(d.zipkinLn, d.zipkin)},
		serve.Part{Name: "telemetry", Run: d.serveBridge},
	)
}

// askAgain is how long the bridge's address is waited for.
const askAgain = 5 * time.Second

// serveBridge serves the bridge's address. Where somebody else has its port, the
// platform goes on without, and tries again.
func (d *telemetry) serveBridge(ctx context.Context) error {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	said := false
	for d.bridge != "" {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.bridge)
		if err == nil {
			return web(ln, d.all(), time.Second)(ctx)
		}
		if !said && ctx.Err() == nil {
			said = true
			hint := "the port is taken; another one: traces.port"
			if !errors.Is(err, unix.EADDRINUSE) {
				hint = "the bridge has no such address now"
			}
			d.log.WarnContext(ctx, "instances cannot send spans and metrics", "address", d.bridge, "error", err, "hint", hint)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	<-ctx.Done()
	return nil
}
