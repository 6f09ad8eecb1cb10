package server

import (
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"naru/internal/app"
	"naru/internal/backup"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/config"
	"naru/internal/doctor"
	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/source"
	"naru/internal/store"
	"naru/internal/version"
)

// platform tells about the server itself.
type platform struct {
	cfg    config.Config
	driver run.Driver
	limits source.Limits
	store  *store.Store
	parts  []part
}

// part is something that must work before the server says it is ready.
type part struct {
	name  string
	ready func(ctx context.Context) error
}

// Info says what the server is and where its parts are.
func (p *platform) Info(context.Context) (client.Info, error) {
	return client.Info{
		Version: version.Version, API: p.cfg.APIURL(), Registry: p.cfg.Listen.Registry, Apps: AppsURL(p.cfg, p.cfg.AppsDomain),
		AppsDomain: p.cfg.AppsDomain, Driver: p.driver.Name(), Notice: p.driver.Notice(),
		DefaultOrg: app.DefaultOrg, DefaultSpace: app.DefaultSpace,
		Limits: client.Limits{
			UploadBytes: int64(p.cfg.Upload.Bytes), SourceBytes: p.limits.MaxBytes, SourceFile: p.limits.MaxFile,
			SourceFiles: p.limits.MaxFiles, RequestBytes: 1 << 20, MemoryMiB: int(p.cfg.Instance.MaxMemory / config.MiB),
			Instances: p.cfg.Instance.Max, PageItems: 1000,
		},
	}, nil
}

// gatewayUser is who may dial the control socket: without root the gateway runs
// as the same user as everything else.
func gatewayUser(c config.Config) (uid int, err error) {
	if os.Geteuid() != 0 {
		return os.Geteuid(), nil
	}
	uid, _, err = c.GatewayUser()
	return uid, err
}

// unableToBuild says why nothing can be built, where naru up starts no build
// daemon and the operator named none.
func unableToBuild(c config.Config) error {
	if os.Geteuid() == 0 || c.Buildkit.Address != "" {
		return nil
	}
	return fault.New(fault.Unsupported, "build", "nothing can be built on a platform without root").
		WithTry("sudo naru up; or push an image: naru push --image REF; or name a BuildKit with --buildkit-address")
}

// AppsURL is the URL of a host behind the gateway.
func AppsURL(c config.Config, host string) string {
	scheme, listen, usual := "http", c.Listen.Apps, "80"
	if c.Listen.AppsTLS != "" {
		scheme, listen, usual = "https", c.Listen.AppsTLS, "443"
	}
	_, port, err := net.SplitHostPort(listen)
	if err != nil || port == usual {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + port
}

// Waiting names the parts that are not ready.
func (p *platform) Waiting(ctx context.Context) []string {
	var waiting []string
	for _, one := range p.parts {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		if err := one.ready(ctx); err != nil {
			waiting = append(waiting, one.name)
		}
		cancel()
	}
	return waiting
}

// Doctor makes all checks as the server sees the machine.
func (p *platform) Doctor(ctx context.Context) ([]client.Finding, error) {
	levels := map[doctor.Level]string{doctor.Warn: "warning", doctor.Fail: "error"}
	var out []client.Finding
	for _, f := range doctor.Run(ctx, doctor.NewEnv(p.cfg), doctor.Checks()) {
		level := levels[f.Level]
		if level == "" {
			level = "ok"
		}
		out = append(out, client.Finding{Check: f.Check, Level: level, Message: f.Cause, Try: f.Try})
	}
	return out, nil
}

// Builders lists the builders, and behind them the buildpacks that were uploaded.
func (p *platform) Builders(ctx context.Context) ([]client.Builder, error) {
	var out []client.Builder
	for _, b := range build.Builders() {
		out = append(out, client.Builder{Name: b.Name, Detects: b.Looks + ": " + b.Makes})
	}
	all, err := p.store.Buildpacks(ctx)
	for _, b := range all {
		detects := "what its bin/detect knows, asked as number " + strconv.Itoa(b.Position)
		switch {
		case !b.Enabled:
			detects = "nothing, for it is disabled"
		case b.Digest == "":
			detects = "nothing, for its files were not uploaded yet"
		}
		out = append(out, client.Builder{Name: b.Name, Detects: detects, Foundations: []string{"classic"}, Uploaded: true})
	}
	return out, err
}

// Backup writes everything that cannot be made again; keys and passwords only
// where asked.
func (p *platform) Backup(ctx context.Context, w io.Writer, withKey bool) error {
	ring, err := secret.LoadKeyring(p.cfg.KeyPath())
	if err != nil {
		return err
	}
	return backup.Write(ctx, w, backup.Source{
		Dir: p.cfg.DataDir, Store: p.store.Backup, Settings: p.cfg.Written(), KeyPath: p.cfg.KeyPath(),
		About: backup.About{Naru: version.Version, Made: time.Now().UTC(), KeyID: ring.KeyID(), WithKey: withKey},
	})
}
