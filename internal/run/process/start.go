//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/run/spool"
)

// Start runs an instance.
func (d *Driver) Start(ctx context.Context, spec run.Spec) (run.Status, error) {
	if err := spec.Check(); err != nil {
		return run.Status{}, err
	}
	unlock, err := d.lock(ctx, string(spec.ID))
	if err != nil {
		return run.Status{}, err
	}
	defer unlock()
	switch st, err := d.status(spec.ID); {
	case err == nil:
		return st, nil
	case !fault.Is(err, fault.NotFound):
		return run.Status{}, err
	}
	// What an attempt that died half way left is in the way of nothing else.
	if err := d.remove(spec.ID); err != nil {
		return run.Status{}, err
	}
	if err := d.start(ctx, spec); err != nil {
		return run.Status{}, errors.Join(err, d.remove(spec.ID), spool.Remove(d.spool(spec.ID)))
	}
	return d.status(spec.ID)
}

// start makes everything an instance needs, in order; what fails is taken away
// by the caller.
func (d *Driver) start(ctx context.Context, spec run.Spec) error {
	if err := d.Pull(ctx, spec.Image); err != nil {
		return err
	}
	if err := d.plant(spec); err != nil {
		return err
	}
	if err := spool.Create(d.spool(spec.ID), spool.Meta{
		Instance: string(spec.ID), Group: string(spec.Group), App: string(spec.App), AppName: spec.AppName,
		Space: string(spec.Space), Process: spec.Process, Index: spec.Index, Task: spec.Task,
	}); err != nil {
		return err
	}
	r := record{
		Status: run.Status{
			ID: spec.ID, Group: spec.Group, App: spec.App, Space: spec.Space, Process: spec.Process,
			Index: spec.Index, Task: spec.Task, Phase: run.Running,
		},
		Image: spec.Image.Ref, Memory: spec.Limits.MemoryMiB, DiskMiB: spec.Limits.DiskMiB,
	}
	var held net.Listener
	if spec.Port > 0 {
		var err error
		if held, r.Status.Addr, err = d.holdPort(spec.ID); err != nil {
			return err
		}
		defer held.Close()
	}
	if err := d.writeRecord(r); err != nil {
		return fmt.Errorf("write down instance: %w", err)
	}
	cmd, err := d.command(spec, r.Status.Addr)
	if err != nil {
		return err
	}
	if held != nil {
		held.Close() // handed over; nobody else here is given the same
	}
	return d.launch(spec, cmd)
}

// command is naru-init with the instance's command.
func (d *Driver) command(spec run.Spec, addr netip.AddrPort) (*exec.Cmd, error) {
	cfg, err := d.readConfig(spec.Image.Ref)
	if err != nil {
		return nil, err
	}
	root := d.dir(spec.ID)
	env := environment(spec, cfg, root, addr)
	argv := spec.Command
	if len(argv) == 0 {
		argv = append(slices.Clone(cfg.Entrypoint), cfg.Cmd...)
	}
	if len(argv) == 0 {
		return nil, fault.New(fault.Failed, "command", "the image names no command to run").
			WithTry("give it one: naru push --command ...")
	}
	argv = slices.Clone(argv)
	for i := range argv {
		argv[i] = rewrite(argv[i], root)
	}
	if argv[0], err = lookPath(argv[0], env, root); err != nil {
		return nil, err
	}
	chdir := filepath.Join(root, "app")
	if dir := rewrite(cfg.WorkingDir, root); strings.HasPrefix(dir, root) {
		chdir = dir
	}
	args := []string{"--dir", root, "--chdir", chdir, "--signal", strconv.Itoa(int(stopSignal(cfg.StopSignal)))}
	if spec.IO == nil {
		bound := spec.Limits.LogSpoolMiB
		if bound == 0 {
			bound = run.DefaultLogSpoolMiB
		}
		args = append(args, "--log", d.cfg.LogBinary, "--spool", d.spool(spec.ID),
			"--bound", strconv.Itoa(bound<<20), "--rate", strconv.Itoa(spec.Limits.LogBytesPerSecond),
			"--line", strconv.Itoa(spec.Limits.LogLineBytes))
	} else {
		args = append(args, "--attached")
		if spec.IO.TTY {
			args = append(args, "--tty")
		}
	}
	cmd := exec.Command(d.cfg.InitBinary, append(append(args, "--"), argv...)...)
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C at naru must not reach it
	return cmd, nil
}

// launch starts naru-init and returns when the command runs.
func (d *Driver) launch(spec run.Spec, cmd *exec.Cmd) error {
	ready, said, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	cmd.ExtraFiles = []*os.File{said}
	deliver := func() {}
	if spec.IO != nil {
		if deliver, err = connect(cmd, *spec.IO); err != nil {
			return errors.Join(err, said.Close())
		}
	}
	if err := errors.Join(cmd.Start(), said.Close()); err != nil {
		return fmt.Errorf("start naru-init: %w", err)
	}
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		_ = cmd.Wait() // how the instance ended is in its folder
		deliver()
	}()
	if spec.IO != nil {
		d.mu.Lock()
		d.attached[spec.ID] = delivered
		d.mu.Unlock()
	}
	if why, err := io.ReadAll(ready); err != nil || len(why) > 0 {
		return fault.New(fault.Failed, "command", "cannot run %s: %s", strings.Join(spec.Command, " "), why).WithCause(err)
	}
	return nil
}

// connect gives a command its caller's input and output, through a terminal
// where one is asked for. What it returns waits until all output was handed on.
func connect(cmd *exec.Cmd, x run.IO) (deliver func(), err error) {
	if !x.TTY {
		cmd.Stdout, cmd.Stderr = x.Stdout, x.Stderr
		if x.Stdin == nil {
			return func() {}, nil
		}
		// Not cmd.Stdin: Wait would wait for a reader that has no end.
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		go func() {
			_, _ = io.Copy(in, x.Stdin) // a command need not read all its input
			in.Close()
		}()
		return func() {}, nil
	}
	own, its, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = its, its, its
	if x.Resize != nil {
		resize(own, <-x.Resize)
	}
	done, resizing := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(resizing)
		for {
			select {
			case <-done:
				return
			case s, ok := <-x.Resize:
				if !ok {
					return
				}
				resize(own, s)
			}
		}
	}()
	if x.Stdin != nil {
		go func() { _, _ = io.Copy(own, x.Stdin) }() // ends with the terminal
	}
	out := x.Stdout
	if out == nil {
		out = io.Discard
	}
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(out, own) // ends with an error when nobody has the terminal open any more
		close(copied)
	}()
	return func() {
		its.Close()
		select {
		case <-copied:
		case <-time.After(5 * time.Second):
		}
		close(done)
		<-resizing // it uses the terminal's number, which closing gives away
		own.Close()
	}, nil
}

func resize(tty *os.File, s run.Size) {
	_ = pty.Setsize(tty, &pty.Winsize{Cols: s.Columns, Rows: s.Rows}) // it may have ended meanwhile
}

// stopSignal reads the image's stop signal, a name or a number.
func stopSignal(s string) syscall.Signal {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n)
	}
	if n := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG")); n != 0 {
		return n
	}
	return syscall.SIGTERM
}
