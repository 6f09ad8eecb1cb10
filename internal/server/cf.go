//go:build linux

package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"naru/internal/auth"
	"naru/internal/config"
	"naru/internal/door/cf"
	"naru/internal/serve"
	"naru/internal/supervise/inherit"
	"naru/internal/version"
)

// cloudFoundry is the door for the cf client, at names of the platform's and at an
// address of its own.
type cloudFoundry struct {
	door *cf.Door
	ln   net.Listener // nil: none
}

func newCloudFoundry(ctx context.Context, cfg config.Config, svc cf.Services, key *auth.Key, via string, ssh cf.SSH, sockets *inherit.Sockets, log *slog.Logger) (cloudFoundry, error) {
	ports, err := cfg.Listen.TCP()
	if err != nil {
		return cloudFoundry{}, fmt.Errorf("listen.tcp: %w", err) // validated before
	}
	d := cloudFoundry{door: cf.New(svc, key, cf.Config{
		Build: version.Version, UploadBytes: int64(cfg.Upload.Bytes), Domain: cfg.PlatformDomain(), AppsDomain: cfg.AppsDomain, Via: via, ViaField: viaField, SSH: ssh,
		FirstPort: ports.First, LastPort: ports.Last,
	}, log)}
	if cfg.Listen.CF == "" {
		return d, nil
	}
	d.ln, err = sockets.Listen(ctx, "cf", cfg.Listen.CF)
	return d, err
}

// beside answers for the door's names.
func (d cloudFoundry) beside(others http.Handler) http.Handler { return d.door.Beside(others) }

func (d cloudFoundry) part() serve.Part {
	return serve.Part{Name: "cf", Run: served(d.ln, d.door)}
}
