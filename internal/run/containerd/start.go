//go:build linux

package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"

	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/run/spool"
)

// Labels of a container: all that is needed to know an instance again.
const (
	labelStatus  = "naru.instance"    // its run.Status as JSON, as far as it never changes
	labelMemory  = "naru.memory-mib"  // its limit, for the words of its end
	labelDisk    = "naru.disk-mib"    // its limit
	labelSignal  = "naru.stop-signal" // the image's
	labelReason  = "naru.reason"      // why it was stopped, where naru did it for a limit
	labelAddress = "naru.address"
)

// startLimit is how long containerd and runc may take to make a process of an
// image that is there. A healthy machine takes a tenth of a second.
const startLimit = time.Minute

// Start runs an instance.
func (d *Driver) Start(ctx context.Context, spec run.Spec) (run.Status, error) {
	if err := spec.Check(); err != nil {
		return run.Status{}, err
	}
	ctx = d.ctx(ctx)
	unlock, err := d.starts.lock(ctx, string(spec.ID))
	if err != nil {
		return run.Status{}, err
	}
	defer unlock()
	if c, err := d.client.LoadContainer(ctx, string(spec.ID)); err == nil {
		st, started, err := d.status(ctx, c)
		if err != nil || started {
			return st, err
		}
		// An earlier attempt died between making the container and starting it.
		if err := d.remove(ctx, spec.ID); err != nil {
			return run.Status{}, err
		}
	} else if !errdefs.IsNotFound(err) {
		return run.Status{}, fmt.Errorf("look for instance %s: %w", spec.ID, err)
	} else if _, err := os.Lstat(d.net.path(spec.ID)); err == nil {
		// An earlier attempt died before it made the container.
		if err := d.remove(ctx, spec.ID); err != nil {
			return run.Status{}, err
		}
	}
	st, err := d.start(ctx, spec)
	if err != nil {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, d.remove(cleanup, spec.ID), os.RemoveAll(d.spool(spec.ID)))
	}
	return st, err
}

// start makes everything an instance needs, in order; what fails is taken away
// by the caller.
func (d *Driver) start(ctx context.Context, spec run.Spec) (run.Status, error) {
	img, err := d.ensure(ctx, spec.Image)
	if err != nil {
		return run.Status{}, err
	}
	if err := spool.Create(d.spool(spec.ID), spool.Meta{
		Instance: string(spec.ID), Group: string(spec.Group), App: string(spec.App), AppName: spec.AppName,
		Space: string(spec.Space), Process: spec.Process, Index: spec.Index, Task: spec.Task,
	}); err != nil {
		return run.Status{}, err
	}
	addr, err := d.net.attach(spec.ID, string(spec.Space))
	if err != nil {
		return run.Status{}, err
	}
	st := run.Status{
		ID: spec.ID, Group: spec.Group, App: spec.App, Space: spec.Space, Process: spec.Process,
		Index: spec.Index, Task: spec.Task, Phase: run.Running,
	}
	if spec.Port > 0 {
		st.Addr = netip.AddrPortFrom(addr, uint16(spec.Port))
	}
	if err := d.writeFiles(spec, addr); err != nil {
		return run.Status{}, err
	}
	making, done := context.WithTimeout(ctx, startLimit)
	defer done()
	c, err := d.create(making, img, spec, st, addr)
	if errdefs.IsNotFound(err) { // the image was taken away by somebody else's hand
		d.known.forget(img.Name())
		if img, err = d.ensure(ctx, spec.Image); err == nil {
			c, err = d.create(making, img, spec, st, addr)
		}
	}
	if err != nil {
		return run.Status{}, explain(err, spec)
	}
	var in *input
	if spec.IO != nil {
		x := *spec.IO
		in = newInput(x.Stdin)
		x.Stdin = in.reader()
		spec.IO = &x
	}
	task, err := c.NewTask(making, d.output(spec))
	if err != nil {
		return run.Status{}, explain(fmt.Errorf("make process: %w", err), spec)
	}
	if spec.IO != nil {
		err = d.converseWithTask(ctx, spec.ID, task, *spec.IO, in)
	} else if err = task.Start(making); err != nil {
		err = fmt.Errorf("start process: %w", err)
	}
	if err != nil {
		return run.Status{}, explain(err, spec)
	}
	st.PID, st.Started = int(task.Pid()), time.Now().UTC()
	return st, nil
}

// create makes the container with its file system.
func (d *Driver) create(ctx context.Context, img *knownImage, spec run.Spec, st run.Status, addr netip.Addr) (client.Container, error) {
	known, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	cfg := img.config
	return d.client.NewContainer(ctx, string(spec.ID),
		client.WithImage(img),
		client.WithSnapshotter(snapshotter),
		client.WithNewSnapshot(string(spec.ID), img),
		client.WithNewSpec(d.options(img, cfg.Config, spec, addr)...),
		client.WithAdditionalContainerLabels(map[string]string{
			labelStatus: string(known), labelMemory: strconv.Itoa(spec.Limits.MemoryMiB), labelDisk: strconv.Itoa(spec.Limits.DiskMiB),
			labelSignal: cfg.Config.StopSignal, labelAddress: addr.String(),
		}),
	)
}

// output connects an instance to its log helper, or an attached task to its
// caller.
func (d *Driver) output(spec run.Spec) cio.Creator {
	if spec.IO != nil {
		return d.attached(*spec.IO)
	}
	args := map[string]string{"--dir": d.spool(spec.ID)}
	if n := spec.Limits.LogSpoolMiB; n > 0 {
		args["--bound"] = strconv.Itoa(n << 20)
	}
	if n := spec.Limits.LogBytesPerSecond; n > 0 {
		args["--rate"] = strconv.Itoa(n)
	}
	if n := spec.Limits.LogLineBytes; n > 0 {
		args["--line"] = strconv.Itoa(n)
	}
	return func(string) (cio.IO, error) {
		u := &url.URL{Scheme: "binary", Path: d.cfg.LogBinary}
		q := u.Query()
		for k, v := range args {
			q.Set(k, v)
		}
		u.RawQuery = q.Encode()
		return &logged{uri: u.String()}, nil
	}
}

// logged is the IO of an instance whose output goes to its helper.
type logged struct{ uri string }

func (l *logged) Config() cio.Config { return cio.Config{Stdout: l.uri, Stderr: l.uri} }
func (l *logged) Cancel()            {}
func (l *logged) Wait()              {}
func (l *logged) Close() error       { return nil }

// explain turns what runc says into words for people, where they can do
// something about it.
func explain(err error, spec run.Spec) error {
	text := err.Error()
	command := strings.Join(spec.Command, " ")
	if command == "" {
		command = "the image's own command"
	}
	switch {
	case fault.Of(err).Kind != fault.Internal:
		return err
	case strings.Contains(text, "chdir to cwd"):
		return fault.New(fault.Failed, "command", "%s cannot run: the folder it starts in is not there", command).
			WithTry("look whether the app removed it: naru run APP -- ls -la /").WithCause(err)
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory") && strings.Contains(text, "exec"):
		return fault.New(fault.Failed, "command", "there is no such program in the image: %s", command).
			WithTry("look inside: naru run APP -- ls /app").WithCause(err)
	case strings.Contains(text, "permission denied") && strings.Contains(text, "exec"):
		return fault.New(fault.Failed, "command", "%s may not be executed by the image's user", command).
			WithTry("make it executable (chmod +x) and push again").WithCause(err)
	case strings.Contains(text, "no command"), strings.Contains(text, "args must not be empty"):
		return fault.New(fault.Failed, "command", "the image names no command to run").
			WithTry("give it one: naru push --command ...").WithCause(err)
	}
	return err
}
