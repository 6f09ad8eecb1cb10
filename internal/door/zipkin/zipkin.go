// Package zipkin takes spans in Zipkin's form and answers its query API, so that
// Zipkin's reporters and its user interface work with naru.
package zipkin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"naru/internal/auth"
	"naru/internal/door/sender"
	"naru/internal/fault"
	"naru/internal/observe/traces"
	"naru/internal/secret"
)

// Sessions says who asks; *auth.Service does.
type Sessions interface {
	Verify(ctx context.Context, token string) (auth.Identity, error)
	Authenticate(ctx context.Context, name string, password secret.Secret) (auth.Identity, error)
}

// Places says whose spans somebody may read.
type Places interface {
	TraceReader(ctx context.Context, who auth.Identity) (traces.Reader, error)
}

// Store keeps spans and finds them; *traces.Store does.
type Store interface {
	Append(ctx context.Context, from traces.Owner, spans []traces.Span) (traces.Taken, error)
	Search(ctx context.Context, q traces.Query) (traces.Found, error)
	Traces(ctx context.Context, r traces.Reader, ids ...traces.ID) ([]traces.Trace, error)
	Graph(ctx context.Context, r traces.Reader, q traces.GraphQuery) (traces.Graph, error)
	Names(ctx context.Context, r traces.Reader, service string) (traces.Names, error)
	Tags(ctx context.Context, r traces.Reader) (map[string][]string, error)
}

// Config says how the door answers. Zero fields take the defaults named beside
// them.
type Config struct {
	BodyBytes int64 // of a request with spans, packed and unpacked: 16 MiB
	Via       string
	ViaField  string
}

// Door answers requests; it is an http.Handler.
type Door struct {
	cfg      Config
	senders  sender.Senders
	sessions Sessions
	places   Places
	store    Store
	log      *slog.Logger
	mux      *http.ServeMux
}

// New makes a door.
func New(cfg Config, senders sender.Senders, sessions Sessions, places Places, store Store, log *slog.Logger) *Door {
	if cfg.BodyBytes <= 0 {
		cfg.BodyBytes = 16 << 20
	}
	d := &Door{cfg: cfg, senders: senders, sessions: sessions, places: places, store: store, log: log, mux: http.NewServeMux()}
	d.mux.HandleFunc("POST /api/v2/spans", d.spans)
	for path, answer := range map[string]func(context.Context, traces.Reader, form) (any, error){
		"services": d.services, "spans": d.names, "remoteServices": d.remotes, "traces": d.search, "trace/{id}": d.trace, "traceMany": d.many,
		"dependencies": d.dependencies, "autocompleteKeys": d.keys, "autocompleteValues": d.values,
	} {
		d.mux.HandleFunc("GET /api/v2/"+path, d.read(answer))
	}
	d.mux.HandleFunc("GET /config.json", d.config)
	d.mux.HandleFunc("GET /health", d.health)
	d.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.refuse(w, r, fault.New(fault.NotFound, "", "there is no %s %s here", r.Method, r.URL.Path).WithTry("POST /api/v2/spans, or GET /api/v2/traces"))
	})
	return d
}

// ServeHTTP answers one request. The user interface asks below /zipkin.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if to, ok := sender.Path(r); ok {
		r = to
	}
	if strings.HasPrefix(r.URL.Path, "/zipkin/") {
		http.StripPrefix("/zipkin", d.mux).ServeHTTP(w, r)
		return
	}
	d.mux.ServeHTTP(w, r)
}

// Writer is the part of the door that takes spans.
func (d *Door) Writer() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, _ := sender.Path(r)
		if to.Method != http.MethodPost || to.URL.Path != "/api/v2/spans" {
			d.refuse(w, r, fault.New(fault.NotFound, "", "only POST /api/v2/spans is here"))
			return
		}
		d.spans(w, to)
	})
}

// spans takes spans: 202, as Zipkin says it, also where some are refused. The
// count of those is in a header, and the app's log says why.
func (d *Door) spans(w http.ResponseWriter, r *http.Request) {
	from, err := d.senders.Sender(r.Context(), sender.Of(r.Header.Get, d.remote(r)))
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	text, err := sender.Body(w, r, d.cfg.BodyBytes)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	var spans []traces.Span
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/x-protobuf":
		spans, err = fromProto(text)
	case "application/json", "", "text/plain": // some reporters say nothing
		spans, err = fromJSON(text)
	default:
		err = fault.New(fault.Unsupported, "Content-Type", "only application/json and application/x-protobuf are read here")
	}
	if err == nil {
		var taken traces.Taken
		if taken, err = d.store.Append(r.Context(), from.Owner, spans); err == nil && taken.Refused > 0 {
			w.Header().Set("Naru-Refused", taken.Why)
		}
	}
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// read answers a question in JSON.
func (d *Door) read(answer func(context.Context, traces.Reader, form) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := d.identify(r)
		var reader traces.Reader
		if err == nil {
			reader, err = d.places.TraceReader(r.Context(), who)
		}
		var out any
		if err == nil {
			out, err = answer(r.Context(), reader, form{r.URL.Query(), r.PathValue("id")})
		}
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		d.write(w, r, http.StatusOK, out)
	}
}

func (d *Door) write(w http.ResponseWriter, r *http.Request, code int, out any) {
	text, err := json.Marshal(out)
	if err != nil {
		d.log.ErrorContext(r.Context(), "encode answer", "error", err)
		code = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(text) // whether the client still reads is its own affair
}

// identify finds out who asks: by bearer token, or by name and password or token.
func (d *Door) identify(r *http.Request) (auth.Identity, error) {
	a := sender.Of(r.Header.Get, d.remote(r))
	ctx := auth.From(r.Context(), a.Remote)
	switch {
	case sender.Is(a.Token):
		return auth.Identity{}, fault.New(fault.Denied, "", "the token of an instance writes spans and reads none").WithTry("naru tokens create NAME")
	case a.Token != "":
		return d.sessions.Verify(ctx, a.Token)
	case a.User != "":
		return d.sessions.Authenticate(ctx, a.User, secret.New(a.Password))
	}
	return auth.Identity{}, fault.New(fault.Unauthenticated, "", "a login is needed").
		WithTry("naru tokens create NAME; the token is a bearer token, or the password of your user name")
}

// remote is the client's address, as the platform's own gateway says it.
func (d *Door) remote(r *http.Request) string {
	if d.cfg.Via == "" || r.Header.Get(d.cfg.ViaField) != d.cfg.Via {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	return strings.TrimSpace(hops[len(hops)-1])
}

var statuses = map[fault.Kind]int{
	fault.Invalid: http.StatusBadRequest, fault.NotFound: http.StatusNotFound, fault.Denied: http.StatusForbidden, fault.Unauthenticated: http.StatusUnauthorized,
	fault.TooLarge: http.StatusRequestEntityTooLarge, fault.Unavailable: http.StatusServiceUnavailable, fault.Unsupported: http.StatusUnsupportedMediaType,
}

// refuse tells an error.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil || errors.Is(err, context.Canceled) {
		return // nobody reads it
	}
	f := fault.Of(err)
	code, ok := statuses[f.Kind]
	if !ok {
		code = http.StatusInternalServerError
		d.log.ErrorContext(r.Context(), "traces request", "path", r.URL.Path, "error", err)
	}
	switch code {
	case http.StatusUnauthorized:
		w.Header().Add("WWW-Authenticate", `Basic realm="naru", charset="UTF-8"`)
		w.Header().Add("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "10")
	}
	text := f.Message
	if f.Field != "" {
		text = f.Field + ": " + text
	}
	if f.Try != "" {
		text += "; try: " + f.Try
	}
	d.write(w, r, code, map[string]any{"status": code, "error": http.StatusText(code), "message": text, "path": r.URL.Path})
}

// config is what the user interface wants to know.
func (d *Door) config(w http.ResponseWriter, r *http.Request) {
	d.write(w, r, http.StatusOK, map[string]any{
		"environment": "naru", "queryLimit": usualLimit, "defaultLookback": usualBack.Milliseconds(), "searchEnabled": true,
		"dependency": map[string]any{"enabled": true, "lowErrorRate": 0.5, "highErrorRate": 0.75},
	})
}

func (d *Door) health(w http.ResponseWriter, r *http.Request) {
	d.write(w, r, http.StatusOK, map[string]string{"status": "UP"})
}
