package server

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/config"
	"naru/internal/doctor"
	"naru/internal/run"
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
		Version: version.Version, API: p.cfg.APIURL(), Registry: p.cfg.Listen.Registry, Apps: appsURL(p.cfg, p.cfg.AppsDomain),
		AppsDomain: p.cfg.AppsDomain, Driver: p.driver.Name(), Notice: p.driver.Notice(),
		DefaultOrg: app.DefaultOrg, DefaultSpace: app.DefaultSpace,
		Limits: client.Limits{
			UploadBytes: int64(p.cfg.Upload.Bytes), SourceBytes: p.limits.MaxBytes, SourceFile: p.limits.MaxFile,
			SourceFiles: p.limits.MaxFiles, RequestBytes: 1 << 20, MemoryMiB: int(p.cfg.Instance.MaxMemory / config.MiB),
			Instances: p.cfg.Instance.Max, PageItems: 1000,
		},
	}, nil
}

// appsURL is the URL of a host behind the gateway.
func appsURL(c config.Config, host string) string {
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

// Builders lists the builders.
func (p *platform) Builders(context.Context) ([]client.Builder, error) {
	var out []client.Builder
	for _, b := range build.Builders() {
		out = append(out, client.Builder{Name: b.Name, Detects: b.Looks + ": " + b.Makes})
	}
	return out, nil
}

// Backup writes a gzipped tar of everything that cannot be made again: the store,
// the registry, sources, foundations' papers, keys of tokens, the configuration;
// and, when asked, the key of secrets.
func (p *platform) Backup(ctx context.Context, w io.Writer, withKey bool) (err error) {
	gz := gzip.NewWriter(w)
	out := tar.NewWriter(gz)
	defer func() { err = errors.Join(err, out.Close(), gz.Close()) }()
	// The store first: what it names is older than the folders read after it, and
	// nothing that it names is removed meanwhile, for garbage is younger.
	tmp, err := os.CreateTemp(p.cfg.DataDir, "backup-*.db")
	if err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	defer func() { err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name())) }()
	if err := p.store.Backup(ctx, tmp); err != nil {
		return err
	}
	if err := addFile(out, tmp.Name(), "store.db"); err != nil {
		return err
	}
	for _, dir := range []string{"registry", "source", "foundations", "keys", "secrets", "config.yaml"} {
		if err := addTree(ctx, out, p.cfg.DataDir, dir, withKey, p.cfg.KeyPath()); err != nil {
			return err
		}
	}
	return nil
}

func addTree(ctx context.Context, out *tar.Writer, root, dir string, withKey bool, key string) error {
	return filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("back up %s: %w", dir, err)
		case ctx.Err() != nil:
			return ctx.Err()
		case !d.Type().IsRegular(), path == key && !withKey, strings.Contains(path, "/_uploads/"):
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return addFile(out, path, name)
	})
}

func addFile(out *tar.Writer, path, name string) (err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed while we walked
	}
	if err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	h := &tar.Header{Name: filepath.ToSlash(name), Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime(), Typeflag: tar.TypeReg}
	if err := out.WriteHeader(h); err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	if _, err := io.CopyN(out, f, info.Size()); err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	return nil
}
