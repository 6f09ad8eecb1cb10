package deliver_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/run"
)

func canaryAt(weights ...int) app.Strategy {
	s := app.Strategy{Kind: app.Canary, Watch: new(app.Duration)}
	for _, w := range weights {
		s.Steps = append(s.Steps, app.Step{Weight: w, Hold: true, Judge: true})
	}
	return s
}

// The last deployment that is asked for counts: a canary that holds goes back for it,
// and one that still waits gives way.
func TestDeploymentsTakeEachOthersPlace(t *testing.T) {
	w := newWorld(t)
	p, id, first := w.begun(t)
	ctx := t.Context()
	if _, _, err := p.SetEnv(ctx, by, id, app.EnvChange{Set: map[string]string{"A": "1"}}, false); err != nil {
		t.Fatal(err)
	}
	held, err := p.Deploy(ctx, by, id, deliver.Deployment{Strategy: canaryAt(20, 40), Reason: "deployment"})
	if err != nil {
		t.Fatal(err)
	}
	ro := p.reaches(t, held, rollout.Paused)
	if weights, _ := w.weights(t); len(weights) != 2 || weights[1] != 20 {
		t.Fatalf("weights %v", weights)
	}
	if _, err := p.store.SteerRollout(ctx, ro.ID, rollout.Resume, "ada"); err != nil {
		t.Fatal(err)
	}
	p.until(t, id, "the second step", func() bool {
		ro, err = p.store.Rollout(ctx, ro.ID)
		return err == nil && ro.Step == 1 && ro.State == rollout.Paused
	})
	second, err := p.Deploy(ctx, by, id, deliver.Deployment{Reason: "deployment", Scale: map[string]int{app.Web: 2}, Processes: map[string]app.Overrides{app.Web: {MemoryMiB: 64}}})
	p.done(t, second, err)
	if end := p.await(t, held); end.State != operation.Failed {
		t.Errorf("the first is %s", end.State)
	}
	if ro := p.reaches(t, held, rollout.Superseded); ro.State != rollout.Superseded {
		t.Errorf("its rollout is %s", ro.State)
	}
	a, err := p.store.App(ctx, id)
	if err != nil || a.Draft.Env["A"] != "1" || a.Draft.Processes[app.Web].MemoryMiB != 64 {
		t.Fatalf("got the app %+v, %v", a, err)
	}
	if got := p.healthy(t, id); got[app.Web] != 2 {
		t.Errorf("healthy are %v", got)
	}
	if now, err := w.served("shop.apps.test"); err != nil || now == first {
		t.Errorf("%s serves (%v), as before", now, err)
	}
}

// A deployment of a release makes it and its draft the app's again.
func TestDeploymentOfARelease(t *testing.T) {
	w := newWorld(t)
	p, id, _ := w.begun(t)
	ctx := t.Context()
	was, err := p.store.CurrentRelease(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.SetEnv(ctx, by, id, app.EnvChange{Set: map[string]string{"A": "1"}}, false); err != nil {
		t.Fatal(err)
	}
	op, err := p.Deploy(ctx, by, id, deliver.Deployment{Reason: "deployment"})
	p.done(t, op, err)
	op, err = p.Deploy(ctx, by, id, deliver.Deployment{Release: was.ID, Strategy: app.Strategy{Kind: app.Rolling}, Reason: "rollback to v1"})
	p.done(t, op, err)
	now, err := p.store.CurrentRelease(ctx, id)
	if err != nil || now.Number != 3 || len(now.Changes(was)) != 0 {
		t.Errorf("got %+v, %v", now, err)
	}
	other, err := p.Push(ctx, by, w.space, client.Push{App: "other", Source: client.Source{Image: "serve"}})
	p.done(t, other, err)
	for name, in := range map[string]deliver.Deployment{
		"another app's image":   {Image: artifact.ID(mustApp(t, p, other.App).Image)},
		"an image that is gone": {Image: "none"},
		"a release":             {Release: "none"},
	} {
		if _, err := p.Deploy(ctx, by, id, in); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func mustApp(t *testing.T, p *platform, id app.ID) app.App {
	t.Helper()
	a, err := p.store.App(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A deployment that does not work leaves nothing of itself in the draft.
func TestDeploymentThatFailsIsTakenBack(t *testing.T) {
	w := newWorld(t)
	p, id, first := w.begun(t)
	ctx := t.Context()
	before := mustApp(t, p, id)
	op, err := p.Push(ctx, by, w.space, client.Push{App: "shop", Source: client.Source{Image: "exit 3"}, NoStart: true})
	p.done(t, op, err)
	bad := mustApp(t, p, id).Image
	if _, err := p.SetImage(ctx, by, id, artifact.ID(before.Image)); err != nil {
		t.Fatal(err)
	}
	op, err = p.Deploy(ctx, by, id, deliver.Deployment{Image: artifact.ID(bad), Scale: map[string]int{app.Web: 3}, Reason: "deployment"})
	if err != nil {
		t.Fatal(err)
	}
	if end := p.await(t, op); end.State != operation.Failed {
		t.Fatalf("it is %s", end.State)
	}
	if a := mustApp(t, p, id); a.Image != before.Image || a.Count(app.Web) != 1 {
		t.Errorf("got %+v", a)
	}
	w.serves(t, first)
}

// Stopping does not wait for a rollout that waits for a person.
func TestHaltWhileACanaryHolds(t *testing.T) {
	w := newWorld(t)
	p, id, _ := w.begun(t)
	ctx := t.Context()
	op, err := p.Deploy(ctx, by, id, deliver.Deployment{Strategy: canaryAt(50), Reason: "deployment"})
	if err != nil {
		t.Fatal(err)
	}
	p.reaches(t, op, rollout.Paused)
	stop, err := p.Halt(ctx, by, id)
	p.done(t, stop, err)
	if got := p.healthy(t, id); len(got) != 0 {
		t.Errorf("healthy are %v", got)
	}
}

// One instance leaves and another one takes its index; the others stay.
func TestRestartInstance(t *testing.T) {
	w := newWorld(t)
	p, id, _ := w.begun(t)
	ctx := t.Context()
	op, err := p.Scale(ctx, by, id, map[string]int{app.Web: 2})
	p.done(t, op, err)
	at := func() map[int]run.InstanceID {
		have, err := p.store.Instances(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		out := map[int]run.InstanceID{}
		for _, i := range have {
			if i.State == run.Healthy {
				out[i.Index] = i.ID
			}
		}
		return out
	}
	before := at()
	if err := p.RestartInstance(ctx, by, id, app.Web, 1); err != nil {
		t.Fatal(err)
	}
	p.until(t, id, "another instance 1", func() bool { return at()[1] != "" && at()[1] != before[1] })
	if now := at(); now[0] != before[0] {
		t.Errorf("instance 0 was %s and is %s", before[0], now[0])
	}
	if err := p.RestartInstance(ctx, by, id, app.Web, 2); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

// What a push writes on its app is written with the image, and refused before
// anything is done where nothing can hold it.
func TestPushWritesOnItsApp(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	var written []string
	p.OnDeclare(func(_ context.Context, actor string, a app.App, d deliver.Declaration) error {
		written = append(written, actor+" "+a.Name+" "+*d.Metadata.Labels["team"])
		return nil
	})
	team := "checkout"
	in := client.Push{App: "shop", Source: client.Source{Image: "serve"}, NoStart: true, Metadata: &client.LabelChange{Labels: map[string]*string{"team": &team}}}
	op, err := p.Push(t.Context(), by, w.space, in)
	if err != nil {
		t.Fatal(err)
	}
	if end := p.await(t, op); end.State != operation.Done || strings.Join(written, ",") != "ada shop checkout" {
		t.Errorf("%s, %v, written %v", end.State, end.Error, written)
	}
	in.Metadata.Labels = map[string]*string{"a b": &team}
	if _, err := p.Push(t.Context(), by, w.space, in); !fault.Is(err, fault.Invalid) || len(written) != 1 {
		t.Errorf("got %v, written %v", err, written)
	}
}

// A manifest goes into its apps one by one: each as a whole, until one fails.
func TestManifestIsAppliedAppByApp(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	var asked []string
	p.OnDeclare(func(_ context.Context, actor string, a app.App, d deliver.Declaration) error {
		for _, b := range d.Bindings {
			if asked = append(asked, actor+" "+a.Name+" "+b.Service); b.Service == "gone" {
				return fault.New(fault.NotFound, "", "Service instance 'gone' not found")
			}
		}
		return nil
	})
	var apps []app.App
	for _, name := range []string{"one", "two", "three"} {
		a, err := p.Skeleton(ctx, by, w.space, name, app.Build{})
		if err != nil || a.State != app.Stopped {
			t.Fatalf("got %+v, %v", a, err)
		}
		apps = append(apps, a)
	}
	declared := func(a app.App, service string) deliver.Declaration {
		return deliver.Declaration{
			App: a.ID, Name: a.Name, Build: &app.Build{Buildpacks: []string{"go_buildpack"}}, Env: map[string]string{"A": "1"}, Scale: map[string]int{"web": 2},
			Processes: map[string]app.Overrides{"web": {MemoryMiB: 64}}, Host: a.Name, Bindings: []deliver.Binding{{Service: service}},
			Routes: nil,
		}
	}
	op, err := p.ApplyManifest(ctx, by, w.space, []deliver.Declaration{declared(apps[0], "db"), declared(apps[1], "gone"), declared(apps[2], "db")})
	if err != nil {
		t.Fatal(err)
	}
	end := p.await(t, op)
	if end.State != operation.Failed || end.Error.Message != "For application 'two': Service instance 'gone' not found" || end.Error.Kind != fault.NotFound {
		t.Errorf("got %s, %+v", end.State, end.Error)
	}
	if strings.Join(asked, ",") != "ada one db,ada two gone" {
		t.Errorf("asked for %v", asked)
	}
	for i, want := range []bool{true, false, false} {
		a := mustApp(t, p, apps[i].ID)
		routes, err := p.store.RoutesOf(ctx, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Draft.Env["A"] == "1"; got != want || (a.Count("web") == 2) != want || (len(a.Build.Buildpacks) == 1) != want || (len(routes) == 1) != want {
			t.Errorf("%s: got %+v and %d routes, want all of it: %v", a.Name, a, len(routes), want)
		}
	}
	// Again, with what takes back: the command that the build finds, and no route.
	again := deliver.Declaration{App: apps[0].ID, Name: "one", Found: []string{"web"}, NoRoute: true}
	op, err = p.ApplyManifest(ctx, by, w.space, []deliver.Declaration{again})
	p.done(t, op, err)
	if routes, err := p.store.RoutesOf(ctx, apps[0].ID); err != nil || len(routes) != 0 {
		t.Errorf("got %d routes, %v", len(routes), err)
	}
	var out deliver.Declared
	if end := p.await(t, op); json.Unmarshal(end.Result, &out) != nil || len(out.Apps) != 1 {
		t.Errorf("got the result %s", end.Result)
	}
	for name, d := range map[string]deliver.Declaration{
		"variable":  {Env: map[string]string{"A B": "1"}},
		"instances": {Scale: map[string]int{"web": 1000}},
	} {
		d.App, d.Name = apps[0].ID, "one"
		if _, err := p.ApplyManifest(ctx, by, w.space, []deliver.Declaration{d}); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.Of(err).Message, "For application 'one': ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A manifest waits for the gateways where it changed a route, and only there: most
// are pushed again as they were.
func TestManifestWaitsForGatewaysOnlyWithRoutes(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	a, err := p.Skeleton(t.Context(), by, w.space, "one", app.Build{})
	if err != nil {
		t.Fatal(err)
	}
	named := deliver.Declaration{Routes: []client.NewRoute{{Host: "one"}}}
	for _, step := range []struct {
		name string
		d    deliver.Declaration
		want int64
	}{
		{"a first host", deliver.Declaration{Host: "first"}, 1},
		{"nothing of routes", deliver.Declaration{Env: map[string]string{"A": "1"}}, 0},
		{"a route", named, 1},
		{"the same", named, 0},
		{"none", deliver.Declaration{NoRoute: true}, 1},
		{"none again", deliver.Declaration{NoRoute: true}, 0},
	} {
		step.d.App, step.d.Name = a.ID, "one"
		before := w.waited.Load()
		op, err := p.ApplyManifest(t.Context(), by, w.space, []deliver.Declaration{step.d})
		p.done(t, op, err)
		if got := w.waited.Load() - before; got != step.want {
			t.Errorf("%s: waited %d times for gateways, want %d", step.name, got, step.want)
		}
	}
}

// An app that was renamed keeps its host; another one may then take the name.
func TestRename(t *testing.T) {
	w := newWorld(t)
	p, id, first := w.begun(t)
	ctx := t.Context()
	if _, err := p.Rename(ctx, by, id, "shop-old"); err != nil {
		t.Fatal(err)
	}
	w.serves(t, first)
	a, err := p.Skeleton(ctx, by, w.space, "shop", app.Build{})
	if err != nil || a.Slug == "shop" || !strings.HasPrefix(a.Slug, "shop-") {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, err := p.Rename(ctx, by, id, "shop"); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Skeleton(ctx, by, w.space, "shop", app.Build{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v", err)
	}
}
