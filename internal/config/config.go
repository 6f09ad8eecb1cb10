// Package config is the platform's configuration: one struct, filled from
// defaults, a file, the environment and flags, in that order.
package config

import (
	"net/netip"
	"path/filepath"
	"time"
)

// Config says everything the processes of one platform agree on. Its fields are
// the whole list of settings: file keys, variables, flags and the reference
// page are all derived from the tags below.
type Config struct {
	DataDir     string     `key:"data_dir" doc:"folder of everything that must survive: store, keys, images, logs"`
	RunDir      string     `key:"run_dir" doc:"folder of sockets and pid files; its path must stay short, a socket's path is limited to 108 bytes"`
	Listen      Listen     `key:"listen"`
	AppsDomain  string     `key:"apps_domain" doc:"apps answer at NAME.DOMAIN; names under localhost resolve to loopback in browsers and curl"`
	Names       string     `key:"platform_domain" doc:"names of the platform itself, answered by the gateway: api.DOMAIN and registry.DOMAIN; below the apps domain, which empty makes naru.APPS_DOMAIN; no app can have them"`
	ExternalURL string     `key:"external_url" doc:"URL at which people reach the API; empty means the address of listen.api"`
	Driver      Driver     `key:"driver" doc:"what runs instances: containerd, process (isolates nothing), or auto, which takes containerd where the machine can"`
	Subnet      Prefix     `key:"subnet" doc:"addresses of instances, a /20 or larger IPv4 prefix; empty takes the first free /20 of 10.64.0.0/10"`
	CABundle    string     `key:"ca_bundle" doc:"PEM file of certificate authorities that naru, its builds and its pulls trust; empty means the host's own"`
	KeyFile     string     `key:"key_file" doc:"file with the key that seals secrets; empty means keys/master in the data folder"`
	Ephemeral   bool       `key:"ephemeral" doc:"stopping naru up removes everything it started: instances, networks, mounts, processes"`
	LogLevel    string     `key:"log_level" doc:"least important messages to write: debug, info, warn or error"`
	Containerd  Engine     `key:"containerd"`
	Buildkit    Engine     `key:"buildkit"`
	CNI         CNI        `key:"cni"`
	Gateway     Gateway    `key:"gateway"`
	Mirrors     Mirrors    `key:"mirrors"`
	Proxy       Proxy      `key:"proxy"`
	Upload      Upload     `key:"upload"`
	Bake        Bake       `key:"bake"`
	Build       Build      `key:"build"`
	Instance    Instance   `key:"instance"`
	Logs        Logs       `key:"logs"`
	Services    Services   `key:"services"`
	Metrics     Metrics    `key:"metrics"`
	Traces      Traces     `key:"traces"`
	Objectives  Objectives `key:"objectives"`
	Keep        Keep       `key:"keep"`
	Rollout     Rollout    `key:"rollout"`
	Reserve     Reserve    `key:"reserve"`
	Tokens      Tokens     `key:"tokens"`
	ACME        ACME       `key:"acme"`
	Domains     Domains    `key:"domains"`
	Alerts      Alerts     `key:"alerts"`
	Mail        Mail       `key:"mail"`
	SSH         SSH        `key:"ssh"`
}

// Domains says how a space comes to have a host outside the apps domain.
type Domains struct {
	Check     string        `key:"check" doc:"whether a host outside the apps domain is mapped only where DNS gives it to the space: required; off, where who comes first has it; or auto, which is off where the gateway is reached from this machine alone and no authority is asked"`
	Addresses []string      `key:"addresses" doc:"addresses at which the world reaches the gateway; a host that leads to them and nowhere else counts as given to whichever space maps it first; empty accepts only TXT records, which name the space"`
	Resolver  string        `key:"resolver" doc:"name server that is asked, as IP:PORT; empty means those of this machine"`
	Timeout   time.Duration `key:"timeout" doc:"how long DNS is asked about one host"`
}

// ACME is the public authority that is asked for certificates of hosts outside
// the apps domain, where HTTPS is served.
type ACME struct {
	Agree     bool    `key:"agree" doc:"ask the authority for certificates of mapped hosts outside the apps domain, and agree to its terms of service"`
	Directory string  `key:"directory" doc:"URL of the authority's ACME directory"`
	Email     string  `key:"email" doc:"where the authority may write to about certificates; empty gives it none"`
	CABundle  string  `key:"ca_bundle" doc:"PEM file of certificate authorities that the connection to an authority of one's own is trusted with; empty means ca_bundle"`
	DNS       ACMEDNS `key:"dns"`
}

// ACMEDNS is a zone in which the authority is answered, for wildcards and for
// hosts that it cannot reach. It takes dynamic updates (RFC 2136).
type ACMEDNS struct {
	Server     string   `key:"server" doc:"primary name server of the zone, as IP:PORT; empty: no authority is answered in DNS"`
	Zone       string   `key:"zone" doc:"zone that can be changed: hosts in it, and those whose _acme-challenge is a CNAME of one in it"`
	KeyName    string   `key:"key_name" doc:"name of the TSIG key that signs the updates"`
	Algorithm  string   `key:"algorithm" doc:"its algorithm: hmac-sha256, hmac-sha384, hmac-sha512, hmac-sha224 or hmac-sha1"`
	SecretFile string   `key:"secret_file" doc:"file with the key in base64, alone or as tsig-keygen writes it"`
	Servers    []string `key:"servers" doc:"name servers, as IP:PORT, that have to show a change before the authority is told; empty means acme.dns.server"`
}

// Listen has the addresses that naru up holds open, as HOST:PORT.
type Listen struct {
	API      string `key:"api" doc:"control plane: API and console"`
	Registry string `key:"registry" doc:"image registry"`
	Apps     string `key:"apps" doc:"gateway, plain HTTP: all apps"`
	AppsTLS  string `key:"apps_tls" doc:"gateway, HTTPS with HTTP/1.1 and HTTP/2: all apps, with certificates of naru's own authority (naru ca prints it); empty serves none"`
	Metrics  string `key:"prometheus" doc:"HTTP API of a Prometheus server over naru's metrics; empty serves it only at the name prometheus.PLATFORM_DOMAIN"`
	OTLP     string `key:"otlp" doc:"spans and metrics in OpenTelemetry's protocol, over HTTP and over gRPC without TLS; empty serves them only to instances and at the name otlp.PLATFORM_DOMAIN"`
	Zipkin   string `key:"zipkin" doc:"spans in Zipkin's form and its query API; empty serves them only at the name zipkin.PLATFORM_DOMAIN"`
	CF       string `key:"cf" doc:"API of Cloud Foundry for the cf client, with its login and logs at one address; empty serves it only at the names api, login, uaa and log-cache below PLATFORM_DOMAIN"`
	SSH      string `key:"ssh" doc:"SSH into running instances, for cf ssh and any other client, such as 127.0.0.1:2222; empty serves none"`
	TCPPorts string `key:"tcp" doc:"gateway, TCP routes: ports that routes may have, as HOST:FIRST-LAST, at most 200; empty offers none"`
}

// Engine is a daemon that naru starts for itself, or one that is there already.
type Engine struct {
	Address string `key:"address" doc:"socket of a running daemon to use, as unix:///PATH; empty starts a private one"`
	Binary  string `key:"binary" doc:"program to start; empty looks beside naru, then in PATH"`
}

// CNI says where network plugins are.
type CNI struct {
	PluginDir string `key:"plugin_dir" doc:"folder of the CNI plugins bridge and host-local, which give builds their network; empty looks in /usr/lib/cni and /opt/cni/bin"`
}

// Gateway limits what all traffic passes through.
type Gateway struct {
	User          string        `key:"user" doc:"user (or UID:GID) that the gateway runs as when naru up is root; empty means naru-gateway where that account exists, else 65198, a number without rights"`
	HeaderBytes   Bytes         `key:"header_bytes" doc:"largest request head accepted"`
	HeaderTimeout time.Duration `key:"header_timeout" doc:"time in which a client must have sent a request head"`
	IdleTimeout   time.Duration `key:"idle_timeout" doc:"how long an idle client connection is kept"`
	DrainTimeout  time.Duration `key:"drain_timeout" doc:"how long ordinary requests in flight may take when an instance or a gateway leaves"`
	DrainUpgrade  time.Duration `key:"drain_upgrade_timeout" doc:"how long WebSockets, answers that have begun and go on, and gRPC streams may take then; of an instance, counted from the end of its other requests"`
	TCPIdle       time.Duration `key:"tcp_idle_timeout" doc:"silence in both directions after which a connection of a TCP route ends, where the route does not say"`
	ProxyProtocol []string      `key:"proxy_protocol" doc:"addresses and networks of load balancers in front of the gateway: their connections must begin with a PROXY header, version 1 or 2, and then count as the client's that it names; empty asks nobody for one"`
	TrustedProxy  []string      `key:"trusted_proxies" doc:"addresses and networks of proxies in front of the gateway whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are believed; empty believes nobody"`
	Connections   int           `key:"connections" doc:"most client connections at once"`
	PerAddress    int           `key:"connections_per_address" doc:"most of them from one address (IPv6: one /64), so that nobody takes all places; trusted proxies and balancers are not counted"`
	EmptyFrames   int           `key:"http2_empty_frames" doc:"frames at once on a connection of HTTP/2 that carry nothing of a request (settings, pings, windows, resets, empty data); ten seconds, requests and answers make up for them; a client that sends more is disconnected"`
	BodyRate      Bytes         `key:"body_min_rate" doc:"bytes a second that a client has to send of a body, or to take of an answer, on an average of a minute in which it is waited for; streams in which nobody has anything to say are not concerned; 0 lets it take as long as it likes"`
	AccessLog     AccessLog     `key:"access_log"`
}

// AccessLog is a log of all requests that the gateway itself writes. Each app's
// own log has its requests anyway.
type AccessLog struct {
	Format string  `key:"format" doc:"lines of the gateway's own access log: off, json, or cf, which is how the router of Cloud Foundry writes them"`
	Path   string  `key:"path" doc:"its file, which the gateway's user must be able to write; - is standard output; empty means access.log in the gateway's folder, or standard output of a gateway that stands alone"`
	Sample float64 `key:"sample" doc:"share of the requests it has, from 0 to 1; those answered with 5xx are always there"`
	Bytes  Bytes   `key:"bytes" doc:"size from which its file becomes PATH.1 and a new one begins"`
}

// Mirrors are where builds and bakes download from instead of the public
// places. Builds get them, images do not keep them.
type Mirrors struct {
	NPM        string   `key:"npm" doc:"npm registry"`
	GoProxy    string   `key:"goproxy" doc:"Go module proxy, in GOPROXY's form"`
	Pip        string   `key:"pip" doc:"Python package index (PEP 503)"`
	Maven      string   `key:"maven" doc:"Maven repository"`
	Debian     string   `key:"debian" doc:"Debian mirror; empty means the host's own apt sources, then deb.debian.org"`
	Keyring    string   `key:"keyring" doc:"file of OpenPGP keys that sign the Debian mirror, where they are not Debian's own"`
	Registries []string `key:"registries" doc:"image registries that builds ask instead of HOST, each as HOST=URL"`
}

// Proxy is for the outgoing connections of naru and its builds.
type Proxy struct {
	HTTP  string `key:"http" doc:"proxy for http URLs"`
	HTTPS string `key:"https" doc:"proxy for https URLs"`
	No    string `key:"no" doc:"hosts and networks reached directly, separated by commas"`
}

// Upload limits what a push may send.
type Upload struct {
	Bytes    Bytes `key:"bytes" doc:"largest upload"`
	Unpacked Bytes `key:"unpacked" doc:"largest source tree after unpacking"`
	Files    int   `key:"files" doc:"most files in a source tree"`
}

// Build limits what one build may take.
type Build struct {
	Timeout  time.Duration `key:"timeout" doc:"a build is stopped after this time"`
	Memory   Bytes         `key:"memory" doc:"memory of one build; all at once never have more than half of what reserve.memory_percent leaves"`
	CPU      float64       `key:"cpu" doc:"processors of one build; fractions allowed"`
	Parallel int           `key:"parallel" doc:"builds at once on this machine; a space has one at a time"`
	Cache    Bytes         `key:"cache" doc:"size to which the build cache is cut back"`
	LogBytes Bytes         `key:"log_bytes" doc:"output of one build that is kept; what is over is counted and dropped, and the build goes on"`
}

// Bake bounds what a mirror or a declaration of a foundation can make naru do.
type Bake struct {
	Release  Bytes `key:"release" doc:"one InRelease file"`
	Index    Bytes `key:"index" doc:"one index of packages, unpacked"`
	Package  Bytes `key:"package" doc:"one package or npm tarball"`
	Total    Bytes `key:"total" doc:"all downloads of one bake"`
	Unpacked Bytes `key:"unpacked" doc:"content of the files in one layer"`
	Cache    Bytes `key:"cache" doc:"size to which the cache of downloads is cut back"`
}

// Instance has what an instance gets when its app asks for nothing, and what
// it may ask for at most.
type Instance struct {
	Memory       Bytes         `key:"memory" doc:"memory when the app names none"`
	MaxMemory    Bytes         `key:"max_memory" doc:"most memory an instance may ask for; 0 means what the machine has without the reserve"`
	Disk         Bytes         `key:"disk" doc:"writable disk when the app names none"`
	CPU          float64       `key:"cpu" doc:"processors of an instance when its app names none; fractions allowed"`
	Pids         int           `key:"pids" doc:"processes and threads in an instance when its app names none"`
	Max          int           `key:"max" doc:"most instances of one process of an app"`
	StartTimeout time.Duration `key:"start_timeout" doc:"time in which an instance must become healthy, when its app names none"`
	StopTimeout  time.Duration `key:"stop_timeout" doc:"time between the stop signal and the kill, when its app names none"`
	Starts       int           `key:"starts" doc:"starts at once on this machine"`
	TaskTimeout  time.Duration `key:"task_timeout" doc:"a one-off task is stopped after this time"`
}

// Logs bounds the output of instances.
type Logs struct {
	Spool     Bytes `key:"spool" doc:"output of one instance kept on disk while nobody reads it; what is over is dropped and counted"`
	Rate      Bytes `key:"rate" doc:"output of one instance per second; what is over is dropped and counted"`
	AppRate   Bytes `key:"app_rate" doc:"output of all instances of an app together per second, on an average of ten; what is over is dropped, counted, and told in the app's log; 0: any"`
	LineBytes Bytes `key:"line_bytes" doc:"longest line kept in one piece, at most 1MiB; longer ones are kept in parts"`
	Days      int   `key:"days" doc:"days for which lines are kept and searchable"`
	Bytes     Bytes `key:"bytes" doc:"disk that all kept lines may take; the oldest are removed first, whatever logs.days says; 0: any"`
	Search    Bytes `key:"search" doc:"text that one search looks through; it says where it stopped"`
	Process   Bytes `key:"process" doc:"log file of each of naru's own processes; two are kept"`

	Drains       int           `key:"drains" doc:"most log drains of a space"`
	DrainTimeout time.Duration `key:"drain_timeout" doc:"how long the receiver of a log drain may take for one page of lines"`
	DrainLocal   bool          `key:"drain_local" doc:"logs may be drained to this machine, its link and its instances too; whoever may add a drain can then reach what listens there for nobody else"`
}

// Services bounds what apps are provided with.
type Services struct {
	Max int `key:"max" doc:"most services of a space"`
}

// Metrics bounds what is measured and kept.
type Metrics struct {
	Interval     time.Duration `key:"interval" doc:"how often gateways, instances and apps are asked for metrics"`
	Retention    time.Duration `key:"retention" doc:"how long metrics are kept"`
	Bytes        Bytes         `key:"retention_bytes" doc:"size of all metrics on disk; the oldest go first, a block of hours or days at a time"`
	OutOfOrder   time.Duration `key:"out_of_order" doc:"how late a sample may come, and how far the clock may be set back without loss"`
	Series       int           `key:"series" doc:"series of all apps that had samples in the last hours; more are refused, naru's own only beyond a quarter more"`
	SeriesPerApp int           `key:"series_per_app" doc:"series that one app makes itself; more are refused, and its log says so"`
	ScrapeBytes  Bytes         `key:"scrape_bytes" doc:"largest answer of an instance that is asked for its app's metrics"`
	QuerySamples int           `key:"query_samples" doc:"samples that one query may have in memory, 16 bytes each"`
	QueryTimeout time.Duration `key:"query_timeout" doc:"time for one query"`
	Queries      int           `key:"queries" doc:"queries answered at the same time"`
	RemoteWrite  RemoteWrite   `key:"remote_write"`
}

// Keep says how much of the past stays.
type Keep struct {
	Releases int `key:"releases" doc:"releases kept of an app, the running ones always"`
}

// Rollout says how what an app runs is replaced, where neither a push nor the
// app says.
type Rollout struct {
	Strategy    string        `key:"strategy" doc:"rolling, bluegreen, canary, highlander or recreate"`
	Steps       string        `key:"steps" doc:"steps of canary: 1%,10%/5m,50%/hold; empty means 1% for a minute, 10% until a verdict, 50% for a minute"`
	MaxInFlight int           `key:"max_in_flight" doc:"rolling: new instances on their way at once; 0 means a quarter"`
	Watch       time.Duration `key:"watch" doc:"how long old instances that are kept stay ready after all traffic moved"`
	Second      string        `key:"second" doc:"what a push does with a rollout of its app that is on its way: queue or supersede"`
	Patience    time.Duration `key:"patience" doc:"how long a way back may take before the rest is left to a person"`
	Unsure      string        `key:"unsure" doc:"what a judged step does that stays unsure: promote (go on), ask (pause for a person) or wait"`
	Longest     time.Duration `key:"longest" doc:"how long a judged step waits for a verdict before that; wait waits for a day"`
	FalseAlarms float64       `key:"false_alarms" doc:"how often, at most, a rollout of a release that is no worse is taken back by its guard: 0.01 is one in a hundred"`
}

// Reserve is what instances and builds cannot take.
type Reserve struct {
	MemoryPercent    int     `key:"memory_percent" doc:"part of the machine's memory that is promised to nobody"`
	MemoryOvercommit float64 `key:"memory_overcommit" doc:"how many times the memory left beside reserve and builds may be promised to instances and tasks: 1 promises only what is there, 0 promises without looking"`
	DiskPercent      int     `key:"disk_percent" doc:"part of the data folder's disk that uploads, images, builds and new instances cannot take"`
}

// BuildMemory is what all builds at once may take of a machine's memory: what is
// configured, and never more than half of what the reserve leaves, so that a
// small machine has room for what it builds.
func (c Config) BuildMemory(machine Bytes) Bytes {
	most := c.Build.Memory * Bytes(c.Build.Parallel)
	if machine > 0 {
		most = min(most, machine*Bytes(100-c.Reserve.MemoryPercent)/100/2)
	}
	return most
}

// Tokens says how long logins last.
type Tokens struct {
	Access  time.Duration `key:"access" doc:"life of an access token"`
	Refresh time.Duration `key:"refresh" doc:"life of a refresh token; each use renews it"`
}

// Driver names what runs instances.
type Driver string

// The drivers that can be configured.
const (
	Auto       Driver = "auto"
	Containerd Driver = "containerd"
	Process    Driver = "process"
)

// Prefix is an IP prefix that may be left out.
type Prefix struct{ netip.Prefix }

// Hash is eight hex digits that stand for the data folder in the names of
// everything outside it: bridges, cgroups, rules, the folder of sockets.
func (c Config) Hash() string { return hash(c.DataDir) }

// StorePath is the database.
func (c Config) StorePath() string { return filepath.Join(c.DataDir, "store.db") }

// KeyPath is the file with the key that seals secrets.
func (c Config) KeyPath() string {
	if c.KeyFile != "" {
		return c.KeyFile
	}
	return filepath.Join(c.DataDir, "keys", "master")
}

// AuthorityPath is the file with the platform's own certificate authority and
// its key.
func (c Config) AuthorityPath() string { return filepath.Join(c.DataDir, "keys", "authority.pem") }

// ACMEDir has the account and the certificates that the ACME authority gave.
func (c Config) ACMEDir() string { return filepath.Join(c.DataDir, "keys", "acme") }

// AdminPath is the file with the administrator's first password.
func (c Config) AdminPath() string { return filepath.Join(c.DataDir, "secrets", "admin") }

// RegistryDir has the images.
func (c Config) RegistryDir() string { return filepath.Join(c.DataDir, "registry") }

// GatewayDir is the only folder that the gateway reads and writes.
func (c Config) GatewayDir() string { return filepath.Join(c.DataDir, "gateway") }

// RemoteWritePath says how far metrics were sent on.
func (c Config) RemoteWritePath() string { return filepath.Join(c.DataDir, "remote-write.json") }

// MetricsDir has the time series.
func (c Config) MetricsDir() string { return filepath.Join(c.DataDir, "metrics") }

// LogDir has one file for each of naru's own processes; spool/ beside them
// belongs to the instances.
func (c Config) LogDir() string { return filepath.Join(c.DataDir, "logs") }

// SpoolDir has the output of instances that is not yet imported.
func (c Config) SpoolDir() string { return filepath.Join(c.DataDir, "logs", "spool") }

// CacheDir has what can be downloaded or made again.
func (c Config) CacheDir() string { return filepath.Join(c.DataDir, "cache") }

// ControlSocket is where the gateway finds the control plane.
func (c Config) ControlSocket() string { return filepath.Join(c.RunDir, "control.sock") }

// ContainerdSocket is the socket of the containerd in use, ours or a given one.
func (c Config) ContainerdSocket() string {
	return engineSocket(c.Containerd, filepath.Join(c.RunDir, "containerd.sock"))
}

// BuildkitAddress is the address of the buildkitd in use, ours or a given one,
// as unix:///PATH.
func (c Config) BuildkitAddress() string {
	return "unix://" + engineSocket(c.Buildkit, filepath.Join(c.RunDir, "buildkitd.sock"))
}

// PlatformDomain is the domain of the platform's own names.
func (c Config) PlatformDomain() string {
	if c.Names != "" {
		return c.Names
	}
	return "naru." + c.AppsDomain
}

// APIURL is how people reach the API.
func (c Config) APIURL() string {
	if c.ExternalURL != "" {
		return c.ExternalURL
	}
	return "http://" + c.Listen.API
}
