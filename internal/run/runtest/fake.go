package runtest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/run/runtest/behave"
)

// Fake is a run.Driver in memory. Instances of the test app behave as package
// behave says, and really answer on a port of their own on 127.0.0.1; instances
// of any other command run until they are stopped or told to Exit.
type Fake struct {
	mu        sync.Mutex
	instances map[run.InstanceID]*instance
	images    map[artifact.Ref]run.LocalImage
	fail      map[string][]error
	watchers  map[int]func(run.Status)
	next      int
}

var _ run.Driver = (*Fake)(nil)

type instance struct {
	spec   run.Spec
	status run.Status
	term   chan struct{}
	once   sync.Once     // closes term
	ended  chan struct{} // closed when status.Exit is set
	kill   func(code, signal int, oom bool)
	output tail
	listen net.Listener
}

// NewDriver makes a fake with nothing running.
func NewDriver() *Fake {
	return &Fake{
		instances: map[run.InstanceID]*instance{}, images: map[artifact.Ref]run.LocalImage{},
		fail: map[string][]error{}, watchers: map[int]func(run.Status){},
	}
}

// FailNext makes the next call of a method (start, stop, remove, list, exec,
// usage, pull, sweep) fail.
func (f *Fake) FailNext(method string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[method] = append(f.fail[method], err)
}

// Exit ends an instance as if by itself.
func (f *Fake) Exit(id run.InstanceID, code int) { f.end(id, code, 0, false) }

// OOM ends an instance as the kernel does for its memory.
func (f *Fake) OOM(id run.InstanceID) { f.end(id, 137, 9, true) }

func (f *Fake) end(id run.InstanceID, code, signal int, oom bool) {
	if i := f.find(id); i != nil {
		i.kill(code, signal, oom)
	}
}

// Spec returns what an instance was started with.
func (f *Fake) Spec(id run.InstanceID) (run.Spec, bool) {
	if i := f.find(id); i != nil {
		return i.spec, true
	}
	return run.Spec{}, false
}

func (f *Fake) find(id run.InstanceID) *instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.instances[id]
}

// failing takes the error that was ordered for a method.
func (f *Fake) failing(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.fail[method]) == 0 {
		return nil
	}
	err := f.fail[method][0]
	f.fail[method] = f.fail[method][1:]
	return err
}

// Name is fake.
func (f *Fake) Name() string { return "fake" }

// Notice says that nothing is real.
func (f *Fake) Notice() string { return "nothing runs outside of this process" }

// Start runs an instance.
func (f *Fake) Start(ctx context.Context, spec run.Spec) (run.Status, error) {
	if err := cmp.Or(spec.Check(), f.failing("start"), ctx.Err()); err != nil {
		return run.Status{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i, ok := f.instances[spec.ID]; ok {
		return i.status, nil
	}
	if spec.Image.Host == MissingHost {
		return run.Status{}, fault.New(fault.NotFound, "image", "there is no image %s", spec.Image.Ref)
	}
	argv := spec.Command
	if len(argv) == 0 {
		argv = []string{TestApp}
	}
	if strings.HasPrefix(argv[0], "/missing") {
		return run.Status{}, fault.New(fault.Failed, "command", "there is no %s in the image", argv[0])
	}
	i := &instance{spec: spec, term: make(chan struct{}), ended: make(chan struct{})}
	i.status = run.Status{
		ID: spec.ID, Group: spec.Group, App: spec.App, Space: spec.Space, Process: spec.Process, Index: spec.Index,
		Task: spec.Task, Phase: run.Running, PID: 1000 + f.next, Started: time.Now(),
	}
	if spec.Port > 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return run.Status{}, err
		}
		i.listen, i.status.Addr = l, netip.MustParseAddrPort(l.Addr().String())
		if len(argv) > 1 && argv[1] == "exit" {
			l.Close() // it never listens, so nobody may get through to it before it ends
		}
	}
	f.next++
	f.instances[spec.ID] = i
	f.images[spec.Image.Ref] = run.LocalImage{Ref: spec.Image.Ref, Bytes: 1, Since: time.Now()}
	var once sync.Once
	i.kill = func(code, signal int, oom bool) { once.Do(func() { f.ended(i, code, signal, oom) }) }
	if argv[0] == TestApp {
		go func() { i.kill(behave.Run(i.proc(argv[1:], i.io())), 0, false) }()
	}
	return i.status, nil
}

// ended writes down an end and tells the watchers.
func (f *Fake) ended(i *instance, code, signal int, oom bool) {
	f.mu.Lock()
	i.status.Phase, i.status.PID = run.Exited, 0
	i.status.Exit = &run.Exit{
		Code: code, Signal: signal, OOM: oom, At: time.Now(), LastLines: i.output.last(run.LastLines),
		Reason: run.Reason(code, signal, oom, i.spec.Limits.MemoryMiB),
	}
	if i.listen != nil {
		i.listen.Close()
	}
	status := i.status
	watchers := slices.Collect(maps.Values(f.watchers))
	f.mu.Unlock()
	i.once.Do(func() { close(i.term) })
	close(i.ended)
	for _, w := range watchers {
		w(status)
	}
}

func (i *instance) io() run.IO {
	if i.spec.IO != nil {
		return *i.spec.IO
	}
	return run.IO{Stdout: &i.output, Stderr: &i.output}
}

// proc is the world of the test app inside this process.
func (i *instance) proc(args []string, x run.IO) behave.Proc {
	env := i.spec.Env
	p := behave.Proc{
		Args: args, Stdin: x.Stdin, Stdout: x.Stdout, Stderr: x.Stderr, Term: i.term,
		Env: func(name string) string {
			switch v, ok := env[name]; {
			case ok:
				return v.Reveal()
			case name == "PORT" && i.status.Addr.IsValid():
				return fmt.Sprint(i.status.Addr.Port())
			case name == "FROM_IMAGE":
				return "yes"
			}
			return ""
		},
		Listen: func(addr string) (net.Listener, error) {
			if i.listen == nil {
				return net.Listen("tcp", "127.0.0.1:0")
			}
			return i.listen, nil
		},
	}
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	if p.Stdout == nil {
		p.Stdout = io.Discard
	}
	if p.Stderr == nil {
		p.Stderr = io.Discard
	}
	if x.TTY {
		p.Stderr = p.Stdout
		var mu sync.Mutex
		size := run.Size{}
		resized := make(chan struct{}, 8)
		if x.Resize != nil {
			size = <-x.Resize
			go func() {
				for s := range x.Resize {
					mu.Lock()
					size = s
					mu.Unlock()
					resized <- struct{}{}
				}
			}()
		}
		p.Resized = resized
		p.Size = func() string {
			mu.Lock()
			defer mu.Unlock()
			return fmt.Sprintf("%dx%d", size.Columns, size.Rows)
		}
	}
	return p
}

// Stop ends an instance, at once if it behaves badly.
func (f *Fake) Stop(ctx context.Context, id run.InstanceID, grace time.Duration) error {
	if err := f.failing("stop"); err != nil {
		return err
	}
	i := f.find(id)
	if i == nil {
		return nil
	}
	i.once.Do(func() { close(i.term) })
	argv := i.spec.Command
	if len(argv) > 0 && argv[0] != TestApp {
		i.kill(143, 15, false)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-i.ended:
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		i.kill(137, 9, false)
	}
	<-i.ended
	return nil
}

// Remove makes an instance unknown.
func (f *Fake) Remove(ctx context.Context, id run.InstanceID) error {
	if err := f.failing("remove"); err != nil {
		return err
	}
	if i := f.find(id); i != nil {
		i.kill(137, 9, false)
		<-i.ended
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.instances, id)
	return nil
}

// Wait returns how an instance ended.
func (f *Fake) Wait(ctx context.Context, id run.InstanceID) (run.Exit, error) {
	i := f.find(id)
	if i == nil {
		return run.Exit{}, fault.New(fault.NotFound, "instance", "there is no instance %s", id)
	}
	select {
	case <-ctx.Done():
		return run.Exit{}, ctx.Err()
	case <-i.ended:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return *i.status.Exit, nil
}

// List returns all instances.
func (f *Fake) List(context.Context) ([]run.Status, error) {
	if err := f.failing("list"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []run.Status{}
	for _, id := range slices.Sorted(maps.Keys(f.instances)) {
		out = append(out, f.instances[id].status)
	}
	return out, nil
}

// Watch tells of ends.
func (f *Fake) Watch(ctx context.Context, ended func(run.Status)) error {
	f.mu.Lock()
	f.next++
	key := f.next
	f.watchers[key] = ended
	f.mu.Unlock()
	<-ctx.Done()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watchers, key)
	return nil
}

// Usage returns made-up figures of a running instance.
func (f *Fake) Usage(_ context.Context, id run.InstanceID) (run.Usage, error) {
	if err := f.failing("usage"); err != nil {
		return run.Usage{}, err
	}
	if i := f.find(id); i == nil {
		return run.Usage{}, fault.New(fault.NotFound, "instance", "there is no instance %s", id)
	}
	return run.Usage{MemoryBytes: 10 << 20, DiskBytes: 1 << 20, CPU: time.Second, PIDs: 3}, nil
}

// Load is Usage without the disk.
func (f *Fake) Load(ctx context.Context, id run.InstanceID) (run.Usage, error) {
	u, err := f.Usage(ctx, id)
	u.DiskBytes = 0
	return u, err
}

// Listening returns the instance's own address.
func (f *Fake) Listening(_ context.Context, id run.InstanceID) ([]netip.AddrPort, error) {
	i := f.find(id)
	if i == nil {
		return nil, fault.New(fault.NotFound, "instance", "there is no instance %s", id)
	}
	if i.listen == nil {
		return nil, nil
	}
	return []netip.AddrPort{i.status.Addr}, nil
}

// Exec runs the test app once more.
func (f *Fake) Exec(ctx context.Context, id run.InstanceID, x run.ExecSpec) (int, error) {
	if err := f.failing("exec"); err != nil {
		return 0, err
	}
	i := f.find(id)
	if i == nil || i.status.Exit != nil {
		return 0, fault.New(fault.NotFound, "instance", "instance %s does not run", id)
	}
	if len(x.Argv) == 0 || x.Argv[0] != TestApp {
		return 0, fault.New(fault.Failed, "command", "there is no %q in the image", x.Argv)
	}
	ended := make(chan int, 1)
	go func() { ended <- behave.Run(i.proc(x.Argv[1:], x.IO)) }()
	select {
	case code := <-ended:
		return code, nil
	case signal := <-x.Signals:
		return 128 + signal, nil // what still runs ends with its input
	}
}

// Dial connects to the instance itself, whatever its address is called inside.
func (f *Fake) Dial(ctx context.Context, id run.InstanceID, _ string) (net.Conn, error) {
	if err := f.failing("dial"); err != nil {
		return nil, err
	}
	i := f.find(id)
	if i == nil || i.status.Exit != nil {
		return nil, fault.New(fault.NotFound, "instance", "instance %s does not run", id)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", i.status.Addr.String())
}

// Pull makes an image present.
func (f *Fake) Pull(_ context.Context, img run.Image) error {
	if err := f.failing("pull"); err != nil {
		return err
	}
	if img.Host == MissingHost {
		return fault.New(fault.NotFound, "image", "there is no image %s", img.Ref)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[img.Ref] = run.LocalImage{Ref: img.Ref, Bytes: 1, Since: time.Now()}
	return nil
}

// Images returns what was pulled.
func (f *Fake) Images(context.Context) ([]run.LocalImage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.images), func(a, b run.LocalImage) int {
		return strings.Compare(a.Ref.String(), b.Ref.String())
	}), nil
}

// RemoveImage forgets an image.
func (f *Fake) RemoveImage(_ context.Context, ref artifact.Ref) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.instances {
		if i.spec.Image.Ref == ref {
			return fault.New(fault.Conflict, "image", "instance %s uses %s", i.spec.ID, ref)
		}
	}
	delete(f.images, ref)
	return nil
}

// Sweep removes instances that are not wanted.
func (f *Fake) Sweep(ctx context.Context, keep func(run.InstanceID) bool) (removed []run.InstanceID, err error) {
	if err := f.failing("sweep"); err != nil {
		return nil, err
	}
	all, err := f.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, st := range all {
		if !keep(st.ID) {
			if err := f.Remove(ctx, st.ID); err != nil {
				return removed, err
			}
			removed = append(removed, st.ID)
		}
	}
	return removed, nil
}

// Teardown removes everything.
func (f *Fake) Teardown(ctx context.Context) error {
	_, err := f.Sweep(ctx, func(run.InstanceID) bool { return false })
	return err
}

// tail keeps output in memory.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.Write(b)
}

func (t *tail) last(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSuffix(t.buf.String(), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(0, len(lines)-n):]
}
