// Package platform says which processes make up naru on one machine, as data
// for package supervise.
package platform

import (
	"context"
	"io"
	"log/slog"
	"time"

	"naru/internal/config"
	"naru/internal/doctor"
	"naru/internal/fault"
	"naru/internal/supervise"
)

// Parts are what naru up puts together.
type Parts struct {
	Config config.Config // with Driver decided: see Decide
	Naru   string        // path of the naru program
	// Buildkitd is what the build step knows about its daemon; nil starts none.
	Buildkitd *Daemon

	Teardown func(ctx context.Context) error // see supervise.Spec
	Ready    func(ctx context.Context)       // prints URLs and the login line
	Hurry    <-chan struct{}
	LetGo    <-chan struct{}
	Out      io.Writer
	Log      *slog.Logger
}

// Daemon is a program with files that it wants to find.
type Daemon struct {
	Program string
	Args    []string
	Env     []string
	Socket  string                          // path of the unix socket that shows it is ready
	Files   map[string]string               // path to text, written before each start
	Folders []string                        // made before each start
	Before  func(ctx context.Context) error // called before each start, when the files are written; may be nil
}

// Decide settles the driver: what the configuration says, or for auto what the
// machine can. notice is for the person at the terminal: what is missing to get
// isolation. The error is a fault that names what is missing and the way out.
func Decide(want config.Driver, findings []doctor.Finding) (driver config.Driver, notice string, err error) {
	if want == config.Process {
		return want, "instances run as plain processes and are not isolated from each other or from this machine", nil
	}
	failed := doctor.Failed(findings)
	if len(failed) == 0 {
		return config.Containerd, "", nil
	}
	var missing, cures string
	for _, f := range failed {
		missing += "\n  " + f.Check + ": " + f.Cause
		cures += "\n  " + f.Try
	}
	if want == config.Containerd {
		return "", "", fault.New(fault.Unsupported, "driver", "this machine cannot run containers:%s", missing).
			WithTry("do this, and start again:%s", cures)
	}
	return config.Process, "instances run as plain processes and are not isolated. To get isolation:" + missing + "\ntry:" + cures, nil
}

// The times that children get.
const (
	serverStart  = 2 * time.Minute // a migration of a large store
	gatewayStart = 30 * time.Second
	engineStart  = time.Minute
	engineStop   = 20 * time.Second
)

// Name is what processes of this platform are marked with.
func Name(c config.Config) string { return c.Hash() }

// sockets are held by naru up for the server and the gateway.
func sockets(c config.Config) []supervise.Socket {
	all := []supervise.Socket{
		{Name: "api", Addr: c.Listen.API},
		{Name: "registry", Addr: c.Listen.Registry},
		{Name: "apps", Addr: c.Listen.Apps},
	}
	if c.Listen.AppsTLS != "" {
		all = append(all, supervise.Socket{Name: "apps-tls", Addr: c.Listen.AppsTLS})
	}
	if c.Listen.Metrics != "" {
		all = append(all, supervise.Socket{Name: "prometheus", Addr: c.Listen.Metrics})
	}
	if c.Listen.OTLP != "" {
		all = append(all, supervise.Socket{Name: "otlp", Addr: c.Listen.OTLP})
	}
	if c.Listen.Zipkin != "" {
		all = append(all, supervise.Socket{Name: "zipkin", Addr: c.Listen.Zipkin})
	}
	if c.Listen.CF != "" {
		all = append(all, supervise.Socket{Name: "cf", Addr: c.Listen.CF})
	}
	if c.Listen.SSH != "" {
		all = append(all, supervise.Socket{Name: "ssh", Addr: c.Listen.SSH})
	}
	return append(all, tcpSockets(c)...)
}

// tcpSockets are those of TCP routes, all that there may ever be: a route can
// come at any time, and then its port is held already.
func tcpSockets(c config.Config) (all []supervise.Socket) {
	ports, err := c.Listen.TCP()
	if err != nil {
		return nil // validated before
	}
	for name, addr := range ports.Sockets {
		all = append(all, supervise.Socket{Name: name, Addr: addr})
	}
	return all
}
