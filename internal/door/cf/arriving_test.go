package cf_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"naru/internal/door/cf"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/run"
)

// begin starts an app and takes away what ran of it, as a start that is on its way
// has it.
func (w *world) begin(name string) (web string, op operation.Operation, instance run.InstanceID) {
	w.t.Helper()
	ctx := w.t.Context()
	a := w.shop(name)
	groups, err := w.store.GroupsOfApps(ctx, a.ID)
	must(w.t, err)
	instances, err := w.store.Instances(ctx, a.ID)
	must(w.t, err)
	for _, to := range []run.State{run.Draining, run.Stopping, run.Stopped} {
		_, err := w.store.UpdateInstance(ctx, instances[0].ID, func(i run.Instance, now time.Time) (run.Instance, error) { return i.Move(to, now) })
		must(w.t, err)
	}
	now := time.Now()
	next := run.Instance{ID: run.InstanceID(id.New()), Group: groups[0].ID, State: run.Pending, Created: now, Since: now}
	must(w.t, w.store.AddInstance(ctx, next))
	op, err = w.pipe.Start(ctx, operation.Ask{Actor: "admin"}, a.ID)
	must(w.t, err)
	return "/v3/processes/" + string(a.ID) + "/stats", op, next.ID
}

// state is that of the only instance.
func (w *world) stateAt(stats string) string {
	w.t.Helper()
	all, _ := w.ask(http.StatusOK, "GET", stats, "")["resources"].([]any)
	if len(all) != 1 {
		w.t.Fatalf("got %v", all)
	}
	one, _ := all[0].(map[string]any)
	return text(one, "state")
}

// A look at an app whose first instance is on its way is answered when that is
// there: the wait of an hour is not waited for.
func TestStatsWaitForTheFirstInstance(t *testing.T) {
	w := newWorldWith(t, func(c *cf.Config) { c.Glance = time.Hour })
	w.login("admin")
	stats, op, next := w.begin("shop")
	seen := make(chan string, 1)
	go func() { defer close(seen); seen <- w.stateAt(stats) }()
	for _, to := range []run.State{run.Starting, run.Healthy} {
		_, err := w.store.UpdateInstance(t.Context(), next, func(i run.Instance, now time.Time) (run.Instance, error) {
			i.Addr, i.Started = "10.0.0.2:8080", now
			return i.Move(to, now)
		})
		must(t, err)
	}
	must(t, w.store.ReportOperation(t.Context(), op.ID, nil, []operation.Progress{{Operation: op.ID, Seq: 2, Step: "run", Status: operation.StepInfo}}))
	if got := <-seen; got != "RUNNING" {
		t.Errorf("the instance is %s, want RUNNING", got)
	}
}

// It is answered, too, when the start has come to nothing, when there is no start,
// and when the moment is over.
func TestStatsWaitNoLongerThanTheyMust(t *testing.T) {
	w := newWorldWith(t, func(c *cf.Config) { c.Glance = time.Hour })
	w.login("admin")
	stats, op, _ := w.begin("shop")
	seen := make(chan string, 1)
	go func() { defer close(seen); seen <- w.stateAt(stats) }()
	must(t, w.store.EndOperation(t.Context(), op.ID, operation.Failed, fault.New(fault.Invalid, "", "no"), json.RawMessage("{}"), nil))
	if got := <-seen; got != "STARTING" {
		t.Errorf("after a failed start the instance is %s", got)
	}
	if got := w.stateAt(stats); got != "STARTING" { // nobody starts it
		t.Errorf("without a start the instance is %s", got)
	}
	w = newWorld(t)
	w.login("admin")
	stats, _, _ = w.begin("shop")
	if got := w.stateAt(stats); got != "STARTING" {
		t.Errorf("when the moment is over the instance is %s", got)
	}
}

// A look at a deployment is answered when it stands at a step, or is over.
func TestDeploymentsWaitForWhatClientsWaitFor(t *testing.T) {
	w := newWorldWith(t, func(c *cf.Config) { c.Glance = time.Hour })
	w.login("admin")
	guid := text(w.deploy(http.StatusCreated, w.shop("shop"), `"strategy":"rolling"`), "guid")
	seen := make(chan string, 1)
	go func() {
		defer close(seen)
		seen <- status(w.ask(http.StatusOK, "GET", "/v3/deployments/"+guid, ""))
	}()
	_, err := w.store.MoveRollout(t.Context(), rollout.ID(guid), rollout.Done, "")
	must(t, err)
	must(t, w.store.EndOperation(t.Context(), operation.ID(guid), operation.Done, nil, nil, nil))
	if got := <-seen; got != "FINALIZED DEPLOYED" {
		t.Errorf("the deployment is %s", got)
	}
}
