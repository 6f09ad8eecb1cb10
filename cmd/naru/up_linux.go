package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/backup"
	"naru/internal/build/buildkit"
	"naru/internal/config"
	"naru/internal/doctor"
	"naru/internal/fault"
	"naru/internal/server"
	"naru/internal/supervise"
	"naru/internal/supervise/platform"
)

func up() *cobra.Command {
	c := &cobra.Command{
		Use:   "up",
		Short: "Run the platform on this machine",
		Long: `Starts what is missing (control plane, gateway, containerd, BuildKit), keeps it running, and prints the URLs and a
line to log in with. Ctrl-C stops the control plane and leaves apps, gateway and containerd running, so that an
upgrade is a restart; --ephemeral removes everything instead, as naru down does later.`,
		Args: cobra.NoArgs,
	}
	load := configured(c)
	c.RunE = func(cc *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		ctx, hurry, letGo, stop := supervise.Signals(context.WithoutCancel(cc.Context()))
		defer stop()
		parts, err := assemble(ctx, cfg, cc.OutOrStdout())
		if err != nil {
			return err
		}
		parts.Hurry, parts.LetGo = hurry, letGo
		spec, err := parts.Spec()
		if err != nil {
			return err
		}
		return supervise.Up(ctx, spec)
	}
	return c
}

func down() *cobra.Command {
	c := &cobra.Command{
		Use: "down", Short: "Stop the platform and remove everything it started", Args: cobra.NoArgs,
		Long: "Drains and removes all instances, then gateway, build engine and containerd, with their networks, mounts, rules\nand cgroups. The data folder stays.",
	}
	load := configured(c)
	c.RunE = func(cc *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		parts, err := assemble(cc.Context(), cfg, io.Discard)
		if err != nil {
			return err
		}
		spec, err := parts.Spec()
		if err != nil {
			return err
		}
		spec.Out = cc.OutOrStdout()
		return supervise.Down(cc.Context(), spec)
	}
	return c
}

// assemble decides what the platform on this machine is made of.
func assemble(ctx context.Context, cfg config.Config, out io.Writer) (platform.Parts, error) {
	naru, err := os.Executable()
	if err != nil {
		return platform.Parts{}, err
	}
	if backup.Interrupted(cfg.DataDir) {
		return platform.Parts{}, fault.New(fault.Conflict, "data_dir", "a restore into %s was interrupted", cfg.DataDir).
			WithTry("naru restore FILE, which goes on")
	}
	findings := doctor.Run(ctx, doctor.NewEnv(cfg), doctor.Isolation(doctor.Checks()))
	driver, notice, err := platform.Decide(cfg.Driver, findings)
	if err != nil {
		return platform.Parts{}, err
	}
	cfg.Driver = driver
	if notice != "" {
		fmt.Fprintln(out, "note: "+notice)
	}
	parts := platform.Parts{
		Config: cfg, Naru: naru, Out: out, Log: logger(cfg),
		Teardown: func(ctx context.Context) error { return server.Ask(ctx, cfg, "/teardown", nil) },
		Ready:    func(ctx context.Context) { greet(ctx, cfg, out) },
	}
	if cfg.Buildkit.Address == "" {
		parts.Buildkitd, err = buildDaemon(naru, cfg)
		if err != nil && driver == config.Containerd {
			return platform.Parts{}, err
		}
		if err != nil || os.Geteuid() != 0 {
			parts.Buildkitd = nil
			fmt.Fprintln(out, "note: nothing can be built here, only images be pushed (naru push --image): building needs root and buildkitd")
		}
	}
	return parts, nil
}

// buildDaemon is BuildKit as package buildkit wants it run.
func buildDaemon(naru string, cfg config.Config) (*platform.Daemon, error) {
	program, err := platform.Find(naru, cfg.Buildkit, "buildkitd", "naru-buildkitd")
	if err != nil {
		return nil, err
	}
	subnet, err := server.BuildSubnet(cfg)
	if err != nil {
		return nil, err
	}
	d := buildkit.Daemon{
		DataDir: cfg.DataDir, Socket: strings.TrimPrefix(cfg.BuildkitAddress(), "unix://"), CNIBin: server.PluginDir(cfg), Subnet: subnet,
		Parallel: cfg.Build.Parallel, CacheMaxMiB: int(cfg.Build.Cache / config.MiB),
		Registries: buildkit.WithMirrors([]buildkit.RegistryAt{{Host: cfg.Listen.Registry, HTTP: true}}, cfg.Mirrors.Registries),
		MemoryMiB:  server.BuildMemory(cfg), LogBytes: int64(cfg.Build.LogBytes), MinFreeMiB: server.DiskKept(cfg),
		CPUMilli: int(cfg.Build.CPU*1000) * cfg.Build.Parallel,
	}
	if d.Reachable, err = portsHere(cfg.Mirrors); err != nil {
		return nil, err
	}
	files, err := d.Render()
	if err != nil {
		return nil, err
	}
	return &platform.Daemon{
		Program: program, Args: d.Args(), Env: d.Env(), Socket: d.Socket, Files: files,
		Folders: []string{filepath.Join(cfg.DataDir, "buildkit", "tmp")},
		Before:  d.Prepare,
	}, nil
}

// portsHere are the ports of mirrors that run on this machine, which is
// otherwise closed to builds.
func portsHere(m config.Mirrors) ([]int, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	here := map[string]bool{}
	for _, a := range addrs {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && !ip.IsLoopback() {
			here[ip.String()] = true
		}
	}
	var ports []int
	for _, mirror := range append(strings.Split(m.GoProxy, ","), m.NPM, m.Pip, m.Maven) {
		u, err := url.Parse(mirror)
		if err != nil || !here[u.Hostname()] {
			continue // direct, off, or elsewhere
		}
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			port = map[string]int{"http": 80, "https": 443}[u.Scheme]
		}
		if port > 0 && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports, nil
}

// greet tells whoever started the platform where it is and how to get in.
func greet(ctx context.Context, cfg config.Config, out io.Writer) {
	var code server.LoginCode
	login := "naru login " + cfg.APIURL()
	if err := server.Ask(ctx, cfg, "/login-code", &code); err == nil {
		login += " --code " + code.Code
	}
	api := cfg.APIURL()
	if cfg.Listen.AppsTLS != "" {
		api += ", " + server.AppsURL(cfg, "api."+cfg.PlatformDomain()) + " (naru ca prints whom to trust)"
	}
	admin := "password in " + cfg.AdminPath()
	if _, err := os.Stat(cfg.AdminPath()); err != nil {
		admin = "has the password it had when the backup was made" // the file is in none without the key
	}
	fmt.Fprintf(out, `
naru is up
  API        %s
  apps       %s
  registry   %s
  admin      %s

  %s

`, api, server.AppsURL(cfg, "NAME."+cfg.AppsDomain), cfg.Listen.Registry, admin, login)
}

func doctorCommand() *cobra.Command {
	c := &cobra.Command{Use: "doctor", Short: "Look for what keeps the platform on this machine from working", Args: cobra.NoArgs}
	load := configured(c)
	c.RunE = func(cc *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		findings := doctor.Run(cc.Context(), doctor.NewEnv(cfg), doctor.Checks())
		return showFindings(cc, findings)
	}
	return c
}
