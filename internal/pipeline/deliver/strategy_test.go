package deliver_test

import (
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/route"
	"naru/internal/run"
)

func with(image string, s client.Strategy) client.Push {
	in := push(image)
	in.Strategy = &s
	return in
}

func lasting(d time.Duration) *client.Duration { c := client.Duration(d); return &c }

// begun is an app that serves, its id and the instance that visitors reach.
func (w *world) begun(t *testing.T) (p *platform, id app.ID, first string) {
	t.Helper()
	p = w.up(t)
	op, err := p.Push(t.Context(), by, w.space, push("serve"))
	p.done(t, op, err)
	if first, err = w.served("shop.apps.test"); err != nil {
		t.Fatal(err)
	}
	return p, op.App, first
}

// until waits until something of the app is as ok wants it.
func (p *platform) until(t *testing.T, a app.ID, what string, ok func() bool) {
	t.Helper()
	changed, stop := p.store.WatchApp(a)
	defer stop()
	late := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-changed:
		case <-late:
			all, _ := p.store.Rollouts(t.Context(), a, 1)
			t.Fatalf("never: %s; the newest is %+v", what, all)
		}
	}
}

// reaches waits until the app's newest rollout is one of an operation, in one of
// the states.
func (p *platform) reaches(t *testing.T, op operation.Operation, states ...rollout.State) (ro rollout.Rollout) {
	t.Helper()
	p.until(t, op.App, "a rollout that is "+string(states[0]), func() bool {
		var err error
		ro, err = p.store.Rollout(t.Context(), rollout.ID(op.ID))
		for _, s := range states {
			if err == nil && ro.State == s {
				return true
			}
		}
		return false
	})
	return ro
}

// weights are those of the table that the gateway uses, the old group first.
func (w *world) weights(t *testing.T) (weights []int, groups []route.Group) {
	t.Helper()
	table, err := w.gateway.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range table.Routes[0].Groups {
		weights = append(weights, g.Weight)
	}
	return weights, table.Routes[0].Groups
}

func (w *world) serves(t *testing.T, want string) {
	t.Helper()
	if now, err := w.served("shop.apps.test"); err != nil || now != want {
		t.Errorf("%s serves (%v), want %s", now, err, want)
	}
}

func TestCanaryHoldsThenGoesOn(t *testing.T) {
	w := newWorld(t)
	p, id, first := w.begun(t)
	ctx := t.Context()
	op, err := p.Push(ctx, by, w.space, with("serve again", client.Strategy{Kind: "canary", Steps: []string{"20%/hold"}, Watch: lasting(time.Hour)}))
	if err != nil {
		t.Fatal(err)
	}
	ro := p.reaches(t, op, rollout.Paused)
	weights, groups := w.weights(t)
	if len(weights) != 2 || weights[0] != 80 || weights[1] != 20 {
		t.Fatalf("weights %v", weights)
	}
	if g := groups[1].Guard; g == nil || g.Key != string(ro.ID) || g.Baseline != groups[0].ID {
		t.Errorf("guard %+v", g)
	}
	if _, err := p.store.SteerRollout(ctx, ro.ID, rollout.Resume, "ada"); err != nil {
		t.Fatal(err)
	}
	p.done(t, op, nil)
	ro = p.reaches(t, op, rollout.Watching)
	if weights, _ := w.weights(t); weights[0] != 0 || weights[1] != 100 {
		t.Errorf("weights %v after the promotion", weights)
	}
	if current, err := p.store.CurrentRelease(ctx, id); err != nil || current.ID != ro.Release {
		t.Errorf("current release %v, %v", current.Name(), err)
	}
	// The way back is at once: what ran before was never stopped.
	back, err := p.Rollback(ctx, by, id, "")
	p.done(t, back, err)
	w.serves(t, first)
	if ro := p.reaches(t, op, rollout.RolledBack); !strings.Contains(ro.Reason, "ada") {
		t.Errorf("reason %q", ro.Reason)
	}
}

func TestTheWatchEndsByItself(t *testing.T) {
	w := newWorld(t)
	p, id, first := w.begun(t)
	op, err := p.Push(t.Context(), by, w.space, with("serve again", client.Strategy{Kind: "bluegreen", Watch: lasting(time.Millisecond)}))
	p.done(t, op, err)
	p.reaches(t, op, rollout.Done)
	if now, err := w.served("shop.apps.test"); err != nil || now == first {
		t.Errorf("%s serves, %v", now, err)
	}
	groups, err := p.store.Groups(t.Context(), id)
	if err != nil || len(groups) != 2 { // web and worker
		t.Errorf("groups %+v, %v", groups, err)
	}
	// A push while another is watched ends that watch first.
	for range 2 {
		op, err = p.Push(t.Context(), by, w.space, with("serve once more", client.Strategy{Kind: "bluegreen", Watch: lasting(time.Hour)}))
		p.done(t, op, err)
	}
	p.reaches(t, op, rollout.Watching)
	op, err = p.Delete(t.Context(), by, id)
	p.done(t, op, err)
	w.empty(t)
}

// TestATripTakesTheRolloutBack: what a gateway's guard reports ends the rollout
// with the measure in its reason, while it shifts and while it is watched.
func TestATripTakesTheRolloutBack(t *testing.T) {
	w := newWorld(t)
	p, id, first := w.begun(t)
	before, err := p.store.App(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]client.Strategy{
		"shifting": {Kind: "canary", Steps: []string{"10%/hold"}},
		"watching": {Kind: "bluegreen", Watch: lasting(time.Hour)},
	} {
		op, err := p.Push(t.Context(), by, w.space, with("serve "+name, s))
		if err != nil {
			t.Fatal(err)
		}
		ro := p.reaches(t, op, rollout.Paused, rollout.Watching)
		if name == "watching" {
			p.done(t, op, nil)
		}
		_, groups := w.weights(t)
		trip := route.Trip{
			Time: time.Now(), Key: string(ro.ID), Group: groups[1].ID, Baseline: groups[0].ID, Measure: route.Errors,
			Canary: route.Tally{Requests: 25, Bad: 12}, Base: route.Tally{Requests: 225}, Allowed: 1.5,
		}
		w.gateway.Trip(trip)
		back := p.reaches(t, op, rollout.RolledBack)
		if !strings.Contains(back.Reason, "errors: 12 of 25 requests failed") || back.Trip == nil {
			t.Errorf("%s: reason %q, trip %+v", name, back.Reason, back.Trip)
		}
		if end := p.await(t, op); name == "shifting" && (end.State != operation.Failed || !strings.Contains(end.Error.Message, "errors: 12 of 25")) {
			t.Errorf("the push is %s: %v", end.State, end.Error)
		}
		w.serves(t, first)
		p.until(t, id, "the image goes back", func() bool {
			a, err := p.store.App(t.Context(), id)
			return err == nil && a.Image == before.Image
		})
		w.gateway.Trip(trip) // gateways say it again when they dial
	}
}

func TestASecondPushSupersedes(t *testing.T) {
	w := newWorld(t)
	p, id, _ := w.begun(t)
	held, err := p.Push(t.Context(), by, w.space, with("serve held", client.Strategy{Kind: "canary", Steps: []string{"10%/hold"}}))
	if err != nil {
		t.Fatal(err)
	}
	p.reaches(t, held, rollout.Paused)
	last, err := p.Push(t.Context(), by, w.space, with("serve last", client.Strategy{Kind: "rolling", Second: "supersede"}))
	p.done(t, last, err)
	if end := p.await(t, held); end.State != operation.Failed || !strings.Contains(end.Error.Message, "gave way") {
		t.Errorf("the first push is %s: %v", end.State, end.Error)
	}
	p.reaches(t, held, rollout.Superseded)
	groups, err := p.store.Groups(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if g.Weight != nil {
			t.Errorf("%s is left with weight %d", g.Name, *g.Weight)
		}
	}
}

func TestTheReleaseCommandComesFirst(t *testing.T) {
	w := newWorld(t)
	w.releases = make(chan string, 10)
	p := w.up(t)
	ctx := t.Context()
	op, err := p.Push(ctx, by, w.space, push("release good"))
	p.done(t, op, err)
	first, err := w.served("shop.apps.test")
	if err != nil || <-w.releases != "good" {
		t.Fatalf("%v", err)
	}
	groups, err := p.store.Groups(ctx, op.App)
	if err != nil || len(groups) != 1 {
		t.Errorf("groups %+v, %v: the command has none", groups, err)
	}
	op, err = p.Push(ctx, by, w.space, push("release bad"))
	if err != nil {
		t.Fatal(err)
	}
	if end := p.await(t, op); end.State != operation.Failed || !strings.Contains(end.Error.Message, "release command failed") {
		t.Errorf("push with a bad command is %s: %v", end.State, end.Error)
	}
	<-w.releases
	op, err = p.Push(ctx, by, w.space, push("release endless"))
	if err != nil {
		t.Fatal(err)
	}
	<-w.releases
	if _, err := p.store.SteerRollout(ctx, rollout.ID(op.ID), rollout.Abort, "ada"); err != nil {
		t.Fatal(err)
	}
	if end := p.await(t, op); end.State != operation.Failed || !strings.Contains(end.Error.Message, "aborted by ada") {
		t.Errorf("aborted while the command ran: %s, %v", end.State, end.Error)
	}
	w.serves(t, first)
}

func TestGroupsByHand(t *testing.T) {
	w := newWorld(t)
	p, id, _ := w.begun(t)
	change := func(in client.GroupChange) (operation.Operation, error) {
		return p.ChangeGroup(t.Context(), by, id, in)
	}
	zero := 0
	for _, in := range []client.GroupChange{
		{Action: "disable", Group: "shop-v001"}, {Action: "destroy", Group: "shop-v001"}, {Action: "resize", Group: "shop-v001", Size: &zero},
	} {
		if _, err := change(in); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s of the last group = %v", in.Action, err)
		}
	}
	if _, err := change(client.GroupChange{Action: "disable", Group: "shop-v009"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a group that is not there: %v", err)
	}
	op, err := change(client.GroupChange{Action: "clone", Group: "shop-v001"})
	p.done(t, op, err)
	if weights, groups := w.weights(t); len(weights) != 2 || weights[0] != 100 || weights[1] != 0 || len(groups[1].Instances) != 1 {
		t.Fatalf("after clone: %v, %+v", weights, groups)
	}
	if _, err := change(client.GroupChange{Action: "disable", Group: "shop-v001"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("disabling the only one with traffic = %v", err)
	}
	op, err = change(client.GroupChange{Action: "enable", Group: "shop-v002"})
	p.done(t, op, err)
	if weights, _ := w.weights(t); weights[0] != 50 || weights[1] != 50 {
		t.Errorf("after enable: %v", weights)
	}
	op, err = change(client.GroupChange{Action: "disable", Group: "shop-v001"})
	p.done(t, op, err)
	if weights, _ := w.weights(t); weights[0] != 0 || weights[1] != 100 {
		t.Errorf("after disable: %v", weights)
	}
	op, err = change(client.GroupChange{Action: "destroy", Group: "shop-v001"})
	p.done(t, op, err)
	groups, err := p.store.Groups(t.Context(), id)
	if err != nil || len(groups) != 2 || groups[0].Name != "shop-v002" { // and the worker's
		t.Errorf("groups %+v, %v", groups, err)
	}
	op, err = change(client.GroupChange{Action: "disable", Group: "shop-v002", Force: true})
	p.done(t, op, err)
	if weights, _ := w.weights(t); weights[0] != 0 {
		t.Errorf("after the last group was disabled by force: %v", weights)
	}
}

// TestAWayBackEnds: what ran before is neither healthy nor crashes; the way back
// ends when somebody says so a second time.
func TestAWayBackEnds(t *testing.T) {
	w := newWorld(t)
	p, id, _ := w.begun(t)
	ctx := t.Context()
	held, err := p.Push(ctx, by, w.space, with("serve held", client.Strategy{Kind: "canary", Steps: []string{"10%/hold"}}))
	if err != nil {
		t.Fatal(err)
	}
	ro := p.reaches(t, held, rollout.Paused)
	have, err := p.store.Instances(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range have {
		if i.Group == ro.New[0] {
			continue
		}
		_, err := p.store.UpdateInstance(ctx, i.ID, func(i run.Instance, now time.Time) (run.Instance, error) { return i.Move(run.Unhealthy, now) })
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []rollout.State{rollout.Aborting, rollout.Failed} {
		if ro, err = p.store.SteerRollout(ctx, ro.ID, rollout.Abort, "ada"); err != nil || ro.State != want {
			t.Fatalf("abort: %s, %v, want %s", ro.State, err, want)
		}
	}
	if end := p.await(t, held); end.State != operation.Failed || !strings.Contains(end.Error.Message, "stopped by ada") {
		t.Errorf("the push is %s: %v", end.State, end.Error)
	}
}

// TestCancelingIsDoneOnce: a canceled operation that is taken up again after a
// crash finds its wish carried out, and does not stop the way back.
func TestCancelingIsDoneOnce(t *testing.T) {
	w := newWorld(t)
	p, _, first := w.begun(t)
	held, err := p.Push(t.Context(), by, w.space, with("serve held", client.Strategy{Kind: "canary", Steps: []string{"10%/hold"}}))
	if err != nil {
		t.Fatal(err)
	}
	p.reaches(t, held, rollout.Paused)
	if _, err := p.store.CancelOperation(t.Context(), by, held.ID); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p.down()
		w.killAt = 6 // early on the way back
		p = w.up(t)
		w.killAt = 0
		p.untilEnd(t, held.ID)
	}
	p.down()
	p = w.up(t)
	if end := p.await(t, held); end.State != operation.Canceled {
		t.Errorf("the push is %s: %v", end.State, end.Error)
	}
	p.reaches(t, held, rollout.RolledBack)
	w.serves(t, first)
}
