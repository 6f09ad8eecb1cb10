package deliver_test

import (
	"fmt"
	"sync"
	"testing"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/quota"
	"naru/internal/pipeline/task"
)

// limit gives the organisation of the world a quota, and with space the space one.
func (p *platform) limit(t *testing.T, ofSpace bool, limits quota.Limits) quota.ID {
	t.Helper()
	org, err := p.store.OrgNamed(t.Context(), app.DefaultOrg)
	if err != nil {
		t.Fatal(err)
	}
	space, err := p.store.SpaceNamed(t.Context(), app.DefaultOrg, app.DefaultSpace)
	if err != nil {
		t.Fatal(err)
	}
	q := quota.Quota{ID: quota.ID(id.New()), Name: "tight", Limits: limits}
	in := space.ID
	if ofSpace {
		q.Org = org.ID
	} else {
		in = ""
	}
	if _, err = p.store.CreateQuota(t.Context(), q); err == nil {
		err = p.store.AssignQuota(t.Context(), q.ID, org.ID, in)
	}
	if err != nil {
		t.Fatal(err)
	}
	return q.ID
}

func TestQuotasLimitWhatRuns(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	op, err := p.Push(ctx, by, w.space, pushed("shop", "serve"))
	p.done(t, op, err)
	shop := op.App
	p.limit(t, false, quota.Limits{quota.Memory: 3 * app.DefaultMemoryMiB, quota.ProcessMemory: app.DefaultMemoryMiB, quota.AppTasks: 0})
	p.limit(t, true, quota.Limits{quota.Instances: 2, quota.Routes: 2, quota.Ports: 0})

	_, err = p.Scale(ctx, by, shop, map[string]int{app.Web: 4})
	mustSay(t, err, `the quota "tight" of organisation "default" allows 768 MiB: 256 MiB are used, and 768 MiB more were asked for`, "naru quota set tight memory=MORE")
	_, err = p.Scale(ctx, by, shop, map[string]int{app.Web: 3})
	mustSay(t, err, `the quota "tight" of space "dev" allows 2 instances: 1 instances are used, and 2 instances more were asked for`, "--space-quota")
	op, err = p.Scale(ctx, by, shop, map[string]int{app.Web: 2})
	p.done(t, op, err)

	larger := pushed("shop", "serve")
	larger.Processes = map[string]client.PushedProcess{app.Web: {ProcessSettings: client.ProcessSettings{MemoryMiB: 300}}}
	_, err = p.Push(ctx, by, w.space, larger)
	mustSay(t, err, "allows 256 MiB for one instance; 300 MiB for one instance were asked for")
	_, err = p.Push(ctx, by, w.space, pushed("blog", "serve"))
	mustSay(t, err, "2 instances are used, and 1 instances more")
	mustSay(t, p.AdmitTask(ctx, task.Task{ID: task.ID(id.New()), App: shop}), "allows 0 tasks of one app")

	// What is there may be replaced, and given back, whatever a quota says later.
	op, err = p.Restart(ctx, by, shop)
	p.done(t, op, err)
	op, err = p.Scale(ctx, by, shop, map[string]int{app.Web: 1})
	p.done(t, op, err)
}

func TestQuotasLimitRoutes(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	p.limit(t, false, quota.Limits{quota.Routes: 3})
	var group sync.WaitGroup
	errs := make([]error, 10)
	for i := range errs {
		group.Go(func() {
			_, errs[i] = p.ReserveRoute(t.Context(), by, w.space, fmt.Sprintf("r%d", i), "/")
		})
	}
	group.Wait()
	made := 0
	for _, err := range errs {
		switch {
		case err == nil:
			made++
		case !fault.Is(err, fault.Conflict):
			t.Errorf("refused for another reason: %v", err)
		}
	}
	if made != 3 {
		t.Errorf("%d routes were made at once, 3 are allowed", made)
	}
}

// Two who want the last room at once: one of them gets it.
func TestAQuotaIsNotPromisedTwice(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	var apps []app.ID
	for _, name := range []string{"shop", "blog"} {
		op, err := p.Push(ctx, by, w.space, pushed(name, "serve"))
		p.done(t, op, err)
		apps = append(apps, op.App)
	}
	p.limit(t, false, quota.Limits{quota.Instances: 3})
	var group sync.WaitGroup
	for _, a := range apps {
		group.Go(func() {
			if op, err := p.Scale(ctx, by, a, map[string]int{app.Web: 2}); err == nil {
				p.await(t, op)
			}
		})
	}
	group.Wait()
	taken, err := p.Taken(ctx, []app.SpaceID{w.space})
	if err != nil || taken[quota.Instances] != 3 || taken[quota.Memory] != 3*app.DefaultMemoryMiB {
		t.Errorf("taken %v, %v, want 3 instances", taken, err)
	}
}
