// Package prometheus is the HTTP API of a Prometheus server over naru's metrics:
// Grafana, promtool and other Prometheus servers ask it and write to it.
package prometheus

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
	"naru/internal/secret"
)

// Sessions says who asks; *auth.Service does.
type Sessions interface {
	Verify(ctx context.Context, token string) (auth.Identity, error)
	Authenticate(ctx context.Context, name string, password secret.Secret) (auth.Identity, error)
}

// Places says what is whose.
type Places interface {
	// Reader is what somebody may read.
	Reader(ctx context.Context, who auth.Identity) (metrics.Reader, error)
	// Writable is a space that somebody may write metrics of, by its name in the
	// form ORG/SPACE; "" is the only one there is for them.
	Writable(ctx context.Context, who auth.Identity, name string) (collect.Place, error)
}

// Config says how the door answers. Zero fields take the defaults named beside
// them.
type Config struct {
	Version   string        // of naru
	Retention time.Duration // of what it keeps
	BodyBytes int64         // of a request, packed and unpacked: 32 MiB
	Series    int           // in an answer of names: 100,000
	Via       string        // the word by which requests of the platform's own gateway are known; "": none
	ViaField  string        // header field that carries it
}

// Door answers requests; it is an http.Handler.
type Door struct {
	cfg      Config
	sessions Sessions
	places   Places
	store    *metrics.Store
	log      *slog.Logger
	mux      *http.ServeMux
}

// New makes a door.
func New(cfg Config, sessions Sessions, places Places, store *metrics.Store, log *slog.Logger) *Door {
	if cfg.BodyBytes <= 0 {
		cfg.BodyBytes = 32 << 20
	}
	if cfg.Series <= 0 {
		cfg.Series = 100_000
	}
	d := &Door{cfg: cfg, sessions: sessions, places: places, store: store, log: log, mux: http.NewServeMux()}
	for _, r := range d.routes() {
		d.mux.HandleFunc(r.pattern, d.handler(r))
	}
	d.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.refuse(w, r, fault.New(fault.NotFound, "", "there is no %s here", r.URL.Path).WithTry("GET /api/v1/query; naru itself is at api.DOMAIN"))
	})
	return d
}

// route is a path of the API. Those that are open tell nothing about anybody.
type route struct {
	pattern string
	open    bool
	do      func(w http.ResponseWriter, r *http.Request, who auth.Identity) error
}

// routes are all there are.
func (d *Door) routes() []route {
	return []route{
		{"GET /api/v1/query", false, d.query},
		{"POST /api/v1/query", false, d.query},
		{"GET /api/v1/query_range", false, d.queryRange},
		{"POST /api/v1/query_range", false, d.queryRange},
		{"GET /api/v1/series", false, d.series},
		{"POST /api/v1/series", false, d.series},
		{"GET /api/v1/labels", false, d.labels},
		{"POST /api/v1/labels", false, d.labels},
		{"GET /api/v1/label/{name}/values", false, d.labelValues},
		{"GET /api/v1/metadata", false, d.metadata},
		{"GET /api/v1/query_exemplars", false, d.exemplars},
		{"POST /api/v1/query_exemplars", false, d.exemplars},
		{"GET /api/v1/rules", false, d.none("groups")},
		{"GET /api/v1/alerts", false, d.none("alerts")},
		{"GET /api/v1/status/buildinfo", false, d.buildInfo},
		{"GET /api/v1/status/runtimeinfo", false, d.runtimeInfo},
		{"POST /api/v1/read", false, d.remoteRead},
		{"POST /api/v1/write", false, d.remoteWrite},
		{"GET /-/healthy", true, d.healthy},
		{"GET /-/ready", true, d.ready},
	}
}

// ServeHTTP answers one request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, d.cfg.BodyBytes)
	d.mux.ServeHTTP(w, r)
}

func (d *Door) handler(of route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		var who auth.Identity
		var err error
		if !of.open {
			who, err = d.identify(r)
		}
		if err == nil {
			err = of.do(w, r, who)
		}
		if err != nil {
			d.refuse(w, r, err)
		}
		d.log.DebugContext(r.Context(), "metrics request", "path", r.URL.Path, "user", who.Name, "took", time.Since(began), "error", err)
	}
}

// identify finds out who asks: by bearer token, or by name and password or token.
func (d *Door) identify(r *http.Request) (auth.Identity, error) {
	ctx := auth.From(r.Context(), d.remote(r))
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "Bearer") && token != "" {
		return d.sessions.Verify(ctx, strings.TrimSpace(token))
	}
	if name, password, ok := r.BasicAuth(); ok {
		return d.sessions.Authenticate(ctx, name, secret.New(password))
	}
	return auth.Identity{}, fault.New(fault.Unauthenticated, "", "a login is needed").
		WithTry("naru tokens create NAME; the token is a bearer token, or the password of your user name")
}

// remote is the client's address, as the platform's own gateway says it.
func (d *Door) remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	via := r.Header.Get(d.cfg.ViaField)
	if d.cfg.Via == "" || subtle.ConstantTimeCompare([]byte(via), []byte(d.cfg.Via)) != 1 {
		return host
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if last := strings.TrimSpace(hops[len(hops)-1]); net.ParseIP(last) != nil {
		return last
	}
	return host
}

// reader is what somebody may read.
func (d *Door) reader(r *http.Request, who auth.Identity) (metrics.Reader, error) {
	return d.places.Reader(r.Context(), who)
}

// errorTypes are Prometheus's words and statuses for our kinds.
var errorTypes = map[fault.Kind]struct {
	word   string
	status int
}{
	fault.Invalid:         {"bad_data", http.StatusBadRequest},
	fault.NotFound:        {"not_found", http.StatusNotFound},
	fault.Denied:          {"forbidden", http.StatusForbidden},
	fault.Unauthenticated: {"unauthorized", http.StatusUnauthorized},
	fault.TooLarge:        {"execution", http.StatusUnprocessableEntity},
	fault.Unavailable:     {"unavailable", http.StatusServiceUnavailable},
	fault.Unsupported:     {"bad_data", http.StatusUnsupportedMediaType},
	fault.Conflict:        {"bad_data", http.StatusBadRequest},
}

// refuse writes an error in Prometheus's form.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil || errors.Is(err, context.Canceled) {
		return // nobody reads it
	}
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		err = fault.New(fault.TooLarge, "", "the request has more than %d bytes", large.Limit)
	}
	f := fault.Of(err)
	as, ok := errorTypes[f.Kind]
	if !ok {
		as.word, as.status = "internal", http.StatusInternalServerError
		d.log.ErrorContext(r.Context(), "metrics request", "path", r.URL.Path, "error", err)
	}
	if f.Kind == fault.Unauthenticated {
		w.Header().Add("WWW-Authenticate", `Basic realm="naru", charset="UTF-8"`)
		w.Header().Add("WWW-Authenticate", "Bearer")
	}
	text := f.Message
	if f.Field != "" {
		text = f.Field + ": " + text
	}
	if f.Try != "" {
		text += "; try: " + f.Try
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(as.status)
	b := appendString([]byte(`{"status":"error","errorType":`), as.word)
	b = appendString(append(b, `,"error":`...), text)
	_, _ = w.Write(append(b, "}\n"...)) // whether the client still reads is its own affair
}

func (d *Door) healthy(w http.ResponseWriter, _ *http.Request, _ auth.Identity) error {
	_, err := io.WriteString(w, "naru is healthy.\n")
	return err
}

func (d *Door) ready(w http.ResponseWriter, _ *http.Request, _ auth.Identity) error {
	if _, err := d.store.Size(); err != nil {
		return err
	}
	_, err := io.WriteString(w, "naru is ready.\n")
	return err
}
