//go:build linux

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/config"
	"naru/internal/disk"
	"naru/internal/door/sender"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/observe/collect"
	"naru/internal/observe/logs"
	"naru/internal/observe/self"
	"naru/internal/observe/traces"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
	"naru/internal/run/containerd"
	"naru/internal/secret"
	"naru/internal/store"
)

// traced is what is kept of traces, and whose it is.
type traced struct {
	*traces.Store
	state   *store.Store
	homes   func(ctx context.Context) (map[app.ID]home, error)
	book    *logs.Book
	tokens  *sender.Tokens
	address string // where instances send to, as a URL; "": they cannot
	bridge  string // address of the host that they reach, as HOST:PORT; "": none of its own
	log     *slog.Logger

	mu    sync.Mutex // guards known
	known map[app.ID]known
}

// home is the space of an app.
type home struct {
	Org   app.OrgID
	Space app.SpaceID
	Name  string // ORG/SPACE
}

// known is an app as it was found lately.
type known struct {
	at   time.Time
	who  sender.Sender
	name string
	slug string
}

func newTraced(cfg config.Config, key *auth.Key, st *store.Store, counts *metrics, driver run.Driver, book *logs.Book, log *slog.Logger) (*traced, error) {
	secret, err := key.Derive("naru telemetry of instances")
	if err != nil {
		return nil, err
	}
	t := &traced{state: st, book: book, tokens: sender.NewTokens(secret), log: log, known: map[app.ID]known{}}
	t.homes = func(ctx context.Context) (map[app.ID]home, error) {
		all, err := counts.homes(ctx)
		out := make(map[app.ID]home, len(all))
		for a, h := range all {
			out[a] = home{h.Org, h.Space, h.Name}
		}
		return out, err
	}
	if c, ok := driver.(*containerd.Driver); ok {
		if at := c.Telemetry(); at.IsValid() {
			t.bridge, t.address = at.String(), "http://"+at.String()
		}
	} else if cfg.Traces.Port > 0 { // instances are on the host's own network
		t.address = "http://" + dialable(cfg.Listen.API) + telemetryPath
	}
	reserve := diskReserve(cfg)
	half := disk.Reserve{Path: reserve.Path, Percent: (reserve.Percent + 1) / 2} // what else waits for room has waited since the whole reserve was reached
	t.Store, err = traces.Open(traces.Options{
		Full: func() bool { return half.Check("traces") != nil },
		Dir:  cfg.TracesDir(), Days: cfg.Traces.Days, Bytes: int64(cfg.Traces.Bytes), Rate: cfg.Traces.Rate, SpanBytes: int(cfg.Traces.SpanBytes),
		Attributes: cfg.Traces.Attributes, ValueBytes: int(cfg.Traces.ValueBytes), SpansPerTrace: cfg.Traces.SpansPerTrace,
		Ahead: cfg.Traces.Ahead, SearchBytes: int64(cfg.Traces.Search), Limited: t.limited, Lost: t.lost,
	}, log)
	return t, err
}

// limited tells an app, in its log, that spans of it were refused or cut.
func (t *traced) limited(ctx context.Context, l traces.Limited) {
	if l.Owner.App == "" {
		t.log.WarnContext(ctx, "spans of a space are limited", "space", l.Owner.Space, "refused", l.Refused, "cut", l.Cut, "why", l.Why)
		return
	}
	err := t.book.Append(ctx, []logs.Line{{Time: time.Now().UTC(), App: l.Owner.App, Source: logs.Platform, Stream: "stderr", Text: l.Text()}}, nil)
	if err != nil && ctx.Err() == nil {
		t.log.WarnContext(ctx, "tell app of its spans", "app", l.Owner.App, "error", err)
	}
}

// lost records that spans of a day are gone.
func (t *traced) lost(ctx context.Context, day int, aside string) {
	err := t.state.AppendEvents(ctx, event.Event{
		Kind: "traces.lost", Actor: event.System, Subject: fmt.Sprint(day), Detail: map[string]any{"day": day, "kept": aside},
	})
	if err != nil && ctx.Err() == nil {
		t.log.WarnContext(ctx, "record lost spans", "error", err)
	}
}

// tracing is how traces are doing.
func (o *observed) tracing(ctx context.Context) ([]self.Value, error) {
	c := o.traces.Counted()
	size, err := o.traces.Size(ctx)
	return []self.Value{
		{Name: "naru_traces_spans_total", Labels: []string{"kept"}, V: float64(c.Kept)},
		{Name: "naru_traces_spans_total", Labels: []string{"refused"}, V: float64(c.Refused)},
		{Name: "naru_traces_spans_total", Labels: []string{"cut"}, V: float64(c.Cut)},
		{Name: "naru_traces_bytes", V: float64(size)},
	}, err
}

// remember is how long an app's place is taken for granted.
const remember = 30 * time.Second

// app finds whose spans of an app are.
func (t *traced) app(ctx context.Context, id app.ID) (known, error) {
	t.mu.Lock()
	k, ok := t.known[id]
	t.mu.Unlock()
	if ok && time.Since(k.at) < remember {
		return k, nil
	}
	a, err := t.state.App(ctx, id)
	if err != nil {
		return known{}, err
	}
	homes, err := t.homes(ctx)
	if err != nil {
		return known{}, err
	}
	h, ok := homes[id]
	if !ok {
		return known{}, fault.New(fault.NotFound, "app", "app %s is gone", id)
	}
	org, space, _ := strings.Cut(h.Name, "/")
	k = known{time.Now(), sender.Sender{
		Owner: traces.Owner{Space: h.Space, App: id}, Place: collect.Place{Org: org, Space: space, SpaceID: string(h.Space), App: a.Name},
	}, a.Name, a.Slug}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) > 10_000 {
		clear(t.known)
	}
	t.known[id] = k
	return k, nil
}

// Spans keeps the gateways' own spans.
func (t *traced) Spans(gateway string, spans []route.Span, dropped uint64) {
	// A deadline of its own: the gateway's acknowledgements wait behind this.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	of := map[app.ID][]traces.Span{}
	for _, s := range spans {
		id := app.ID(s.App.ID)
		if id == "" || strings.HasPrefix(s.Route, "naru-") { // of the platform itself
			continue
		}
		if one, ok := gatewaySpan(s); ok {
			of[id] = append(of[id], one)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(of)) {
		k, err := t.app(ctx, id)
		if err == nil {
			_, err = t.Append(ctx, k.who.Owner, of[id])
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			t.log.Warn("keep spans of the gateway", "gateway", gateway, "app", id, "error", err)
		}
	}
	if dropped > 0 {
		t.log.Warn("spans of the gateway dropped", "gateway", gateway, "count", dropped)
	}
}

// gatewaySpan is a gateway's span as it is kept.
func gatewaySpan(s route.Span) (traces.Span, bool) {
	id, err := traces.ParseID("trace", s.Trace)
	own, ok1 := traces.ParseSpanID(s.ID)
	parent, ok2 := traces.ParseSpanID(s.Parent)
	if err != nil || !ok1 || !ok2 {
		return traces.Span{}, false
	}
	out := traces.Span{
		Trace: id, ID: own, Parent: parent, Service: traces.Gateway, Name: s.Method + " " + s.Host, Kind: traces.Server, Remote: s.App.Name,
		Start: s.Start, Took: s.Took, Error: s.Error != "" || s.Status >= 500 || s.Status == 0, Message: s.Error,
	}
	tag := func(key, value string) {
		if value != "" {
			out.Tags = append(out.Tags, traces.Tag{Key: key, Value: value})
		}
	}
	tag("http.request.method", s.Method)
	tag("server.address", s.Host)
	tag("url.path", s.Path)
	if s.Status > 0 {
		tag("http.response.status_code", strconv.Itoa(s.Status))
	}
	tag("naru.app", s.App.Name)
	tag("naru.route", s.Route)
	tag("naru.group", s.Group)
	tag("naru.instance", s.Instance)
	if s.Instance != "" {
		tag("naru.index", strconv.Itoa(s.Index))
	}
	if s.Retries > 0 {
		tag("naru.retries", strconv.Itoa(s.Retries))
	}
	return out, true
}

// TraceReader is whose spans somebody may read: those of the spaces whose logs
// they may.
func (t *traced) TraceReader(ctx context.Context, who auth.Identity) (traces.Reader, error) {
	if who.Admin {
		return traces.Reader{All: true}, nil
	}
	spaces, err := t.state.Spaces(ctx, "")
	if err != nil {
		return traces.Reader{}, err
	}
	var r traces.Reader
	for _, s := range spaces {
		if auth.Can(who, auth.LogRead, s.Org, s.ID) {
			r.Spaces = append(r.Spaces, s.ID)
		}
	}
	return r, nil
}

// environment is what libraries in an instance find out by where they send to.
// Whoever says it of their own is not told a token that is not theirs.
func (t *traced) environment(rel release.Release, spec run.Spec, env run.Env) run.Env {
	if t.address == "" {
		return nil
	}
	name := spec.AppName
	if spec.Process != app.Web {
		name += "-" + spec.Process
	}
	out := run.Env{
		"OTEL_SERVICE_NAME": secret.New(name),
		"OTEL_RESOURCE_ATTRIBUTES": secret.New(fmt.Sprintf("service.version=%s,service.instance.id=%s,naru.app=%s,naru.process=%s,naru.index=%d",
			rel.Name(), spec.ID, spec.AppName, spec.Process, spec.Index)),
	}
	token := t.tokens.Sign(string(spec.App), string(spec.ID))
	elsewhere := false
	for n := range env {
		elsewhere = elsewhere || strings.HasPrefix(n, "OTEL_EXPORTER_OTLP_") && strings.HasSuffix(n, "ENDPOINT")
	}
	if !elsewhere {
		out["OTEL_EXPORTER_OTLP_ENDPOINT"] = secret.New(t.address)
		out["OTEL_EXPORTER_OTLP_PROTOCOL"] = secret.New("http/protobuf")
		out["OTEL_EXPORTER_OTLP_HEADERS"] = secret.New(sender.TokenField + "=" + token)
		out["OTEL_LOGS_EXPORTER"] = secret.New("none") // what is written to stdout is kept
	}
	zipkin := secret.New(t.address + "/t/" + token + "/api/v2/spans")
	out["ZIPKIN_ENDPOINT"], out["OTEL_EXPORTER_ZIPKIN_ENDPOINT"] = zipkin, zipkin
	return out
}

// forgetful forgets the spans of an app with its log.
type forgetful struct {
	*logs.Book
	traces *traces.Store
}

// Forget removes all lines and spans of an app.
func (f forgetful) Forget(ctx context.Context, a app.ID) error {
	return errors.Join(f.Book.Forget(ctx, a), f.traces.Forget(ctx, a))
}
