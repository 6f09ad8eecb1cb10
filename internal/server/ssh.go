//go:build linux

package server

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/config"
	"naru/internal/door/cf"
	"naru/internal/door/ssh"
	"naru/internal/event"
	"naru/internal/pipeline/task"
	"naru/internal/run"
	"naru/internal/serve"
	"naru/internal/store"
	"naru/internal/supervise/inherit"
)

// shells is the door for SSH.
type shells struct {
	codes *ssh.Codes
	told  cf.SSH
	ln    net.Listener // nil: none
	door  *ssh.Server
}

func newShells(ctx context.Context, cfg config.Config, inside guard, runner *task.Runner, sockets *inherit.Sockets, log *slog.Logger) (shells, error) {
	s := shells{codes: ssh.NewCodes(cfg.SSH.Code, time.Now)}
	if cfg.Listen.SSH == "" {
		return s, nil
	}
	key, err := ssh.LoadKey(filepath.Join(cfg.DataDir, "keys", "ssh_host_ed25519"))
	if err != nil {
		return s, err
	}
	if s.ln, err = sockets.Listen(ctx, "ssh", cfg.Listen.SSH); err != nil {
		return s, err
	}
	s.told = cf.SSH{Address: s.ln.Addr().String(), Fingerprint: ssh.Fingerprint(key)}
	if cfg.SSH.Address != "" {
		s.told.Address = cfg.SSH.Address
	}
	s.door = ssh.New(key, s.codes, inside, rooms{runner, log}, ssh.Limits{
		Connections: cfg.SSH.Connections, PerAddress: cfg.SSH.PerAddress, Channels: cfg.SSH.Channels, Tries: cfg.SSH.Tries,
		Login: cfg.SSH.Login, Idle: cfg.SSH.Idle,
	}, log)
	return s, nil
}

func (s shells) part() serve.Part {
	return serve.Part{Name: "ssh", Run: func(ctx context.Context) error {
		if s.ln == nil {
			<-ctx.Done()
			return nil
		}
		return s.door.Run(ctx, s.ln)
	}}
}

// guard says who gets into instances, and keeps the record.
type guard struct {
	store *store.Store
	users *registryUsers
	log   *slog.Logger
}

// Admit lets in who may run commands in the app, where it and its space allow that.
func (g guard) Admit(ctx context.Context, user auth.UserID, into ssh.Instance) (auth.Identity, error) {
	who, err := g.users.identity(ctx, user)
	if err != nil {
		return who, err
	}
	a, err := g.store.App(ctx, into.App)
	if err != nil {
		return who, err
	}
	if err := g.allowed(ctx, who, a); err != nil {
		return who, err
	}
	return who, g.store.AppendEvents(ctx, event.Event{
		Kind: "ssh.opened", Actor: who.Name, Space: string(a.Space), App: string(a.ID), Subject: a.Name, Detail: map[string]any{"process": into.Process, "index": into.Index},
	})
}

func (g guard) allowed(ctx context.Context, who auth.Identity, a app.App) error {
	space, err := g.store.Space(ctx, a.Space)
	if err != nil {
		return err
	}
	if err := auth.Check(who, auth.AppExec, space.Org, space.ID, "the app"); err != nil {
		return err
	}
	return app.CheckSSH(space, a)
}

// Refused keeps what a known user was refused; guesses by nobody are for the
// operator's log alone.
func (g guard) Refused(ctx context.Context, user auth.UserID, into ssh.Instance, remote string, why error) {
	g.log.InfoContext(ctx, "ssh refused", "user", user, "instance", into, "remote", remote, "error", why)
	if user == "" {
		return
	}
	who, err := g.users.identity(ctx, user)
	if err != nil {
		return // it was the reason for the refusal
	}
	a, err := g.store.App(ctx, into.App)
	if err != nil {
		return // an app that does not exist has no record
	}
	err = g.store.AppendEvents(ctx, event.Event{
		Kind: "ssh.refused", Actor: who.Name, Space: string(a.Space), App: string(a.ID), Subject: a.Name, Detail: map[string]any{"process": into.Process, "index": into.Index},
	})
	if err != nil {
		g.log.WarnContext(ctx, "keep event", "error", err)
	}
}

// rooms reaches into instances. That somebody came in is on record already.
type rooms struct {
	*task.Runner
	log *slog.Logger
}

// Exec runs a command.
func (r rooms) Exec(ctx context.Context, _ auth.Identity, in ssh.Instance, x run.ExecSpec) (int, error) {
	return r.Runner.Exec(ctx, in.App, in.Process, in.Index, x)
}

// Dial connects from inside.
func (r rooms) Dial(ctx context.Context, who auth.Identity, in ssh.Instance, addr string) (net.Conn, error) {
	r.log.InfoContext(ctx, "ssh forward", "user", who.Name, "instance", in, "address", addr)
	return r.Runner.Dial(ctx, in.App, in.Process, in.Index, addr)
}
