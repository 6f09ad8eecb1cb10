package operate_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/backoff"
	"naru/internal/event"
	"naru/internal/id"
	"naru/internal/operate"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/run/runtest"
	"naru/internal/store"
)

// rig is a keeper over a real store and a driver in memory, inside a bubble of
// testing/synctest: time stands still while somebody works.
type rig struct {
	*store.Store
	t       *testing.T
	driver  *runtest.Fake
	router  *router
	app     app.App
	release release.Release
	group   run.Group
	commits atomic.Int64
	stop    func() // ends the keeper; instances go on
}

// inBubble runs a test with a group of a worker at a size.
func inBubble(t *testing.T, size int, test func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, driver: runtest.NewDriver(), router: &router{}}
		st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), store.Options{AfterCommit: r.commits.Store})
		must(t, err)
		defer func() { must(t, st.Close()) }()
		r.Store = st
		_, space, err := st.Bootstrap(t.Context())
		must(t, err)
		happened := event.Event{Kind: "test.made", Actor: event.System, Subject: "shop"}
		r.app, err = st.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: space.ID, Name: "shop", Slug: "shop", State: app.Started}, happened)
		must(t, err)
		img := artifact.Image{
			ID: artifact.ID(id.New()), App: r.app.ID, Processes: []app.Process{{Type: "worker"}},
			Ref: artifact.Ref{Repository: "default/dev/shop", Digest: "sha256:" + strings.Repeat("a", 64)},
		}
		r.release, err = st.CutRelease(t.Context(), r.app.ID, func(number int, now time.Time) (release.Release, error) {
			return release.Cut(r.app, img, number, "push", "ada", now)
		}, happened)
		must(t, err)
		r.group, err = st.CreateGroup(t.Context(), run.Group{App: r.app.ID, Process: "worker", Release: r.release.ID, Size: size})
		must(t, err)
		r.start()
		defer func() { r.stop() }()
		test(t, r)
	})
}

// start runs a keeper, as a control plane that comes up does.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	k := operate.NewKeeper(r.Store, r.driver, r, r.router, operate.Options{
		Policy: run.Policy{Restart: backoff.Policy{First: time.Second, Max: 5 * time.Second}, Unhealthy: 30 * time.Second},
		Starts: 2, DrainTimeout: time.Minute, DrainUpgrade: 5 * time.Minute, FullPass: 30 * time.Second, SweepPatience: time.Second,
	}, slog.New(slog.NewTextHandler(r.t.Output(), nil)))
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	r.stop = sync.OnceFunc(func() { cancel(); must(r.t, <-ended) })
	synctest.Wait()
}

// Spec starts what runs until it is told to end.
func (r *rig) Spec(_ context.Context, g run.Group, i run.Instance) (run.Spec, app.Process, error) {
	return run.Spec{
		ID: i.ID, Group: g.ID, App: g.App, AppName: "shop", Space: g.Space, Release: g.Release, Process: g.Process,
		Index: i.Index, Command: []string{"/app/worker"}, Image: run.Image{Ref: r.release.Image, Host: "registry.test"},
	}, app.Process{Type: "worker", Health: app.Health{Check: app.CheckProcess}, StopGrace: app.Duration(10 * time.Second)}, nil
}

// after lets time pass until everybody waits again.
func (r *rig) after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// states are the group's instances as "index state", those gone left out.
func (r *rig) states() (out []string) {
	r.t.Helper()
	for _, i := range r.instances() {
		out = append(out, string(rune('0'+i.Index))+" "+string(i.State))
	}
	return out
}

func (r *rig) instances() []run.Instance {
	r.t.Helper()
	all, err := r.InstancesIn(r.t.Context(), r.group.ID)
	must(r.t, err)
	return all
}

// at returns the instance at an index.
func (r *rig) at(index int) run.Instance {
	r.t.Helper()
	for _, i := range r.instances() {
		if i.Index == index {
			return i
		}
	}
	r.t.Fatalf("nobody is at index %d: %v", index, r.states())
	return run.Instance{}
}

// want fails unless the instances are in these states.
func (r *rig) want(states ...string) {
	r.t.Helper()
	if got := r.states(); !slices.Equal(got, states) {
		r.t.Fatalf("instances are %q, want %q", got, states)
	}
}

// running are the indexes of what the driver runs.
func (r *rig) running() (out []int) {
	r.t.Helper()
	all, err := r.driver.List(r.t.Context())
	must(r.t, err)
	for _, s := range all {
		if s.Phase == run.Running {
			out = append(out, s.Index)
		}
	}
	slices.Sort(out)
	return out
}

func (r *rig) resize(size int) {
	r.t.Helper()
	_, err := r.ResizeGroup(r.t.Context(), r.group.ID, size)
	must(r.t, err)
	synctest.Wait()
}

// router acknowledges every table; requests are at an instance while busy holds
// a channel, which ends them when it is closed, and so with streams.
type router struct {
	mu      sync.Mutex
	busy    chan struct{}
	streams chan struct{}
	idle    []run.InstanceID // asked about
}

func (r *router) Sync(ctx context.Context) error { return ctx.Err() }

func (r *router) Idle(ctx context.Context, id run.InstanceID) error {
	if err := r.Answered(ctx, id); err != nil {
		return err
	}
	r.mu.Lock()
	streams := r.streams
	r.mu.Unlock()
	return ended(ctx, streams)
}

func (r *router) Answered(ctx context.Context, id run.InstanceID) error {
	r.mu.Lock()
	busy := r.busy
	r.idle = append(r.idle, id)
	r.mu.Unlock()
	return ended(ctx, busy)
}

func (r *router) Streams(run.InstanceID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	return ended(now, r.streams) != nil
}

// ended waits for what is in flight.
func ended(ctx context.Context, flight <-chan struct{}) error {
	if flight == nil {
		return nil
	}
	select {
	case <-flight:
		return nil
	default:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-flight:
		return nil
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
