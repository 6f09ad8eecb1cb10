// Package api serves naru's own HTTP API under /v1: every route on one page,
// handlers that decode, call and encode, and one place where errors get their
// status.
package api

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"naru/internal/config"
)

// Services are what the handlers call. All are needed; one value may fill
// several.
type Services struct {
	Sessions     Sessions
	People       People
	Places       Places
	Labels       Labels
	Pushes       Pushes
	Lifecycle    Lifecycle
	Drafts       Drafts
	Mapper       Mapper
	TaskRunner   TaskRunner
	Bakery       Bakery
	Upkeep       Upkeep
	Apps         Apps
	Releases     Releases
	Running      Running
	Rollouts     Rollouts
	Accounts     Accounts
	Deliveries   Deliveries
	Budgets      Budgets
	Quotas       Quotas
	Features     Features
	Promises     Promises
	Verdicts     Verdicts
	PastJudge    PastJudge
	Meter        Meter
	Metrics      Metrics
	Routes       Routes
	Sources      Sources
	Logs         Logs
	Tasks        Tasks
	Operations   Operations
	Events       Events
	Foundations  Foundations
	Credentials  Credentials
	Certificates Certificates
	Domains      Domains
	Drains       Drains
	Provided     Provided
	Alerts       Alerts
	Platform     Platform
	Packs        Packs
	Traces       Traces
}

// Config limits what requests may take. Zero fields mean the default.
type Config struct {
	Version       string         // of naru, as the OpenAPI document says it
	AppsDomain    string         // an app's default host is SLUG.DOMAIN
	AppsURL       string         // scheme and port of the gateway, as "http://localhost:8080"; hosts take the place of its own
	RequestBytes  int64          // largest JSON request; 1 MiB
	ManifestBytes int64          // largest list of files or hashes; 64 MiB
	UploadBytes   int64          // largest upload of source; 1 GiB
	ReadTimeout   time.Duration  // in which a JSON request must have arrived; 30 s
	IdleTimeout   time.Duration  // without a byte of an upload, or without one taken of a stream; 60 s
	Heartbeat     time.Duration  // between signs of life in a stream that has nothing to say; 10 s
	PageItems     int            // entries of a page that names no limit; 100
	MaxPageItems  int            // most entries of a page; 1,000
	LogTail       int            // lines of a log that names no number; 100
	LogSearch     int64          // bytes of text that one search looks through; 10 GiB
	Logins        Rate           // tries to log in per address; 10 at once, 30 a minute
	Requests      Rate           // requests per user; 500 at once, 6,000 a minute
	Keys          int            // Idempotency-Keys remembered; 10,000
	KeyLifetime   time.Duration  // how long an Idempotency-Key is remembered; 10 min
	Proxies       []netip.Prefix // whose X-Forwarded-For is believed; none
	Via           string         // the word by which requests of the platform's own gateway are known; "": none
	ViaField      string         // header field that carries it
}

// Rate bounds how often something may happen.
type Rate struct {
	Burst     int // at once
	PerMinute int // in the long run
}

// From takes what the operator configured.
func (c Config) From(o config.Config) Config {
	c.AppsDomain, c.AppsURL = o.AppsDomain, "http://"+o.AppsDomain
	if _, port, err := net.SplitHostPort(o.Listen.Apps); err == nil && port != "80" {
		c.AppsURL += ":" + port
	}
	c.UploadBytes, c.LogSearch = int64(o.Upload.Bytes), int64(o.Logs.Search)
	return c
}

func (c Config) filled() Config {
	fill(&c.Version, "dev")
	fill(&c.AppsDomain, "localhost")
	fill(&c.AppsURL, "http://localhost")
	fill(&c.RequestBytes, 1<<20)
	fill(&c.ManifestBytes, 64<<20)
	fill(&c.UploadBytes, 1<<30)
	fill(&c.ReadTimeout, 30*time.Second)
	fill(&c.IdleTimeout, time.Minute)
	fill(&c.Heartbeat, 10*time.Second)
	fill(&c.PageItems, 100)
	fill(&c.MaxPageItems, 1000)
	fill(&c.LogTail, 100)
	fill(&c.LogSearch, 10<<30)
	fill(&c.Logins, Rate{Burst: 10, PerMinute: 30})
	fill(&c.Requests, Rate{Burst: 500, PerMinute: 6000})
	fill(&c.Keys, 10_000)
	fill(&c.KeyLifetime, 10*time.Minute)
	return c
}

func fill[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// server answers requests. It holds no state of its own but limits and replies.
type server struct {
	Services
	cfg      Config
	log      *slog.Logger
	api      huma.API
	logins   *limiter
	requests *limiter
	replies  *replies
}

// New makes the handler of the API. Streams last as long as their clients and
// the requests' contexts do, so a server that stops ends its base context.
func New(svc Services, cfg Config, log *slog.Logger) http.Handler {
	s, mux := assemble(svc, cfg, log)
	return s.outermost(mux)
}

// assemble registers every route.
func assemble(svc Services, cfg Config, log *slog.Logger) (*server, *http.ServeMux) {
	cfg = cfg.filled()
	s := &server{
		Services: svc, cfg: cfg, log: log,
		logins: newLimiter(cfg.Logins), requests: newLimiter(cfg.Requests), replies: newReplies(cfg.Keys, cfg.KeyLifetime),
	}
	mux := http.NewServeMux()
	s.api = humago.New(mux, s.document())
	for _, r := range s.routes() {
		r.answer(s, s.operation(r))
	}
	finish(s.api.OpenAPI())
	s.serveDocs(mux)
	return s, mux
}
