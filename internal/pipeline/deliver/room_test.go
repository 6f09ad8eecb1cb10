package deliver_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/admit"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/task"
)

// full is a machine for eight instances of the default memory, one of which is
// for replacing the others.
var full = admit.Limits{MachineMiB: 8 * app.DefaultMemoryMiB, Overcommit: 1}

func pushed(name, image string) client.Push {
	return client.Push{App: name, Source: client.Source{Image: image}}
}

// mustSay fails unless an error is a refusal with all these words.
func mustSay(t *testing.T, err error, words ...string) {
	t.Helper()
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("not refused: %v", err)
		return
	}
	text := err.Error() + " | " + fault.Of(err).Try
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
}

func TestTheMachineIsNotPromisedTwice(t *testing.T) {
	w := newWorld(t)
	w.memory = full
	p := w.up(t)
	ctx := t.Context()
	op, err := p.Push(ctx, by, w.space, pushed("shop", "serve"))
	p.done(t, op, err)
	shop := op.App

	_, err = p.Scale(ctx, by, shop, map[string]int{app.Web: 8})
	mustSay(t, err, "shop needs 8 x 256 MiB, and 256 MiB beside for replacing one at a time; 2,048 MiB of 2,048 MiB are free", "naru scale shop 7 fits", "reserve.memory_overcommit")
	op, err = p.Scale(ctx, by, shop, map[string]int{app.Web: 6})
	p.done(t, op, err)

	op, err = p.Push(ctx, by, w.space, pushed("blog", "serve"))
	p.done(t, op, err)
	_, err = p.Push(ctx, by, w.space, pushed("wiki", "serve"))
	mustSay(t, err, "wiki needs 1 x 256 MiB; 0 MiB of 2,048 MiB are free", "largest: shop 6 x 256 MiB, blog 1 x 256 MiB", "naru scale")
	if _, err := p.store.AppNamed(ctx, w.space, "wiki"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a push that was refused left the app behind: %v", err)
	}
	more := pushed("blog", "serve")
	more.Processes = map[string]client.PushedProcess{app.Web: {ProcessSettings: client.ProcessSettings{MemoryMiB: 512}}}
	_, err = p.Push(ctx, by, w.space, more)
	mustSay(t, err, "blog needs 1 x 512 MiB, and 512 MiB beside")
	mustSay(t, p.AdmitTask(ctx, task.Task{ID: task.ID(id.New()), App: shop}), "a task of shop needs 1 x 256 MiB")

	// Another space is not told what this one runs.
	org, err := p.store.OrgNamed(ctx, app.DefaultOrg)
	if err != nil {
		t.Fatal(err)
	}
	other, err := p.store.CreateSpace(ctx, org.ID, "other")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Push(ctx, by, other.ID, pushed("wiki", "serve"))
	mustSay(t, err, "largest: other spaces 1,792 MiB")
	if strings.Contains(err.Error(), "shop") {
		t.Errorf("another space is told: %v", err)
	}

	// On the full machine everything can still be replaced, also two at once, and
	// made smaller; what was freed may be taken.
	var ops []operation.Operation
	for _, name := range []string{"shop", "blog"} {
		a, err := p.store.AppNamed(ctx, w.space, name)
		if err != nil {
			t.Fatal(err)
		}
		_, op, err := p.SetEnv(ctx, by, a.ID, app.EnvChange{Set: map[string]string{"COLOR": "red"}}, true)
		if err != nil || op == nil {
			t.Fatalf("SetEnv(%s) = %v, %v", name, op, err)
		}
		ops = append(ops, *op)
	}
	for _, op := range ops {
		p.done(t, op, nil)
	}
	op, err = p.Scale(ctx, by, shop, map[string]int{app.Web: 5})
	p.done(t, op, err)
	op, err = p.Push(ctx, by, w.space, pushed("wiki", "serve"))
	p.done(t, op, err)
	op, err = p.Stop(ctx, by, shop)
	p.done(t, op, err)
	taken, room, ok, err := p.Promised(ctx)
	if taken != 512 || room != 2048 || !ok || err != nil {
		t.Errorf("Promised() = %d of %d, %v, %v", taken, room, ok, err)
	}
}

// A rollout has as many instances in flight as there is room for.
func TestARolloutKeepsToTheRoom(t *testing.T) {
	w := newWorld(t)
	w.memory = admit.Limits{MachineMiB: 14 * app.DefaultMemoryMiB, Overcommit: 1}
	p := w.up(t)
	ctx := t.Context()
	op, err := p.Push(ctx, by, w.space, push("serve"))
	p.done(t, op, err)
	op, err = p.Scale(ctx, by, op.App, map[string]int{app.Web: 12})
	p.done(t, op, err)
	_, change, err := p.SetEnv(ctx, by, op.App, app.EnvChange{Set: map[string]string{"COLOR": "red"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	p.done(t, *change, nil)
	made, err := p.store.Rollouts(ctx, op.App, 1)
	if err != nil || len(made) != 1 || made[0].MaxInFlight != 2 {
		t.Errorf("rollout %+v, %v; want 2 in flight", made, err)
	}
}

func TestTwoScalesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.memory = full
	p := w.up(t)
	ctx := t.Context()
	var apps []app.ID
	for _, name := range []string{"shop", "blog"} {
		op, err := p.Push(ctx, by, w.space, pushed(name, "serve"))
		p.done(t, op, err)
		apps = append(apps, op.App)
	}
	for round := range 5 {
		var asked sync.WaitGroup
		ended := make([]operation.State, 2)
		for i, a := range apps {
			asked.Go(func() {
				op, err := p.Scale(ctx, by, a, map[string]int{app.Web: 6})
				if err != nil {
					mustSay(t, err, "needs 6 x 256 MiB")
					return
				}
				end := p.await(t, op)
				if ended[i] = end.State; end.State == operation.Failed {
					mustSay(t, end.Error, "needs 6 x 256 MiB")
				}
			})
		}
		asked.Wait()
		sum, well := 0, 0
		for i, a := range apps {
			sum += p.healthy(t, a)[app.Web]
			if ended[i] == operation.Done {
				well++
			}
		}
		if sum != 7 || well != 1 {
			t.Fatalf("round %d: %d instances, %v", round, sum, ended)
		}
		for _, a := range apps {
			op, err := p.Scale(ctx, by, a, map[string]int{app.Web: 1})
			p.done(t, op, err)
		}
	}
}

// Where neither image nor app say anything, the platform's defaults hold.
func TestDefaultsOfThePlatform(t *testing.T) {
	w := newWorld(t)
	w.process = app.Process{MemoryMiB: 64, PIDs: 100, Health: app.Health{StartTimeout: app.Duration(7 * time.Second)}}
	p := w.up(t)
	ctx := t.Context()
	check := func(worker int) {
		t.Helper()
		a, err := p.store.AppNamed(ctx, w.space, "shop")
		if err != nil {
			t.Fatal(err)
		}
		rel, err := p.store.CurrentRelease(ctx, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		for process, mib := range map[string]int{app.Web: 64, "worker": worker} {
			got, _ := rel.Process(process)
			if got.MemoryMiB != mib || got.PIDs != 100 || got.CPUMilli != app.DefaultCPUMilli || got.Health.StartTimeout != app.Duration(7*time.Second) {
				t.Errorf("%s of %s is %+v", process, rel.Name(), got)
			}
		}
	}
	op, err := p.Push(ctx, by, w.space, push("serve"))
	p.done(t, op, err)
	check(64)
	more := push("serve")
	more.Processes = map[string]client.PushedProcess{"worker": {ProcessSettings: client.ProcessSettings{MemoryMiB: 128}}}
	op, err = p.Push(ctx, by, w.space, more)
	p.done(t, op, err)
	check(128)
}
