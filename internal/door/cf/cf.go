// Package cf is the API of Cloud Foundry, version 3, with the parts of its UAA
// and its log-cache that the cf client needs: developers' tools speak to naru
// unchanged. It translates to the steps that naru's own API takes and holds no
// rule of its own.
//
// # What stands for what
//
// Organisations, spaces, users, apps and routes are naru's, under naru's ids. A
// process is a type of the app's current release, with the draft's settings: its id
// is the app's for web, else the app's and the type. A droplet is an image of an
// app; a package is a source.Package. A deployment is a
// rollout. A role has no id of its own and is named by what it is. A job is an
// operation, or says of what was done at once that it is complete. A stack is a
// foundation, a buildpack one that was uploaded or a builder. A domain is that of the
// apps, one that was made, or the whole host of a route that is below none of these.
// Routes with a condition are not shown: clients take host and path for unique.
//
// Start, stop and scale answer when what they change is to be seen, because
// clients look at once: a start when its release is cut, the others when the new
// sizes are stored. A look at a build, a deployment or a process whose first instance
// is on its way waits a moment for it, because clients look each 3 s.
//
// # How push is to be translated
//
// A package of bits is a snapshot: the zip of the upload and the files that
// resource_matches said are known make one. Those are found by their SHA-1 in the
// spaces whose source who asks may write, and in no others. A package of type docker
// is a reference with a credential, and is imported when it is built. An image that
// was made by naru push is its own package, under its id. A build is the operation
// "stage", which ends with the image and waits only for other builds of the app;
// looking at one waits a moment for its end. A droplet is
// the image; PATCH current_droplet sets App.Image and starts nothing; actions/start
// and restart cut the release. A manifest is one operation, whose job reports the
// first app that failed; package app/manifest reads the same keys, so both doors
// read one model. A deployment is an operation "deploy" with a strategy, and its id
// is the operation's and the rollout's: rolling is Rolling, canary is Canary with
// instance_steps as steps that hold and are judged, continue and cancel steer the
// rollout, and PAUSED is the state in which its step waits. A restart is a
// deployment without a strategy.
//
// Where the two differ: packages are kept as long as their app, so none is EXPIRED;
// the web process keeps its id over deployments, where clients may look for the new
// one in new_processes; set-env before the first push changes the build here and the
// run in Cloud Foundry. Log rates and sidecars have no counterpart and are refused.
//
// # Who may do what
//
// testdata/permissions.txt is Cloud Foundry's table, testdata/differences.txt where
// naru decides otherwise and why; a test tries every endpoint with every role.
//
// # What is written on things
//
// Metadata is read from a request's body wherever it stands (decode), and written on
// the thing that the answer shows when the rest was done (send), so that no handler
// speaks of it. Lists are narrowed by label selectors as one of their filters.
package cf

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"naru/internal/auth"
)

// Version is the version of the API that is spoken. Clients switch their ways on
// it: at this one they ask for process_instances to be embedded and send canary
// steps and route options.
const Version = "3.228.0"

// Config says how the door answers. Zero fields take the defaults named beside
// them.
type Config struct {
	Build      string // naru's version
	Domain     string // below which the door's names are: api., login., uaa., log-cache.
	AppsDomain string // that apps get their hosts below
	BodyBytes  int64  // of a request that is not an upload; 1 MiB
	// Of uploads: how much, and how long a client may send nothing.
	UploadBytes int64         // 1 GiB
	Silence     time.Duration // a minute
	// How long it is told, in place of what runs, that a start came to nothing:
	// clients look every three seconds.
	FailureShown time.Duration // 15 s
	// How long a look at what is on its way waits for its end: 2 s.
	Glance time.Duration
	SSH    SSH // how people get into instances
	// The ports that TCP routes may have; 0: none.
	FirstPort, LastPort int
	Via                 string // the word by which requests of the platform's own gateway are known; "": none
	ViaField            string // header field that carries it
}

// Services are what the handlers call. All are needed; one value may fill
// several.
type Services struct {
	Sessions   Sessions
	People     People
	Places     Places
	Apps       Apps
	Images     Images
	Packages   Packages
	Packs      Packs
	Stager     Stager
	Intake     Intake
	Files      Files
	Releases   Releases
	Running    Running
	Rollouts   Rollouts
	Routes     Routes
	Meter      Meter
	Logs       Logs
	Operations Operations
	Lifecycle  Lifecycle
	Drafts     Drafts
	Mapper     Mapper
	Tasks      Tasks
	Runner     TaskRunner
	Events     Events
	Bases      Bases
	Provided   Provided
	Platform   Platform
	Codes      Codes
	Features   Features
	Switches   Switches
	Declarer   Declarer
	Deployer   Deployer
	Steerer    Steerer
	Past       Past
	Bindables  Bindables

	Quotas  Quotas
	Labels  Labels
	Domains Domains
}

// Door answers requests; it is an http.Handler where everything is at one
// address: the API and log-cache at its root, the UAA below /uaa and /login.
type Door struct {
	Services
	cfg  Config
	log  *slog.Logger
	key  Key
	api  *http.ServeMux
	uaa  *http.ServeMux
	logs *http.ServeMux

	leaves  leaves
	tickets []byte // key of the addresses that downloads lead to
}

// New makes a door. key is what people's access tokens are signed with.
func New(svc Services, key Key, cfg Config, log *slog.Logger) *Door {
	if cfg.BodyBytes <= 0 {
		cfg.BodyBytes = 1 << 20
	}
	if cfg.FailureShown <= 0 {
		cfg.FailureShown = 15 * time.Second
	}
	cfg.Glance = cmp.Or(cfg.Glance, 2*time.Second)
	cfg.UploadBytes, cfg.Silence = cmp.Or(cfg.UploadBytes, 1<<30), cmp.Or(cfg.Silence, time.Minute)
	cfg.Domain = strings.ToLower(cfg.Domain)
	d := &Door{Services: svc, cfg: cfg, log: log, key: key, tickets: make([]byte, 32)}
	_, _ = rand.Read(d.tickets) // it does not fail
	d.api, d.uaa, d.logs = d.mux(d.apiRoutes()), d.mux(d.uaaRoutes()), d.mux(logRoutes())
	return d
}

// endpoint is a method and a path of one of the parts.
type endpoint struct {
	pattern string
	open    bool // no login
	uaa     bool // who has none is told so as a UAA does
	do      func(d *Door, c *call) error
}

func (d *Door) mux(endpoints []endpoint) *http.ServeMux {
	mux := http.NewServeMux()
	for _, e := range endpoints {
		mux.HandleFunc(e.pattern, func(w http.ResponseWriter, r *http.Request) { d.answer(w, r, e) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.answer(w, r, endpoint{open: true, do: func(*Door, *call) error { return unknownRequest }})
	})
	return mux
}

// apiRoutes are all endpoints of the API, file by file.
func (d *Door) apiRoutes() []endpoint {
	var all []endpoint
	for _, some := range [][]endpoint{
		packageRoutes(), buildRoutes(), buildpackRoutes(),
		rootRoutes(), jobRoutes(), orgRoutes(), spaceRoutes(), userRoutes(), roleRoutes(), domainRoutes(), platformRoutes(), flagRoutes(),
		manifestRoutes(), revisionRoutes(), sidecarRoutes(), appWriteRoutes(),
		quotaRoutes(), labelRoutes(), domainWriteRoutes(), destinationRoutes(), withoutRoutes(),
		appRoutes(), envRoutes(), processRoutes(), dropletRoutes(), deploymentRoutes(), taskRoutes(), routeRoutes(), mappingRoutes(), eventRoutes(), emptyRoutes(),
		serviceInstanceRoutes(), serviceBindingRoutes(), marketRoutes(), variableRoutes(),
		sshRoutes(), streamRoutes(), besideRoutes(), blobRoutes(),
	} {
		all = append(all, some...)
	}
	return all
}

// ServeHTTP answers at an address where everything is at one host.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, prefix := range []string{"/uaa", "/login"} {
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			http.StripPrefix(prefix, d.uaa).ServeHTTP(w, r)
			return
		}
	}
	if strings.HasPrefix(r.URL.Path, "/api/v1/") {
		d.logs.ServeHTTP(w, r)
		return
	}
	d.api.ServeHTTP(w, r)
}

// Beside answers for the door's names below its domain, and for those paths of
// the name api that are Cloud Foundry's; others answers the rest.
func (d *Door) Beside(others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, domain, _ := strings.Cut(hostname(r), ".")
		if domain != d.cfg.Domain {
			others.ServeHTTP(w, r)
			return
		}
		switch {
		case name == "login", name == "uaa":
			d.uaa.ServeHTTP(w, r)
		case name == "log-cache":
			d.logs.ServeHTTP(w, r)
		case name == "api" && ours(r.URL.Path):
			d.api.ServeHTTP(w, r)
		default:
			others.ServeHTTP(w, r)
		}
	})
}

// ours tells Cloud Foundry's paths from those of naru's own API, which shares the
// name api with it.
func ours(path string) bool {
	if path == "/" {
		return true
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first == "v2" || first == "v3" || first == "networking" || first == "routing"
}

// hostname is the host that a request is for, without port.
func hostname(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// site is where the parts are, as a client reaches them.
type site struct{ api, login, uaa, logCache string }

// site reads it from the address that a request was sent to.
func (d *Door) site(r *http.Request) site {
	scheme := "http"
	via := d.cfg.Via != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get(d.cfg.ViaField)), []byte(d.cfg.Via)) == 1
	if r.TLS != nil || via && r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	host := strings.ToLower(r.Host)
	if _, domain, ok := strings.Cut(hostname(r), "."); ok && domain == d.cfg.Domain {
		_, rest, _ := strings.Cut(host, ".")
		at := func(name string) string { return scheme + "://" + name + "." + rest }
		return site{api: at("api"), login: at("login"), uaa: at("uaa"), logCache: at("log-cache")}
	}
	base := scheme + "://" + host
	return site{api: base, login: base + "/login", uaa: base + "/uaa", logCache: base}
}

// remote is the address of the client, for the limits on logins.
func (d *Door) remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if d.cfg.Via == "" || subtle.ConstantTimeCompare([]byte(r.Header.Get(d.cfg.ViaField)), []byte(d.cfg.Via)) != 1 {
		return host
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if last := strings.TrimSpace(hops[len(hops)-1]); net.ParseIP(last) != nil {
		return last
	}
	return host
}

// can reports whether who asks may do something in a place.
func (c *call) can(do auth.Action, p place) bool { return auth.Can(c.who, do, p.org.ID, p.space.ID) }
