package deliver_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/pipeline/operation"
)

// failed follows an operation that must fail.
func (p *platform) failed(t *testing.T, op operation.Operation, err error) operation.Operation {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	end := p.await(t, op)
	if end.State != operation.Failed {
		t.Fatalf("%s is %s, want failed", op.Kind, end.State)
	}
	return end
}

func (p *platform) app(t *testing.T, id app.ID) app.App {
	t.Helper()
	a, err := p.store.App(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// bad is a push that does not work and changes everything that a push can.
func bad() client.Push {
	in := push("exit 3")
	in.Env = map[string]string{"COLOR": "green", "NEW": "1", "TOKEN": "plain"}
	two := 2
	in.Processes = map[string]client.PushedProcess{
		app.Web:  {Instances: &two, ProcessSettings: client.ProcessSettings{MemoryMiB: 64, Path: "/new"}},
		"worker": {ProcessSettings: client.ProcessSettings{MemoryMiB: 32}},
	}
	return in
}

// shop pushes an app that works and has settings of every kind.
func (p *platform) shop(t *testing.T, w *world) app.ID {
	t.Helper()
	return p.shopNamed(t, w, "shop")
}

func (p *platform) shopNamed(t *testing.T, w *world, name string) app.ID {
	t.Helper()
	in := push("serve")
	in.App = name
	in.Env = map[string]string{"COLOR": "red", "SIZE": "s"}
	in.Processes = map[string]client.PushedProcess{app.Web: {ProcessSettings: client.ProcessSettings{MemoryMiB: 128}}}
	op, err := p.Push(t.Context(), by, w.space, in)
	p.done(t, op, err)
	return op.App
}

func TestAPushThatFailsLeavesTheDraftAsItWas(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	id := p.shop(t, w)
	before := p.app(t, id)

	op, err := p.Push(t.Context(), by, w.space, bad())
	p.failed(t, op, err)
	got := p.app(t, id)
	if !maps.Equal(got.Draft.Env, before.Draft.Env) || !maps.Equal(got.Draft.Processes, before.Draft.Processes) {
		t.Errorf("the draft is %+v, want %+v", got.Draft, before.Draft)
	}
	if got.Image != before.Image || got.State != app.Started || !maps.Equal(got.Scale, before.Scale) {
		t.Errorf("after the push image %s, %s, scale %v; want %s, started, %v", got.Image, got.State, got.Scale, before.Image, before.Scale)
	}
	changed, stop := p.store.WatchApp(id)
	defer stop()
	for n := p.healthy(t, id)[app.Web]; n != 1; n = p.healthy(t, id)[app.Web] { // the second, of the way back, is drained
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d instances are healthy, want the one that ran", n)
		}
	}
	// What is started next is what ran, and nothing of what failed.
	op, err = p.Restart(t.Context(), by, id)
	p.done(t, op, err)
}

func TestWhatOthersChangedDuringAPushThatFailsStays(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	id := p.shop(t, w)
	op := p.stuck(t, w, id, bad())
	edit := app.EnvChange{Set: map[string]string{"COLOR": "blue", "OTHER": "x"}, Unset: []string{"SIZE"}}
	if _, _, err := p.SetEnv(t.Context(), operation.Ask{Actor: "bob"}, id, edit, false); err != nil {
		t.Fatal(err)
	}
	web := p.app(t, id).Draft.Processes[app.Web]
	web.Path = "/mine"
	if _, err := p.SetProcesses(t.Context(), operation.Ask{Actor: "bob"}, id, map[string]app.Overrides{app.Web: web}); err != nil {
		t.Fatal(err)
	}
	p.abort(t, op)
	got := p.app(t, id).Draft
	if want := map[string]string{"COLOR": "blue", "OTHER": "x"}; !maps.Equal(got.Env, want) {
		t.Errorf("env = %v, want %v: what bob set and unset stays, what the push set goes", got.Env, want)
	}
	if want := (map[string]app.Overrides{app.Web: {MemoryMiB: 128, Path: "/mine"}}); !maps.Equal(got.Processes, want) {
		t.Errorf("processes = %+v, want %+v", got.Processes, want)
	}
}

func TestAPushThatFailsLeavesAStoppedAppStopped(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	id := p.shop(t, w)
	op, err := p.Stop(t.Context(), by, id)
	p.done(t, op, err)
	op, err = p.Push(t.Context(), by, w.space, bad())
	p.failed(t, op, err)
	if got := p.app(t, id); got.State != app.Stopped || got.Draft.Env["NEW"] != "" {
		t.Errorf("the app is %s with %v", got.State, got.Draft.Env)
	}
	groups, err := p.store.Groups(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if g.Size != 0 {
			t.Errorf("%s has size %d in a stopped app", g.Name, g.Size)
		}
	}
}

func TestAFirstPushThatFailsLeavesAnAppThatCanBeMended(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	in := push("exit 3")
	in.Env = map[string]string{"COLOR": "red"}
	op, err := p.Push(t.Context(), by, w.space, in)
	end := p.failed(t, op, err)
	for _, want := range []string{"naru start shop", "naru delete shop", "naru logs shop"} {
		if !strings.Contains(end.Error.Try, want) {
			t.Errorf("the way out %q does not say %q", end.Error.Try, want)
		}
	}
	a := p.app(t, op.App)
	if a.State != app.Stopped || a.Image == "" || a.Draft.Env["COLOR"] != "red" {
		t.Errorf("the app is %s, image %q, env %v; want stopped with what was pushed", a.State, a.Image, a.Draft.Env)
	}
	// Its settings are mended, and it is started without another build.
	_, started, err := p.SetEnv(t.Context(), by, op.App, app.EnvChange{Set: map[string]string{"COLOR": "blue"}}, true)
	if err != nil || started != nil {
		t.Fatalf("set-env of a stopped app = %v, %v", started, err)
	}
	op, err = p.Start(t.Context(), by, op.App)
	p.failed(t, op, err) // its command still exits
	if a := p.app(t, op.App); a.State != app.Stopped || a.Draft.Env["COLOR"] != "blue" {
		t.Errorf("after a start that failed: %s, %v", a.State, a.Draft.Env)
	}
}

func TestAFirstPushThatBuildsNothingLeavesAStoppedApp(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	in := push("")
	in.Source = client.Source{Git: &client.GitSource{URL: "https://git.test/shop"}}
	op, err := p.Push(t.Context(), by, w.space, in)
	if err != nil {
		t.Fatal(err)
	}
	p.failed(t, op, nil)
	if a := p.app(t, op.App); a.State != app.Stopped || a.Image != "" {
		t.Errorf("the app is %s with image %q", a.State, a.Image)
	}
}

func TestARollbackThatFailsLeavesTheDraftAsItWas(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	id := p.shop(t, w)
	op, err := p.Push(t.Context(), by, w.space, bad())
	p.failed(t, op, err)
	never, err := p.store.ReleaseNumbered(t.Context(), id, 2)
	if err != nil {
		t.Fatal(err)
	}
	before := p.app(t, id)
	op, err = p.Rollback(t.Context(), by, id, never.ID)
	p.failed(t, op, err)
	if got := p.app(t, id); !maps.Equal(got.Draft.Env, before.Draft.Env) || got.Image != before.Image {
		t.Errorf("after a rollback that failed image %s, env %v; want %s, %v", got.Image, got.Draft.Env, before.Image, before.Draft.Env)
	}
}

func TestKilledAtEachCommitAPushThatFailsIsTakenBack(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	id := p.shop(t, w)
	before := p.app(t, id)
	kills := 0
	for n := int64(1); ; n += everyCommit() {
		op, err := p.Push(t.Context(), by, w.space, bad())
		if err != nil {
			t.Fatal(err)
		}
		p.down()
		w.killAt = n
		p = w.up(t)
		w.killAt = 0
		p.untilEnd(t, op.ID)
		p.down()
		killed := p.kill.Load() <= 0
		p = w.up(t)
		p.failed(t, op, nil)
		got := p.app(t, id)
		if !maps.Equal(got.Draft.Env, before.Draft.Env) || !maps.Equal(got.Draft.Processes, before.Draft.Processes) ||
			got.Image != before.Image || !maps.Equal(got.Scale, before.Scale) {
			t.Fatalf("killed at commit %d the app is %+v, want %+v", n, got, before)
		}
		if !killed {
			break
		}
		kills++
	}
	if int64(kills) < max(1, 10/everyCommit()) {
		t.Errorf("only %d commits: nothing was tried", kills)
	}
	t.Logf("%d commits", kills)
}
