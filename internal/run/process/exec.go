//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"naru/internal/fault"
	"naru/internal/run"
)

// Exec runs a command in an instance's folder with its environment.
func (d *Driver) Exec(ctx context.Context, id run.InstanceID, x run.ExecSpec) (int, error) {
	_, state, err := d.known(id)
	if err != nil {
		return 0, err
	}
	env, err := environOf(state.PID)
	if err != nil {
		return 0, fault.New(fault.Conflict, "instance", "instance %s does not run", id).WithCause(err)
	}
	root := d.dir(id)
	argv := make([]string, 0, len(x.Argv))
	for _, a := range x.Argv {
		argv = append(argv, rewrite(a, root))
	}
	if len(argv) == 0 {
		return 0, fault.New(fault.Invalid, "command", "a command is needed")
	}
	if argv[0], err = lookPath(argv[0], env, root); err != nil {
		return 0, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = filepath.Join(root, "app")
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if x.TTY {
		cmd.SysProcAttr.Setctty = true
		cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	}
	cmd.Env = append(cmd.Env, x.Env.Reveal()...)
	deliver, err := connect(cmd, x.IO)
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		deliver()
		return 0, fault.New(fault.Failed, "command", "cannot run %s: %v", strings.Join(x.Argv, " "), err)
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	ended := make(chan struct{})
	go pass(x.Signals, cmd.Process.Pid, ended)
	err = cmd.Wait()
	close(ended)
	stop()
	deliver()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, fmt.Errorf("run command: %w", err)
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// pass hands signals on to a command and its children until it has ended.
func pass(signals <-chan int, pid int, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case s, ok := <-signals:
			if !ok {
				return
			}
			_ = syscall.Kill(-pid, syscall.Signal(s)) // it may have ended meanwhile
		}
	}
}

// Dial refuses: instances of this driver have the machine's own network.
func (d *Driver) Dial(context.Context, run.InstanceID, string) (net.Conn, error) {
	return nil, fault.New(fault.Unsupported, "", "instances of the driver process have no network of their own to connect to").
		WithTry("use the driver containerd, or connect to the app's route")
}
