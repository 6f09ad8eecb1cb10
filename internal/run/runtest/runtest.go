// Package runtest holds the suite that every run.Driver passes, a driver in
// memory, and what tests of drivers need: a test app in an image, and a look at
// what was left behind.
package runtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/run"
)

// TestApp is the test app's path in its image.
const TestApp = "/app/testapp"

// MissingHost is a registry that is not there.
const MissingHost = "127.0.0.1:1"

// Fixture is what the suite needs beside a driver.
type Fixture struct {
	Image   run.Image                   // of the test app; see AppImage
	Reopen  func(*testing.T) run.Driver // a new driver on the same data, as after a restart of naru; nil: skipped
	Engine  func(*testing.T)            // kills what the driver stands on with -9 and starts it again; nil: skipped
	Network bool                        // instances have a network of their own, which is counted
	Missing map[string]string           // rows this driver cannot pass by design, with the reason
}

// row is one promise.
type row struct {
	name string
	test func(*testing.T, run.Driver, Fixture)
}

// rows are all promises of the contract.
var rows = []row{
	{"start, list, stop, remove, each twice", lifecycle},
	{"environment and port", environment},
	{"exit code", exitCode},
	{"crash keeps its last 20 lines", crash},
	{"out of memory", outOfMemory},
	{"stop kills after the grace", stubborn},
	{"stop takes children along", children},
	{"watch tells of ends", watch},
	{"driver restarted finds instances", restarted},
	{"driver restarted, instance then exits 3", restartedThenExits},
	{"engine killed leaves instances running", engineKilled},
	{"exec returns exit code and 10 MB unchanged", execBytes},
	{"exec with a terminal that is resized", execTerminal},
	{"exec whose command gets a signal", execSignal},
	{"connections from inside", dial},
	{"task with input and output", task},
	{"unknown image and unknown command", cannotStart},
	{"many starts at once", manyStarts},
	{"sweep removes what is not wanted", sweep},
	{"disk limit", diskLimit},
	{"images", images},
	{"usage and listening", usage},
}

// Driver runs the suite. open returns a driver with nothing running; the suite
// removes what it starts.
func Driver(t *testing.T, open func(*testing.T) (run.Driver, Fixture)) {
	d, f := open(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if why, missing := f.Missing[r.name]; missing {
				t.Skip(why)
			}
			r.test(t, d, f)
			all, err := d.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range all {
				must(t, d.Remove(t.Context(), st.ID))
			}
		})
	}
}

// Spec is a spec of the test app behaving as args say; without any it serves.
func Spec(f Fixture, args ...string) run.Spec {
	s := run.Spec{
		ID: run.InstanceID(id.New()), Group: "group-1", App: "app-1", AppName: "shop", Space: "space-1", Release: "release-1",
		Process: "web", Image: f.Image, Env: run.PlainEnv(map[string]string{"GREETING": "hello there"}), Port: 8080,
		Limits: run.Limits{MemoryMiB: 64, CPUMilli: 1000, PIDs: 64, DiskMiB: 16},
	}
	if len(args) > 0 {
		s.Command = append([]string{TestApp}, args...)
	}
	return s
}

func lifecycle(t *testing.T, d run.Driver, f Fixture) {
	spec := Spec(f)
	st := start(t, d, spec)
	if st.ID != spec.ID || st.Phase != run.Running || st.PID == 0 || !st.Addr.IsValid() || st.Started.IsZero() {
		t.Errorf("started as %+v", st)
	}
	if body := get(t, st, "/"); body != "hello" {
		t.Errorf("answers %q", body)
	}
	again, err := d.Start(t.Context(), spec)
	if err != nil || again.PID != st.PID || again.Addr != st.Addr {
		t.Errorf("second start: %+v, %v, want %+v", again, err, st)
	}
	all, err := d.List(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != spec.ID || all[0].Group != spec.Group || all[0].Space != spec.Space || all[0].Addr != st.Addr {
		t.Errorf("List = %+v, %v", all, err)
	}
	must(t, d.Stop(t.Context(), spec.ID, 5*time.Second))
	must(t, d.Stop(t.Context(), spec.ID, 5*time.Second))
	ended, err := d.Wait(t.Context(), spec.ID)
	if err != nil || ended.Code != 0 {
		t.Errorf("stopped in peace: %+v, %v", ended, err)
	}
	if st, err := d.Start(t.Context(), spec); err != nil || st.Phase != run.Exited {
		t.Errorf("an id that ended was started again: %+v, %v", st, err)
	}
	must(t, d.Remove(t.Context(), spec.ID))
	must(t, d.Remove(t.Context(), spec.ID))
	must(t, d.Stop(t.Context(), spec.ID, time.Second))
	if all, err := d.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after remove: %+v, %v", all, err)
	}
	if _, err := d.Wait(t.Context(), spec.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("wait for what is gone: %v", err)
	}
}

func environment(t *testing.T, d run.Driver, f Fixture) {
	st := start(t, d, Spec(f))
	for name, want := range map[string]string{"GREETING": "hello there", "FROM_IMAGE": "yes", "PORT": fmt.Sprint(st.Addr.Port())} {
		if got := get(t, st, "/env?name="+name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func exitCode(t *testing.T, d run.Driver, f Fixture) {
	st := start(t, d, Spec(f, "exit", "3"))
	x := wait(t, d, st.ID)
	if x.Code != 3 || x.Signal != 0 || x.OOM || x.Reason != "exit 3" || time.Since(x.At).Abs() > time.Minute {
		t.Errorf("ended as %+v", x)
	}
}

func crash(t *testing.T, d run.Driver, f Fixture) {
	x := wait(t, d, start(t, d, Spec(f, "crash")).ID)
	if len(x.LastLines) != run.LastLines || x.LastLines[0] != "line 11" || x.LastLines[19] != "line 30" || x.Code != 3 {
		t.Errorf("ended as %+v", x)
	}
}

func outOfMemory(t *testing.T, d run.Driver, f Fixture) {
	spec := Spec(f, "eat", "200")
	x := wait(t, d, start(t, d, spec).ID)
	if !x.OOM || x.Reason != "out of memory at 64 MiB" || x.Code != 137 {
		t.Errorf("ended as %+v", x)
	}
}

func stubborn(t *testing.T, d run.Driver, f Fixture) {
	st := start(t, d, Spec(f, "stubborn"))
	get(t, st, "/")
	must(t, d.Stop(t.Context(), st.ID, 100*time.Millisecond))
	if x := wait(t, d, st.ID); x.Code != 137 || x.Signal != 9 {
		t.Errorf("ended as %+v", x)
	}
}

func children(t *testing.T, d run.Driver, f Fixture) {
	st := start(t, d, Spec(f, "parent"))
	get(t, st, "/")
	must(t, d.Stop(t.Context(), st.ID, 5*time.Second))
	if left := processes("stubborn-child"); len(left) > 0 {
		t.Errorf("children are left: %v", left)
	}
}

func watch(t *testing.T, d run.Driver, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan run.Status, 64)
	done := make(chan error, 1)
	go func() { done <- d.Watch(ctx, func(st run.Status) { seen <- st }) }()
	// Whether Watch already watches cannot be seen from outside, so instances end
	// until it tells of one.
	deadline := time.After(90 * time.Second)
	for told := false; !told; {
		st := start(t, d, Spec(f, "exit", "4"))
		wait(t, d, st.ID)
		select {
		case got := <-seen:
			told = true
			if got.Exit == nil || got.Exit.Code != 4 || got.Phase != run.Exited {
				t.Errorf("told of %+v", got)
			}
		case <-time.After(time.Second):
		case <-deadline:
			t.Fatal("nothing was told of")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watch = %v", err)
	}
}

func restarted(t *testing.T, d run.Driver, f Fixture) {
	if f.Reopen == nil {
		t.Skip("this driver is one process with its instances")
	}
	st := start(t, d, Spec(f))
	get(t, st, "/")
	second := f.Reopen(t)
	all, err := second.List(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != st.ID || all[0].PID != st.PID || all[0].Addr != st.Addr || all[0].Phase != run.Running {
		t.Errorf("found %+v, %v, want %+v", all, err, st)
	}
	if body := get(t, st, "/"); body != "hello" {
		t.Errorf("answers %q", body)
	}
	must(t, second.Stop(t.Context(), st.ID, 5*time.Second))
}

func restartedThenExits(t *testing.T, d run.Driver, f Fixture) {
	if f.Reopen == nil {
		t.Skip("this driver is one process with its instances")
	}
	st := start(t, d, Spec(f))
	get(t, st, "/")
	second := f.Reopen(t)
	get(t, st, "/exit?code=3")
	if x := wait(t, second, st.ID); x.Code != 3 || !slices.Contains(x.LastLines, "listening") {
		t.Errorf("ended as %+v", x)
	}
}

func engineKilled(t *testing.T, d run.Driver, f Fixture) {
	if f.Engine == nil {
		t.Skip("this driver stands on nothing that could be killed")
	}
	st := start(t, d, Spec(f))
	get(t, st, "/")
	f.Engine(t)
	if body := get(t, st, "/"); body != "hello" {
		t.Errorf("answers %q", body)
	}
	get(t, st, "/exit?code=3")
	if x := wait(t, d, st.ID); x.Code != 3 {
		t.Errorf("ended as %+v", x)
	}
}

func task(t *testing.T, d run.Driver, f Fixture) {
	spec := Spec(f, "echo")
	var out bytes.Buffer
	spec.Task, spec.Port, spec.Group = true, 0, ""
	spec.IO = &run.IO{Stdin: strings.NewReader("over there\n"), Stdout: &out}
	st := start(t, d, spec)
	if x := wait(t, d, st.ID); x.Code != 0 || out.String() != "over there\n" {
		t.Errorf("ended as %+v with %q", x, out.String())
	}
	plain := Spec(f, "print", "done", "it")
	plain.Task, plain.Port, plain.Group = true, 0, ""
	if x := wait(t, d, start(t, d, plain).ID); x.Code != 0 || !slices.Equal(x.LastLines, []string{"done it"}) {
		t.Errorf("ended as %+v", x)
	}
}

func cannotStart(t *testing.T, d run.Driver, f Fixture) {
	missing := Spec(f, "serve")
	missing.Command[0] = "/missing/command"
	if _, err := d.Start(t.Context(), missing); !fault.Is(err, fault.Failed) {
		t.Errorf("a missing command: %v", err)
	}
	nowhere := Spec(f)
	nowhere.Image.Ref = artifact.Ref{Repository: "runtest/none", Digest: "sha256:" + strings.Repeat("0", 64)}
	if f.Image.Host == "" {
		nowhere.Image.Host = MissingHost
	}
	if _, err := d.Start(t.Context(), nowhere); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing image: %v", err)
	}
	if all, err := d.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("something is left: %+v, %v", all, err)
	}
	missing.Command = nil
	start(t, d, missing) // the same id starts when the cause is gone
}

func manyStarts(t *testing.T, d run.Driver, f Fixture) {
	const n = 12
	var wg sync.WaitGroup
	statuses := make([]run.Status, n)
	errs := make([]error, n)
	for i := range n {
		spec := Spec(f)
		spec.Index = i
		wg.Go(func() { statuses[i], errs[i] = d.Start(t.Context(), spec) })
	}
	wg.Wait()
	addrs := map[string]bool{}
	for i, st := range statuses {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		addrs[st.Addr.String()] = true
		get(t, st, "/")
	}
	if len(addrs) != n {
		t.Errorf("%d instances share %d addresses", n, len(addrs))
	}
	for _, st := range statuses {
		wg.Go(func() {
			if err := d.Remove(t.Context(), st.ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func sweep(t *testing.T, d run.Driver, f Fixture) {
	kept, gone := start(t, d, Spec(f)), start(t, d, Spec(f))
	removed, err := d.Sweep(t.Context(), func(id run.InstanceID) bool { return id == kept.ID })
	if err != nil || !slices.Equal(removed, []run.InstanceID{gone.ID}) {
		t.Errorf("Sweep = %v, %v, want %s", removed, err, gone.ID)
	}
	if body := get(t, kept, "/"); body != "hello" {
		t.Errorf("the kept one answers %q", body)
	}
}

func diskLimit(t *testing.T, d run.Driver, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Watch(ctx, func(run.Status) {}) }()
	x := wait(t, d, start(t, d, Spec(f, "write", "20")).ID)
	if x.Reason != "disk 16 MiB exceeded" {
		t.Errorf("ended as %+v", x)
	}
	cancel()
	must(t, <-done)
}

func images(t *testing.T, d run.Driver, f Fixture) {
	must(t, d.Pull(t.Context(), f.Image))
	st := start(t, d, Spec(f))
	if err := d.RemoveImage(t.Context(), f.Image.Ref); !fault.Is(err, fault.Conflict) {
		t.Errorf("removing what is used: %v", err)
	}
	must(t, d.Remove(t.Context(), st.ID))
	all, err := d.Images(t.Context())
	if err != nil || !slices.ContainsFunc(all, func(i run.LocalImage) bool { return i.Ref == f.Image.Ref && i.Bytes > 0 }) {
		t.Errorf("Images = %+v, %v", all, err)
	}
	must(t, d.RemoveImage(t.Context(), f.Image.Ref))
	must(t, d.RemoveImage(t.Context(), f.Image.Ref))
	if all, err := d.Images(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after removing: %+v, %v", all, err)
	}
}

func usage(t *testing.T, d run.Driver, f Fixture) {
	st := start(t, d, Spec(f))
	get(t, st, "/")
	u, err := d.Usage(t.Context(), st.ID)
	if err != nil || u.MemoryBytes <= 0 || u.PIDs <= 0 {
		t.Errorf("Usage = %+v, %v", u, err)
	}
	load, err := d.Load(t.Context(), st.ID)
	if err != nil || load.MemoryBytes <= 0 || load.PIDs <= 0 || load.CPU < u.CPU || load.DiskBytes != 0 {
		t.Errorf("Load = %+v, %v after %+v", load, err, u)
	}
	if f.Network && (load.Received <= 0 || load.Sent <= 0) {
		t.Errorf("an instance that answered over its network has %+v", load)
	}
	if _, err := d.Load(t.Context(), run.InstanceID(id.New())); !fault.Is(err, fault.NotFound) {
		t.Errorf("Load of nothing = %v", err)
	}
	addrs, err := d.Listening(t.Context(), st.ID)
	if err != nil || len(addrs) != 1 || addrs[0].Port() != st.Addr.Port() {
		t.Errorf("Listening = %v, %v, want port %d", addrs, err, st.Addr.Port())
	}
}

func start(t testing.TB, d run.Driver, spec run.Spec) run.Status {
	t.Helper()
	st, err := d.Start(t.Context(), spec)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	return st
}

func wait(t testing.TB, d run.Driver, id run.InstanceID) run.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	x, err := d.Wait(ctx, id)
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	return x
}

// get asks an instance, for as long as it takes to listen.
func get(t testing.TB, st run.Status, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for deadline := time.Now().Add(time.Minute); ; {
		res, err := client.Get("http://" + st.Addr.String() + path)
		if err == nil {
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			must(t, err)
			return string(body)
		}
		if time.Now().After(deadline) {
			t.Fatalf("instance does not answer: %v", err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
