//go:build linux

// Package server wires the control plane: which parts there are, what each is
// given, and in which order they start and stop. A rule about the domain found
// here is in the wrong place.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"naru/internal/api"
	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/auth/vault"
	"naru/internal/build"
	"naru/internal/build/bake"
	"naru/internal/build/buildkit"
	"naru/internal/config"
	"naru/internal/door/cf"
	"naru/internal/door/oci"
	"naru/internal/observe/logs"
	"naru/internal/observe/meter"
	"naru/internal/operate"
	"naru/internal/pipeline/account"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/foundry"
	"naru/internal/pipeline/gate"
	"naru/internal/pipeline/intake"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/packs"
	"naru/internal/pipeline/quota"
	"naru/internal/pipeline/rollout"
	"naru/internal/pipeline/task"
	"naru/internal/route/hub"
	"naru/internal/run"
	"naru/internal/run/launch"
	"naru/internal/secret"
	"naru/internal/serve"
	"naru/internal/source"
	"naru/internal/source/git"
	"naru/internal/store"
	"naru/internal/supervise/inherit"
	"naru/internal/supervise/notify"
	"naru/internal/version"
)

// Options are what the process was started with.
type Options struct {
	Config  config.Config
	Sockets *inherit.Sockets
	Notify  notify.Notifier
	// AfterCommit is called after every commit of the store with its number; kill
	// tests end the process in it. May be nil.
	AfterCommit func(n int64)
	Log         *slog.Logger
}

// Run is the control plane: it opens what is stored, starts the parts, and
// returns when ctx has ended and all of them have stopped. Instances and the
// gateway do not notice.
func Run(ctx context.Context, o Options) (err error) {
	cfg, log := o.Config, o.Log
	if err := makeFolders(cfg); err != nil {
		return err
	}
	st, err := store.Open(ctx, cfg.StorePath(), store.Options{AfterCommit: o.AfterCommit, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if _, _, err := st.Bootstrap(ctx); err != nil {
		return err
	}
	ring, err := secret.LoadKeyring(cfg.KeyPath())
	if err != nil {
		return err
	}
	var keys atomic.Pointer[secret.Keyring]
	keys.Store(ring)
	key, err := auth.LoadKey(filepath.Join(cfg.DataDir, "keys", "token.pem"))
	if err != nil {
		return err
	}
	switches, err := newSwitches(ctx, st)
	if err != nil {
		return err
	}
	people := auth.New(st, key, auth.Config{Access: cfg.Tokens.Access, Refresh: cfg.Tokens.Refresh, Features: switches.Now})
	if _, _, err := people.EnsureAdmin(ctx, cfg.AdminPath()); err != nil {
		return err
	}
	trust, err := newTrust(cfg)
	if err != nil {
		return err
	}
	safe := vault.New(st, keys.Load, tester{trust.transport})

	// Artifacts: the registry, and naru's own way into it.
	oci.TameLogs(log)
	users, err := newRegistryUsers(people, st)
	if err != nil {
		return err
	}
	registry, err := oci.New(oci.Config{Dir: cfg.RegistryDir(), Key: key.Private(), Kept: st.KeptImages}, users, log)
	if err != nil {
		return err
	}
	own := artifact.Credentials{User: platformUser, Password: secret.New(users.password)}
	images := artifact.NewClient(cfg.Listen.Registry, own, artifact.ClientOptions{Transport: trust.transport})

	// Instances and traffic.
	driver, err := newDriver(ctx, cfg, log)
	if err != nil {
		return err
	}
	book, err := logs.Open(filepath.Join(cfg.DataDir, "logs", "days"), logs.Limits{Days: cfg.Logs.Days, Bytes: int64(cfg.Logs.Bytes), Full: nearlyFull(cfg)}, time.Now, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	gatewayUID, err := gatewayUser(cfg)
	if err != nil {
		return err
	}
	counts := &metrics{Meter: meter.New(meter.Limits{}), store: st}
	spans, err := newTraced(cfg, key, st, counts, driver, book, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spans.Close()) }()
	gateways := hub.New(hub.Config{GatewayUID: gatewayUID, Observer: &accessLog{Meter: counts.Meter, book: book, log: log}, Spans: counts.spanned(spans.Spans), Journeys: counts.Meter.Journeys, Tripped: counts.tripped(st.TripRollouts)}, log)
	counts.gateways = gateways
	certificates := newCertified(cfg, gateways, log)
	hosts := newHosts(cfg, safe, st, certificates)
	domains, err := newDomains(cfg, key, st)
	if err != nil {
		return err
	}
	if err := hosts.ask(cfg, st, domains, trust, log); err != nil {
		return err
	}
	via := newVia()
	traffic := operate.NewTraffic(routing{Store: st, boot: bootID(), static: ownRoutes(cfg, via), meter: counts.Meter}, certificates, log)
	launcher := launch.New(st, opener{safe}, launch.Registry{Host: cfg.Listen.Registry, Credentials: users.credentials},
		launch.Bounds{LogBytesPerSecond: int(cfg.Logs.Rate), LogLineBytes: int(cfg.Logs.LineBytes), LogSpoolMiB: int(cfg.Logs.Spool / config.MiB)})
	launcher.Add(spans.environment)
	keeper := operate.NewKeeper(st, driver, launcher, traffic, operate.Options{
		Policy: run.DefaultPolicy(), Starts: cfg.Instance.Starts, DrainTimeout: cfg.Gateway.DrainTimeout, DrainUpgrade: cfg.Gateway.DrainUpgrade,
		FullPass: 30 * time.Second, SweepPatience: 15 * time.Second,
	}, log)

	// What people ask for.
	limits := source.Limits{MaxBytes: int64(cfg.Upload.Unpacked), MaxFiles: cfg.Upload.Files}
	reserve := diskReserve(cfg)
	frozen := source.New(filepath.Join(cfg.DataDir, "source"), limits)
	var ops *operation.Runner
	wake := func() { ops.Wake() }
	baker, err := bake.New(bake.Config{
		Limits: bake.Limits{
			Release: int64(cfg.Bake.Release), Index: int64(cfg.Bake.Index), Package: int64(cfg.Bake.Package),
			Total: int64(cfg.Bake.Total), Unpacked: int64(cfg.Bake.Unpacked), Cache: int64(cfg.Bake.Cache),
		},
		CacheDir: filepath.Join(cfg.CacheDir(), "bake"), Mirror: cfg.Mirrors.Debian, Keyring: cfg.Mirrors.Keyring, NPMRegistry: cfg.Mirrors.NPM, CABundle: trust.bundle, Proxy: trust.proxy,
	}, log)
	if err != nil {
		return err
	}
	foundations := foundry.New(st, roomyBaker{baker, reserve}, foundationImages{images}, cfg.Listen.Registry, filepath.Join(cfg.DataDir, "foundations"), wake, log)
	engine := buildkit.New(buildkit.Options{
		Address: cfg.BuildkitAddress(), StaticServer: beside("naru-static"), LogBytes: int64(cfg.Build.LogBytes),
	}, log)
	built := buildCache{engine, int64(cfg.Build.Cache), reserve}
	builder := build.Limiting(build.Logging(engine, log), cfg.Build.Parallel)
	commands := &releases{store: st, book: book}
	tcpPorts, err := cfg.Listen.TCP()
	if err != nil {
		return fmt.Errorf("listen.tcp: %w", err) // validated before
	}
	late := &lateSamples{}
	trials := newJudge(cfg, st, counts, driver, late, log)
	promises := newPromises(cfg, st)
	promised := &budgets{store: st, measure: promises.Reports}
	allowed := gate.New(st, promised, time.Now, log)
	told := newAround(cfg, st)
	delivery := deliver.New(deliver.Parts{
		Store: st, Sources: sources{frozen, st, reserve}, Git: cloner{git.New(git.Options{TempDir: cfg.CacheDir(), CAFile: cfg.CABundle}, log), frozen, safe, reserve},
		Images: roomyImports{imports{images, safe, cfg.Listen.Registry, own, users.spaceOf}, reserve},
		Builds: roomyBuilds{builds{
			next: builder, foundations: foundations, store: st, around: told, mirrors: mirrors(cfg), timeout: cfg.Build.Timeout, unable: unableToBuild(cfg),
			target: build.Target{Registry: cfg.Listen.Registry, User: platformUser, Token: secret.New(users.password), Insecure: true},
		}, reserve, built, log},
		Secrets: safe, Router: traffic, Domains: domains, Logs: forgetful{book, spans.Store}, Rollouts: rollout.NewRunner(st, traffic, rollout.Options{Patience: cfg.Rollout.Patience, Releaser: commands, Judge: trials, Traffic: counts}, log), Wake: wake, Gate: allowed, Promises: promises.Service,
	}, deliver.Config{
		AppsDomain: cfg.AppsDomain, PlatformDomain: cfg.PlatformDomain(), WorkDir: filepath.Join(cfg.CacheDir(), "work"), MaxInstances: cfg.Instance.Max, MaxMemoryMiB: maxMemory(cfg), KeepReleases: cfg.Keep.Releases, Strategy: defaultStrategy(cfg), Watch: app.Duration(cfg.Rollout.Watch), Steps: defaultSteps(cfg),
		Memory: memoryLimits(cfg), LogRate: int(cfg.Logs.Rate), Disk: reserve, Defaults: processDefaults(cfg),
		StreamURL: streamURL(cfg), TCPPorts: tcpPorts, Secure: cfg.Listen.AppsTLS != "",
		URL: func(host, path string) string { return AppsURL(cfg, host) + strings.TrimSuffix(path, "/") + "/" },
	}, log)
	care := &upkeep{store: st, vault: safe, keys: &keys, keyPath: cfg.KeyPath(), registry: registry, driver: driver, frozen: frozen, baked: baker, built: built, keep: cfg.Keep, wake: wake, log: log}
	ops = operation.NewRunner(st, handlers(delivery.Handlers(), foundations.Handlers(), care.handlers()), 16, log)
	oneOff := task.NewRunner(roomyTasks{st, delivery}, driver, launcher, task.Limits{Timeout: cfg.Instance.TaskTimeout, Attach: time.Minute}, log)

	commands.tasks = oneOff

	seen := newObserved(cfg, st, counts, driver, book, diskReserve(cfg), log)
	promises.series.Store = seen.store
	late.samples = samples{seen.store}
	asked := seen.door(cfg, people, via)
	heard, err := newTelemetry(ctx, cfg, spans, people, seen, o.Sockets, via)
	if err != nil {
		return err
	}
	seen.sent, err = newForwarder(cfg, seen, trust)
	if err != nil {
		return err
	}

	drains, fleet, err := newDrains(cfg, st, safe, book, log)
	if err != nil {
		return err
	}

	provided := newProvided(cfg, st, safe, drains, launcher, told)
	delivery.OnDeclare(labelDeclared(st))
	delivery.OnDeclare(bindDeclared(provided))

	teller := account.New(st, seen.store, cfg.Metrics.Interval, allowed, time.Now)

	watched, err := newAlerts(ctx, cfg, st, safe, promises.counts, trust, log)
	if err != nil {
		return err
	}

	// Doors.
	limited, known := quota.NewBook(st, delivery), directory{st, people}
	shelf := packs.New(st, frozen, func() error { return reserve.Check("uploads") })
	about := &platform{cfg: cfg, driver: driver, limits: limits.Filled(), store: st, parts: []part{
		{"store", st.Ping},
		{"gateway", func(context.Context) error { return haveGateway(gateways) }},
	}}
	handler := api.New(api.Services{
		Verdicts: st, PastJudge: judging.NewPast(late, late, cfg.Metrics.Interval),
		Sessions: people, People: known, Places: known, Features: switches, Labels: st, Pushes: delivery, Lifecycle: delivery, Drafts: delivery, Mapper: delivery,
		TaskRunner: tasks{oneOff, st, delivery}, Bakery: foundations, Upkeep: care, Apps: st, Releases: st, Running: st, Rollouts: st, Accounts: teller, Deliveries: teller, Quotas: limited, Budgets: allowed, Promises: promises.Service, Meter: driver, Metrics: counts,
		Routes: st, Sources: sources{frozen, st, reserve}, Logs: book, Tasks: st, Operations: operations{st, ops}, Events: st,
		Foundations: foundations, Credentials: safe, Certificates: hosts, Domains: domains, Drains: drains, Provided: provided, Alerts: watched, Traces: spans.Store, Platform: roomyPlatform{about, delivery}, Packs: shelf,
	}, api.Config{Version: version.Version, AppsURL: AppsURL(cfg, cfg.AppsDomain), Via: via, ViaField: viaField}.From(cfg), log)

	inside, err := newShells(ctx, cfg, guard{st, users, log}, oneOff, o.Sockets, log)
	if err != nil {
		return err
	}
	clouds, err := newCloudFoundry(ctx, cfg, cf.Services{
		Packages: st, Packs: shelf, Stager: delivery, Intake: intake.New(st, frozen, func() error { return reserve.Check("uploads") }), Files: images,
		Codes: inside.codes, Features: st, Declarer: delivery, Deployer: delivery, Steerer: operations{st, ops}, Past: st, Bindables: bindables{provided},
		Quotas: limited, Labels: st, Domains: namespaces{st, quota.NewDesk(st)},
		Sessions: people, People: known, Places: known, Switches: switches, Apps: st, Images: st, Releases: st, Running: st, Rollouts: st, Routes: st,
		Meter: driver, Logs: book, Operations: operations{st, ops}, Lifecycle: delivery, Drafts: delivery, Mapper: delivery, Tasks: st, Runner: tasks{oneOff, st, delivery}, Events: st, Bases: st, Platform: about, Provided: provided,
	}, key, via, inside.told, o.Sockets, log)
	if err != nil {
		return err
	}

	apiLn, err := o.Sockets.Listen(ctx, "api", cfg.Listen.API)
	if err != nil {
		return err
	}
	metricsLn, err := seen.listen(ctx, cfg, o.Sockets)
	if err != nil {
		return err
	}
	registryLn, err := o.Sockets.Listen(ctx, "registry", cfg.Listen.Registry)
	if err != nil {
		return err
	}
	controlLn, err := hub.Listen(cfg.ControlSocket(), gatewayUID)
	if err != nil {
		return err
	}
	loginLn, err := listenLogin(cfg)
	if err != nil {
		return err
	}
	// What starts instances ends before they are taken away for good.
	crew := serve.NewCrew(
		serve.Part{Name: "traffic", Run: traffic.Run},
		serve.Part{Name: "keeper", Run: keeper.Run},
		serve.Part{Name: "tasks", Run: oneOff.Run},
		serve.Part{Name: "operations", Run: ops.Run},
		serve.Part{Name: "watch", Run: delivery.Watch},
		serve.Part{Name: "upkeep", Run: care.Run},
	)
	importer := logs.NewImporter(cfg.SpoolDir(), book, 200*time.Millisecond, int64(cfg.Logs.AppRate), log)
	return serve.Ordered(ctx,
		serve.Part{Name: "sockets", Run: o.Sockets.Serve},
		serve.Part{Name: "logs", Run: importer.Run},
		serve.Part{Name: "registry", Run: web(registryLn, roomyRegistry(registry, reserve), 0)}, // before the keeper: instances are pulled from it
		serve.Part{Name: "hub", Run: func(ctx context.Context) error { return gateways.Run(ctx, controlLn) }},
		serve.Part{Name: "certificates", Run: certificates.Run},
		serve.Part{Name: "acme", Run: hosts.Run},
		serve.Part{Name: "metrics", Run: counts.Run},
		serve.Part{Name: "drains", Run: fleet.Run},
		serve.Part{Name: "chronicle", Run: chronicled(st, book, log)},
		serve.Part{Name: "series", Run: seen.store.Run},
		serve.Part{Name: "observe", Run: seen.rounds.Run},
		serve.Part{Name: "scrape", Run: seen.apps.Run},
		serve.Part{Name: "probes", Run: newProber(cfg, seen).Run},
		watched.part(),
		serve.Part{Name: "budgets", Run: allowed.Run},
		serve.Part{Name: "remote-write", Run: forwarding(seen.sent)},
		serve.Part{Name: "self", Run: measuring(cfg, seen)},
		serve.Part{Name: "judge", Run: trials.Run},
		serve.Part{Name: "crew", Run: crew.Run},
		serve.Part{Name: "login", Run: (&loginDoor{people, st, driver, crew}).serve(loginLn)},
		serve.Part{Name: "api", Run: web(apiLn, heard.beside(cfg, named(cfg, asked, clouds.beside(handler))), 10*time.Second)},
		serve.Part{Name: "prometheus", Run: served(metricsLn, asked)},
		serve.Part{Name: "telemetry", Run: heard.Run},
		clouds.part(),
		inside.part(),
		serve.Part{Name: "ready", Run: func(ctx context.Context) error { return sayReady(ctx, o.Notify, gateways, cfg) }},
	)
}

// makeFolders makes what the control plane writes into.
func makeFolders(cfg config.Config) error {
	for _, dir := range []string{
		cfg.DataDir, filepath.Join(cfg.DataDir, "keys"), filepath.Dir(cfg.AdminPath()), cfg.SpoolDir(), cfg.CacheDir(), filepath.Join(cfg.CacheDir(), "work"), cfg.RunDir,
	} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return fmt.Errorf("make folders: %w", err)
		}
	}
	return nil
}

// web serves HTTP until ctx ends; requests in flight get the grace, streams end
// with the context.
func web(ln net.Listener, h http.Handler, grace time.Duration) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		base, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, BaseContext: func(net.Listener) context.Context { return base }, Protocols: &http.Protocols{}}
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetUnencryptedHTTP2(true) // gRPC of the doors for telemetry
		failed := make(chan error, 1)
		go func() { failed <- srv.Serve(ln) }()
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		// What is short ends by itself; streams end with their context after that.
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(grace, time.Second))
		defer cancel()
		if srv.Shutdown(short) == nil {
			return nil
		}
		stop()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if err := srv.Shutdown(end); err != nil {
			return srv.Close()
		}
		return nil
	}
}

// haveGateway is nil when a gateway is connected.
func haveGateway(h *hub.Hub) error {
	if len(h.Gateways()) == 0 {
		return errors.New("no gateway is connected")
	}
	return nil
}

// sayReady tells the supervisor once a gateway is there; the part goes on to
// wait for the end like all others.
func sayReady(ctx context.Context, n notify.Notifier, h *hub.Hub, cfg config.Config) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for haveGateway(h) != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	if err := n.Ready(ctx, "serving "+cfg.APIURL()); err != nil && ctx.Err() == nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// bootID names this start of the machine.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// beside is a helper program in the folder of this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}
