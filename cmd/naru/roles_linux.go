package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"naru/internal/atomicfile"
	"naru/internal/cli"
	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/route/gateway"
	"naru/internal/server"
	"naru/internal/supervise/inherit"
	"naru/internal/supervise/notify"
)

// roles are the processes of a platform, and the commands that look after them
// on its own machine.
func roles() []*cobra.Command {
	return []*cobra.Command{up(), down(), doctorCommand(), serverRole(), gatewayRole(), authorityCommand(), restore()}
}

// configured gives a command the platform's settings as flags.
func configured(c *cobra.Command) func() (config.Config, error) {
	flags, settings := config.Flags{}, pflag.NewFlagSet(c.Name(), pflag.ContinueOnError)
	flags.Bind(settings)
	settings.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{cli.Setting: {"true"}} })
	c.Flags().AddFlagSet(settings)
	return func() (config.Config, error) {
		return config.Load(config.Source{UID: os.Geteuid(), Getenv: os.Getenv, Flags: flags})
	}
}

// logger writes what operators read, as text for a terminal or a file.
func logger(c config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo // validated before; nothing to do about it here
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func serverRole() *cobra.Command {
	c := &cobra.Command{Use: "server", Short: "Run the control plane (naru up starts it)", Args: cobra.NoArgs}
	load := configured(c)
	c.RunE = func(cc *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		sockets, err := inherit.Take()
		if err != nil {
			return err
		}
		return server.Run(cc.Context(), server.Options{
			Config: cfg, Sockets: sockets, Notify: notify.FromEnv(os.Getenv), AfterCommit: killAfter(os.Getenv), Log: logger(cfg),
		})
	}
	return c
}

// killAfter ends the process like kill -9 right after a commit of the store, for
// the tests that try every one of them. $NARU_TEST_KILL_FILE names a file that
// need not be there; once it is, the number in it counts down with every commit.
// At nought the file goes and the process with it, so that the next one lives.
func killAfter(getenv func(string) string) func(int64) {
	file := getenv("NARU_TEST_KILL_FILE")
	if file == "" {
		return nil
	}
	return func(int64) {
		text, err := os.ReadFile(file)
		if err != nil {
			return // not armed
		}
		left, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || left < 1 {
			return
		}
		if left > 1 {
			err = atomicfile.Write(file, []byte(strconv.Itoa(left-1)), 0o600)
		} else if err = os.Remove(file); err == nil {
			err = syscall.Kill(os.Getpid(), syscall.SIGKILL) // nothing comes after
		}
		if err != nil {
			panic(err) // a test that does not kill would pass for nothing
		}
	}
}

func gatewayRole() *cobra.Command {
	c := &cobra.Command{
		Use:   "gateway",
		Short: "Run the gateway, alone with --table FILE",
		Long:  "All traffic to apps passes it. naru up starts it; with --table it serves a table file by itself and reads it again\nwhen it changes or on SIGHUP. The file is described in docs/gateway-table.md.",
		Args:  cobra.NoArgs,
	}
	table := c.Flags().String("table", "", "serve this table file, without a control plane")
	listen := c.Flags().String("listen", "", "address to listen on when standing alone (default 127.0.0.1:8080)")
	own := &standalone{}
	c.Flags().StringVar(&own.cert, "tls-cert", "", "standing alone: serve HTTPS with this certificate chain (PEM), read again on SIGHUP")
	c.Flags().StringVar(&own.key, "tls-key", "", "standing alone: its private key (PEM)")
	c.Flags().StringVar(&own.listen, "listen-tls", "", "address for HTTPS when standing alone (default 127.0.0.1:8443)")
	c.Flags().StringVar(&own.metrics, "metrics", "", "standing alone: show metrics for Prometheus at http://ADDRESS/metrics, to whoever reaches it")
	load := configured(c)
	c.RunE = func(cc *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		if err := own.check(*table); err != nil {
			return err
		}
		sockets, err := inherit.Take()
		if err != nil {
			return err
		}
		return runGateway(cc.Context(), cfg, sockets, *table, *listen, own)
	}
	c.AddCommand(gatewayReload())
	return c
}

// gatewayGC is GOGC of a gateway. Its heap is tables and connections, which stay;
// only requests of HTTP/2 leave garbage, and this halves what collecting it costs.
const gatewayGC = 200

func runGateway(ctx context.Context, cfg config.Config, sockets *inherit.Sockets, table, listen string, own *standalone) error {
	log := logger(cfg)
	g := gateway.Config{
		Connections: cfg.Gateway.Connections, AddressConnections: cfg.Gateway.PerAddress, HeaderBytes: int(cfg.Gateway.HeaderBytes), HeaderTimeout: cfg.Gateway.HeaderTimeout,
		IdleTimeout: cfg.Gateway.IdleTimeout, Drain: cfg.Gateway.DrainTimeout, DrainUpgrade: cfg.Gateway.DrainUpgrade,
		TCPIdle: cfg.Gateway.TCPIdle, EmptyFrames: cfg.Gateway.EmptyFrames, BodyRate: int(cfg.Gateway.BodyRate),
	}
	if g.BodyRate == 0 {
		g.BodyRate = -1
	}
	if g.TraceShare = cfg.Traces.Sample; g.TraceShare == 0 {
		g.TraceShare = -1
	}
	if g.TraceFirst = cfg.Traces.First; g.TraceFirst == 0 {
		g.TraceFirst = -1
	}
	var err error
	if g.Balancers, err = cfg.Gateway.Balancers(); err != nil {
		return fmt.Errorf("gateway.proxy_protocol: %w", err) // validated before
	}
	if g.Trusted, err = cfg.Gateway.TrustedProxies(); err != nil {
		return fmt.Errorf("gateway.trusted_proxies: %w", err) // validated before
	}
	shelf, err := own.shelf(cfg, table)
	if shelf == nil {
		return err
	}
	if err != nil {
		log.Warn("HTTPS waits for the control plane", "error", err)
	}
	g.Certificates = shelf
	if table != "" {
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		reload := make(chan struct{})
		go func() {
			for range hup {
				if err := own.load(shelf); err != nil {
					log.Error("new certificate refused, the old one stays in use", "error", err)
				}
				reload <- struct{}{}
			}
		}()
		g.TableFile, g.Reload = table, reload
	} else {
		g.Control, g.TableFile = cfg.ControlSocket(), cfg.GatewayDir()+"/table.json"
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gatewayGC)
	}
	access, err := openAccessLog(cfg, table != "", log)
	if err != nil {
		return err
	}
	if access != nil {
		g.Recorder = access
		defer written(ctx, access)() // after the last request
	}
	var address string
	g.Ready = func(ctx context.Context) error {
		if table != "" {
			log.Info("serving", "address", address, "table", table)
		}
		return notify.FromEnv(os.Getenv).Ready(ctx, "serving "+address)
	}
	gw, err := gateway.New(g, log)
	if err != nil {
		return err
	}
	if listen == "" {
		listen = cfg.Listen.Apps
	}
	ln, err := sockets.Listen(ctx, "apps", listen)
	if err != nil {
		return fault.New(fault.Conflict, "listen", "cannot listen on %s: %s", listen, err).WithTry("naru gateway --listen HOST:PORT")
	}
	address = ln.Addr().String()
	all := listeners(ln)
	if secure := own.address(cfg, table); secure != "" {
		ln, err := sockets.ListenKept(ctx, "apps-tls", secure, notify.FromEnv(os.Getenv))
		if err != nil {
			return fault.New(fault.Conflict, "listen-tls", "cannot listen on %s: %s", secure, err).WithTry("another address for HTTPS")
		}
		all = append(all, gateway.Secure(ln, shelf.For))
	} else if err := sockets.DropKept("apps-tls", nil, notify.FromEnv(os.Getenv)); err != nil {
		return fmt.Errorf("let go of the address for HTTPS: %w", err)
	}
	ports, err := tcpListeners(ctx, cfg, sockets)
	if err != nil {
		return err
	}
	all = append(all, ports...)
	closeMetrics, err := serveMetrics(ctx, own.metrics, gw, log)
	if err != nil {
		return err
	}
	defer closeMetrics()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		if err := sockets.Serve(ctx); err != nil {
			log.Error("give sockets back", "error", err)
		}
	}()
	return gw.Run(ctx, all)
}
