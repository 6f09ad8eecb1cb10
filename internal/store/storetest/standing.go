package storetest

import (
	"testing"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
	"naru/internal/store"
)

// standing is what admission asks about all apps at once.
func standing(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	blog := w.newApp(t, "blog")
	rel := w.newRelease(t, w.app)
	first := w.newGroup(t, w.app, rel.ID, app.Web, 3)
	w.newGroup(t, blog, w.newRelease(t, blog).ID, "worker", 2)

	groups, err := w.AllGroups(t.Context())
	must(t, err)
	sizes := map[app.ID]int{}
	for _, g := range groups {
		sizes[g.App] += g.Size
		if g.ID == first.ID && (g.Process != app.Web || g.Release != rel.ID || g.Space != w.space.ID) {
			t.Errorf("group = %+v, want %+v", g, first)
		}
	}
	if len(groups) != 2 || sizes[w.app.ID] != 3 || sizes[blog.ID] != 2 {
		t.Errorf("groups of all apps: %+v", groups)
	}

	processes, err := w.ProcessesOf(t.Context(), rel.ID, "no-such-release")
	must(t, err)
	if len(processes) != 1 || len(processes[rel.ID]) != len(rel.Processes) || processes[rel.ID][0].MemoryMiB != rel.Processes[0].MemoryMiB {
		t.Errorf("processes = %+v, want those of %+v", processes, rel)
	}
	if none, err := w.ProcessesOf(t.Context()); err != nil || len(none) != 0 {
		t.Errorf("processes of nothing = %v, %v", none, err)
	}

	ro := w.newRollout(t, w.app)
	under, err := w.OpenRollouts(t.Context())
	must(t, err)
	if len(under) != 1 || under[0].ID != ro.ID || under[0].Release != ro.Release {
		t.Errorf("open rollouts = %+v", under)
	}
	for _, to := range []rollout.State{rollout.Aborting, rollout.RolledBack} {
		_, err = w.MoveRollout(t.Context(), ro.ID, to, "")
		must(t, err)
	}
	if under, err := w.OpenRollouts(t.Context()); err != nil || len(under) != 0 {
		t.Errorf("open rollouts = %+v, %v; all have ended", under, err)
	}
}
