//go:build linux

package containerd

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/run"
)

// Exec runs a command inside a running instance.
func (d *Driver) Exec(ctx context.Context, iid run.InstanceID, x run.ExecSpec) (int, error) {
	ctx = d.ctx(ctx)
	c, err := d.client.LoadContainer(ctx, string(iid))
	if err != nil {
		return 0, fault.New(fault.NotFound, "instance", "instance %s is not known", iid).WithCause(err)
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return 0, fault.New(fault.Conflict, "instance", "instance %s does not run", iid).WithCause(err)
	}
	spec, err := c.Spec(ctx)
	if err != nil {
		return 0, fmt.Errorf("read description of instance %s: %w", iid, err)
	}
	p := *spec.Process
	p.Args, p.Terminal = x.Argv, x.TTY
	if x.TTY {
		p.Env = overlay(p.Env, "TERM=xterm-256color")
		select {
		case s := <-x.Resize: // known before the start: the command never sees another
			p.ConsoleSize = &specs.Box{Width: uint(s.Columns), Height: uint(s.Rows)}
		default:
		}
	}
	p.Env = overlay(p.Env, x.Env.Reveal()...)
	in := newInput(x.Stdin)
	x.Stdin = in.reader()
	process, err := task.Exec(ctx, id.New(), &p, d.attached(x.IO))
	if err != nil {
		return 0, explain(fmt.Errorf("run command: %w", err), run.Spec{Command: x.Argv})
	}
	defer func() {
		if _, err := process.Delete(context.WithoutCancel(ctx), client.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			d.log.WarnContext(ctx, "remove command", "instance", iid, "error", err)
		}
	}()
	return d.converse(ctx, process, x.Argv, x.IO, in)
}

// process is what a task and a further command have in common.
type process interface {
	Start(context.Context) error
	Wait(context.Context) (<-chan client.ExitStatus, error)
	Kill(context.Context, syscall.Signal, ...client.KillOpts) error
	CloseIO(context.Context, ...client.IOCloserOpts) error
	Resize(ctx context.Context, w, h uint32) error
	IO() cio.IO
}

// converse starts a command and carries input, sizes and output until it ends.
func (d *Driver) converse(ctx context.Context, p process, argv []string, x run.IO, in *input) (int, error) {
	ended, err := p.Wait(ctx)
	if err != nil {
		return 0, fmt.Errorf("wait for command: %w", err)
	}
	if err := p.Start(ctx); err != nil {
		return 0, explain(fmt.Errorf("start command: %w", err), run.Spec{Command: argv})
	}
	done := make(chan struct{})
	defer close(done)
	go carry(ctx, p, x, in, done)
	select {
	case <-ctx.Done():
		cleanup := context.WithoutCancel(ctx)
		if err := p.Kill(cleanup, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
			return 0, err
		}
		<-ended
		return 0, ctx.Err()
	case s := <-ended:
		code, _, err := s.Result()
		if err != nil {
			return 0, fmt.Errorf("wait for command: %w", err)
		}
		p.IO().Wait() // all its output was handed on
		return int(code), nil
	}
}

// carry tells a command of the end of its input, of its terminal's sizes and of
// signals, until done.
func carry(ctx context.Context, p process, x run.IO, in *input, done <-chan struct{}) {
	end, sizes, signals := in.ended(), x.Resize, x.Signals
	for {
		select {
		case <-done:
			return
		case <-end:
			_ = p.CloseIO(ctx, client.WithStdinCloser) // it may have ended meanwhile
			end = nil
		case s, ok := <-sizes:
			if !ok {
				sizes = nil
				continue
			}
			_ = p.Resize(ctx, uint32(s.Columns), uint32(s.Rows)) // likewise
		case s, ok := <-signals:
			if !ok {
				signals = nil
				continue
			}
			_ = p.Kill(ctx, syscall.Signal(s)) // likewise
		}
	}
}

// converseWithTask serves an attached task after its start for as long as it
// lives; whoever waits for the task then waits for its output too.
func (d *Driver) converseWithTask(ctx context.Context, iid run.InstanceID, p process, x run.IO, in *input) error {
	ctx = context.WithoutCancel(ctx) // the task outlives the call that starts it
	ended, err := p.Wait(ctx)
	if err != nil {
		return fmt.Errorf("wait for task: %w", err)
	}
	if err := p.Start(ctx); err != nil {
		return fmt.Errorf("start process: %w", err)
	}
	delivered := make(chan struct{})
	d.delivered.Store(iid, delivered)
	done := make(chan struct{})
	go carry(ctx, p, x, in, done)
	go func() {
		<-ended
		close(done)
		p.IO().Wait()
		close(delivered)
	}()
	return nil
}

// waitDelivered blocks until an attached task's output was handed on.
func (d *Driver) waitDelivered(ctx context.Context, iid run.InstanceID) error {
	delivered, ok := d.delivered.Load(iid)
	if !ok {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-delivered.(chan struct{}):
		return nil
	}
}

// overlay returns an environment with lines set over those of the same name.
func overlay(env []string, lines ...string) []string {
	out := slices.Clone(env)
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		out = slices.DeleteFunc(out, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		out = append(out, line)
	}
	return out
}

// attached connects a command to its caller through pipes of its own.
func (d *Driver) attached(x run.IO) cio.Creator {
	if x.Stdout == nil {
		x.Stdout = io.Discard
	}
	if x.Stderr == nil {
		x.Stderr = io.Discard
	}
	opts := []cio.Opt{cio.WithStreams(x.Stdin, x.Stdout, x.Stderr), cio.WithFIFODir(filepath.Join(d.cfg.RunDir, "fifo"))}
	if x.TTY {
		opts = append(opts, cio.WithTerminal)
	}
	return cio.NewCreator(opts...)
}

// input tells when it was read to its end, which containerd must be told before
// the command sees it.
type input struct {
	from io.Reader
	once sync.Once
	end  chan struct{}
}

func newInput(from io.Reader) *input { return &input{from: from, end: make(chan struct{})} }

// reader is nil for no input.
func (in *input) reader() io.Reader {
	if in.from == nil {
		return nil
	}
	return in
}

func (in *input) ended() <-chan struct{} { return in.end }

// Read passes on and notices the end.
func (in *input) Read(p []byte) (int, error) {
	n, err := in.from.Read(p)
	if err != nil {
		in.once.Do(func() { close(in.end) })
	}
	return n, err
}
