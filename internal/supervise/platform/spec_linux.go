package platform

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"naru/internal/atomicfile"
	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/supervise"
)

// Spec is the whole platform. The gateway comes first and goes last: traffic
// does not wait for anything else, and nothing else is worth a lost request.
func (p Parts) Spec() (supervise.Spec, error) {
	c, user, err := p.gatewayUser()
	if err != nil {
		return supervise.Spec{}, err
	}
	p.Config = c
	children := []supervise.Child{p.gateway(user)}
	after := []string{}
	if c.Driver == config.Containerd && c.Containerd.Address == "" {
		child, err := p.containerd()
		if err != nil {
			return supervise.Spec{}, err
		}
		children, after = append(children, child), append(after, child.Name)
	}
	if p.Buildkitd != nil && c.Buildkit.Address == "" {
		children = append(children, p.buildkitd())
	}
	children = append(children, p.server(after))
	return supervise.Spec{
		DataDir: c.DataDir, RunDir: c.RunDir, Name: Name(c),
		Sockets: sockets(c), Children: children, LogBytes: int64(c.Logs.Process),
		Remove: c.Ephemeral, Teardown: p.Teardown,
		Sweep: func(ctx context.Context) error { return Sweep(ctx, c) },
		Hurry: p.Hurry, LetGo: p.LetGo, Ready: p.Ready, Out: p.Out, Log: p.Log,
	}, nil
}

func (p Parts) server(after []string) supervise.Child {
	return supervise.Child{
		Name: "server", Argv: []string{p.Naru, "server"}, Env: p.Config.Environ(),
		Sockets: []string{"api", "registry", "prometheus", "otlp", "zipkin", "cf", "ssh"}, After: after,
		StartTimeout: serverStart, StopTimeout: p.Config.Gateway.DrainTimeout + engineStop,
	}
}

func (p Parts) gateway(user *supervise.User) supervise.Child {
	dir := p.Config.GatewayDir()
	held := []string{"apps", "apps-tls"}
	for _, s := range tcpSockets(p.Config) {
		held = append(held, s.Name)
	}
	return supervise.Child{
		Name: "gateway", Argv: []string{p.Naru, "gateway"}, Env: p.Config.Environ(), Dir: dir,
		Sockets: held, User: user,
		StartTimeout: gatewayStart, StopTimeout: p.Config.Gateway.DrainTimeout + engineStop,
		Outlives: true, Handover: true,
		Prepare: func(context.Context) error { return gatewayFolder(dir, user) },
	}
}

func (p Parts) buildkitd() supervise.Child {
	d := p.Buildkitd
	return supervise.Child{
		Name: "buildkitd", Argv: append([]string{d.Program}, d.Args...), Env: d.Env,
		Ready: supervise.ReadyOnDial, Dial: d.Socket, StartTimeout: engineStart, StopTimeout: engineStop,
		Prepare: d.prepare,
	}
}

func (d Daemon) prepare(ctx context.Context) error {
	for _, dir := range d.Folders {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	for path, text := range d.Files {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := atomicfile.Write(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	if d.Before == nil {
		return nil
	}
	return d.Before(ctx)
}

// Find returns the program of an engine: the configured one, or one of these
// names beside naru, in lib/naru next to its bin, or in PATH.
func Find(naru string, e config.Engine, names ...string) (string, error) {
	if e.Binary != "" {
		path, err := exec.LookPath(e.Binary)
		if err != nil {
			return "", fault.New(fault.Invalid, "binary", "%s is not a program", e.Binary).WithCause(err)
		}
		return path, nil
	}
	for _, name := range names {
		bin := filepath.Dir(naru)
		for _, place := range []string{filepath.Join(bin, name), filepath.Join(bin, "..", "lib", "naru", name), name} {
			if path, err := exec.LookPath(place); err == nil {
				return path, nil
			}
		}
	}
	return "", fault.New(fault.Unsupported, "", "%s is not installed", names[0]).WithTry("naru doctor")
}
