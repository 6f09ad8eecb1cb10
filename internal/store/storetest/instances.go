package storetest

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/run"
	"naru/internal/store"
)

// ways lead from Pending to every state of an instance.
var ways = map[run.State][]run.State{
	run.Pending:   {},
	run.Starting:  {run.Starting},
	run.Healthy:   {run.Starting, run.Healthy},
	run.Unhealthy: {run.Starting, run.Healthy, run.Unhealthy},
	run.Draining:  {run.Starting, run.Healthy, run.Draining},
	run.Lingering: {run.Starting, run.Healthy, run.Draining, run.Lingering},
	run.Stopping:  {run.Starting, run.Stopping},
	run.Stopped:   {run.Stopped},
	run.Crashed:   {run.Starting, run.Crashed},
}

// move brings an instance into a state.
func (w world) move(t testing.TB, i run.InstanceID, to run.State) run.Instance {
	t.Helper()
	got, err := w.UpdateInstance(t.Context(), i, func(i run.Instance, now time.Time) (run.Instance, error) { return i.Move(to, now) })
	must(t, err)
	return got
}

func instances(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	rel := w.newRelease(t, w.app)
	g := w.newGroup(t, w.app, rel.ID, "web", 100)

	t.Run("saved, read and moved on, from every state to every other", func(t *testing.T) {
		index := 0
		for from, way := range ways {
			for to := range ways {
				index++
				i := w.newInstance(t, g, index, way...)
				saved, err := w.Instance(ctx, i.ID)
				must(t, err)
				if saved.State != from || !reflect.DeepEqual(saved, i) {
					t.Fatalf("read %+v, want %+v in state %s", saved, i, from)
				}
				_, err = w.UpdateInstance(ctx, i.ID, func(i run.Instance, _ time.Time) (run.Instance, error) {
					i.State = to // not by Move: the store checks by itself
					return i, nil
				})
				if want := from == to || from.CanBecome(to); (err == nil) != want {
					t.Errorf("%s to %s: err = %v, want it to be possible: %v", from, to, err, want)
				} else if err != nil {
					mustBe(t, err, fault.Conflict)
				}
			}
		}
	})

	t.Run("a group goes with the last instance that lingers", func(t *testing.T) {
		g := w.newGroup(t, w.app, rel.ID, "web", 2)
		first, second := w.newInstance(t, g, 0, ways[run.Lingering]...), w.newInstance(t, g, 1, ways[run.Draining]...)
		mustBe(t, w.DeleteGroup(ctx, g.ID), fault.Conflict)
		w.move(t, second.ID, run.Lingering)
		must(t, w.DeleteGroup(ctx, g.ID))
		got, err := w.Group(ctx, g.ID)
		must(t, err)
		if !got.Retired || !got.Disabled() || got.Size != 0 {
			t.Fatalf("with instances that linger the group is %+v", got)
		}
		all, err := w.AllGroups(ctx)
		must(t, err)
		if i := slices.IndexFunc(all, func(o run.Group) bool { return o.ID == g.ID }); all[i].Size != 2 {
			t.Errorf("two instances linger, and it takes the room of %d", all[i].Size)
		}
		for _, one := range []run.InstanceID{first.ID, second.ID} {
			if _, err := w.Group(ctx, g.ID); err != nil {
				t.Fatal(err)
			}
			w.move(t, one, run.Stopping)
			w.move(t, one, run.Stopped)
		}
		_, err = w.Group(ctx, g.ID)
		mustBe(t, err, fault.NotFound)
	})

	t.Run("an index is held once", func(t *testing.T) {
		g := w.newGroup(t, w.app, rel.ID, "web", 2)
		first := w.newInstance(t, g, 0, run.Starting)
		second := run.Instance{ID: run.InstanceID(id.New()), Group: g.ID, State: run.Pending}
		mustBe(t, w.AddInstance(ctx, second), fault.Conflict)
		crashed := w.move(t, first.ID, run.Crashed)
		must(t, w.ReplaceInstance(ctx, first.ID, crashed.Again(second.ID, time.Now())))
		mustBe(t, w.ReplaceInstance(ctx, first.ID, crashed.Again(run.InstanceID(id.New()), time.Now())), fault.Conflict)
		have, err := w.InstancesIn(ctx, g.ID)
		must(t, err)
		if len(have) != 1 || have[0].ID != second.ID || have[0].Restarts != 1 || have[0].Crashes != 1 {
			t.Errorf("instances = %+v, want the second one, restarted once", have)
		}
	})

	t.Run("several are added together or not at all", func(t *testing.T) {
		g := w.newGroup(t, w.app, rel.ID, "web", 3)
		fresh := func(index int, state run.State) run.Instance {
			return run.Instance{ID: run.InstanceID(id.New()), Group: g.ID, Index: index, State: state}
		}
		must(t, w.AddInstances(ctx, fresh(0, run.Pending), fresh(1, run.Starting)))
		mustBe(t, w.AddInstances(ctx, fresh(2, run.Starting), fresh(1, run.Starting)), fault.Conflict)
		if err := w.AddInstances(ctx, fresh(2, run.Starting), fresh(3, run.Healthy)); err == nil {
			t.Error("an instance was healthy from the first")
		}
		have, err := w.InstancesIn(ctx, g.ID)
		must(t, err)
		if len(have) != 2 || have[0].State != run.Pending || have[1].State != run.Starting {
			t.Errorf("instances = %+v, want the first two", have)
		}
	})

	t.Run("how it ended is kept and told", func(t *testing.T) {
		a := w.newApp(t, "crasher")
		g := w.newGroup(t, a, w.newRelease(t, a).ID, "worker", 1)
		i := w.newInstance(t, g, 0, run.Starting)
		exit := run.Exit{Code: 3, Reason: "exit 3", LastLines: []string{"no \xff database"}, At: time.Now().UTC().Round(0)}
		_, err := w.UpdateInstance(ctx, i.ID, func(i run.Instance, now time.Time) (run.Instance, error) {
			i.LastExit = &exit
			return i.Move(run.Crashed, now)
		})
		must(t, err)
		got, err := w.Instance(ctx, i.ID)
		must(t, err)
		if got.LastExit == nil || got.LastExit.Code != 3 || !got.LastExit.At.Equal(exit.At) || len(got.LastExit.LastLines) != 1 {
			t.Errorf("last exit = %+v", got.LastExit)
		}
		events, err := w.Events(ctx, store.EventFilter{App: a.ID, Kinds: []event.Kind{"instance.crashed"}})
		must(t, err)
		if len(events) != 1 || events[0].Subject != g.Name+"/0" || events[0].Detail["reason"] != "exit 3" {
			t.Errorf("events = %+v", events)
		}
	})

	t.Run("what may still be on the machine", func(t *testing.T) {
		for state, way := range ways {
			i := w.newInstance(t, w.newGroup(t, w.app, rel.ID, "web", 1), 0, way...)
			yes, err := w.HasInstance(ctx, i.ID)
			if want := state != run.Stopped && state != run.Crashed; err != nil || yes != want {
				t.Errorf("%s: HasInstance = %v, %v, want %v", state, yes, err, want)
			}
		}
		if yes, err := w.HasInstance(ctx, "nobody"); err != nil || yes {
			t.Errorf("HasInstance(nobody) = %v, %v", yes, err)
		}
	})

	t.Run("groups have a sequence per process type that never goes back", func(t *testing.T) {
		a := w.newApp(t, "My Shop")
		rel := w.newRelease(t, a)
		var names []string
		for _, process := range []string{"web", "worker", "web"} {
			names = append(names, w.newGroup(t, a, rel.ID, process, 1).Name)
		}
		if want := []string{"my-shop-v001", "my-shop--worker-v001", "my-shop-v002"}; !slices.Equal(names, want) {
			t.Errorf("names = %q, want %q", names, want)
		}
		groups, err := w.Groups(ctx, a.ID)
		must(t, err)
		must(t, w.DeleteGroup(ctx, groups[1].ID))
		if g := w.newGroup(t, a, rel.ID, "web", 1); g.Sequence != 3 {
			t.Errorf("sequence after a group was deleted = %d, want 3", g.Sequence)
		}
		live, err := w.LiveApps(ctx)
		must(t, err)
		if !slices.Contains(live, a.ID) {
			t.Error("an app with groups is not live")
		}
	})

	t.Run("a group that runs is not deleted", func(t *testing.T) {
		g := w.newGroup(t, w.app, rel.ID, "web", 1)
		i := w.newInstance(t, g, 0, run.Starting)
		mustBe(t, w.DeleteGroup(ctx, g.ID), fault.Conflict)
		w.move(t, i.ID, run.Crashed)
		must(t, w.DeleteGroup(ctx, g.ID))
		must(t, w.DeleteGroup(ctx, g.ID)) // gone already
	})

	t.Run("a table holds healthy shares and ports", func(t *testing.T) { routingInput(t, open) })
}

func routingInput(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	rel := w.newRelease(t, w.app)
	old, fresh := w.newGroup(t, w.app, rel.ID, "web", 3), w.newGroup(t, w.app, rel.ID, "web", 1)
	worker := w.newGroup(t, w.app, rel.ID, "worker", 1)
	for index := range 3 {
		w.newInstance(t, old, index, run.Starting, run.Healthy)
	}
	w.newInstance(t, fresh, 0, run.Starting, run.Healthy)
	w.newInstance(t, fresh, 1, run.Starting)
	w.newInstance(t, fresh, 2, run.Starting, run.Healthy, run.Unhealthy)
	r := w.newRoute(t, "shop.example", w.app.ID)
	r.Destinations[0].Port = 9000
	_, err := w.SetRoute(ctx, r)
	must(t, err)

	in, err := w.RoutingInput(ctx)
	must(t, err)
	if len(in.Routes) != 1 || len(in.Groups) != 3 || in.Apps[w.app.ID] != "shop" {
		t.Fatalf("input = %+v", in)
	}
	for _, g := range in.Groups {
		want := map[string]struct {
			weight    int
			instances int
			port      int
		}{string(old.ID): {75, 3, 3000}, string(fresh.ID): {25, 2, 3000}, string(worker.ID): {100, 0, 0}}[g.ID]
		if int(g.Weight) != want.weight || len(g.Instances) != want.instances || g.Port != want.port {
			t.Errorf("group %s: weight %d, %d instances, port %d, want %+v", g.Name, g.Weight, len(g.Instances), g.Port, want)
		}
	}
	none, err := w.CreateSpace(ctx, w.org.ID, "empty")
	must(t, err)
	if routes, err := w.RoutesAfter(ctx, none.ID, "", 10); err != nil || len(routes) != 0 {
		t.Errorf("routes of an empty space = %v, %v", routes, err)
	}
}
