package storetest

import (
	"testing"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/quota"
	"naru/internal/route"
	"naru/internal/store"
)

// quotas: what organisations and spaces may have, and what is counted.
func quotas(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	made := func(org app.OrgID, name string, limits quota.Limits) quota.Quota {
		t.Helper()
		q, err := w.CreateQuota(ctx, quota.Quota{ID: quota.ID(id.New()), Org: org, Name: name, Limits: limits}, happened("quota.created", name))
		must(t, err)
		return q
	}

	t.Run("there is a default that limits nothing and stays", func(t *testing.T) {
		q, err := w.QuotaNamed(ctx, "", quota.DefaultName)
		if err != nil || q.ID != quota.DefaultID || len(q.Limits) != 0 || q.Created.IsZero() {
			t.Errorf("default quota: %+v, %v", q, err)
		}
		if held, err := w.QuotasIn(ctx, w.space.ID); err != nil || len(held) != 0 {
			t.Errorf("quotas that limit: %+v, %v", held, err)
		}
		if h, err := w.QuotaOfOrg(ctx, w.org.ID); err != nil || h.ID != quota.DefaultID || h.Place != w.org.Name || len(h.Spaces) == 0 {
			t.Errorf("quota of the organisation: %+v, %v", h, err)
		}
		if err := w.DeleteQuota(ctx, quota.DefaultID); !fault.Is(err, fault.Conflict) {
			t.Errorf("delete the default: %v", err)
		}
	})

	t.Run("names are free where nobody has them", func(t *testing.T) {
		made("", "small", quota.Limits{quota.Routes: 1})
		made(w.org.ID, "small", nil)
		for _, org := range []app.OrgID{"", w.org.ID} {
			if _, err := w.CreateQuota(ctx, quota.Quota{ID: quota.ID(id.New()), Org: org, Name: "small"}); !fault.Is(err, fault.Conflict) {
				t.Errorf("twice: %v", err)
			}
		}
		if _, err := w.CreateQuota(ctx, quota.Quota{ID: quota.ID(id.New()), Org: "nowhere", Name: "x"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("of no organisation: %v", err)
		}
	})

	t.Run("a change is kept, another organisation is not", func(t *testing.T) {
		q := made("", "growing", quota.Limits{quota.Memory: 0})
		got, err := w.UpdateQuota(ctx, q.ID, func(q *quota.Quota) error {
			q.Limits, q.Name = q.Limits.Apply(quota.Change{quota.Memory: nil, quota.Ports: new(int)}), "grown"
			return nil
		})
		if again, err2 := w.Quota(ctx, q.ID); err != nil || err2 != nil || again.Name != "grown" || len(again.Limits) != 1 || got.Updated.Before(q.Created) {
			t.Errorf("changed: %+v, %v, %v", again, err, err2)
		}
		if _, err := w.UpdateQuota(ctx, q.ID, func(q *quota.Quota) error { q.Name = "small"; return nil }); !fault.Is(err, fault.Conflict) {
			t.Errorf("a taken name: %v", err)
		}
		if _, err := w.UpdateQuota(ctx, q.ID, func(q *quota.Quota) error { q.Org = w.org.ID; return nil }); err == nil {
			t.Error("it moved")
		}
	})

	t.Run("what is given holds until it is taken", func(t *testing.T) {
		forOrg, forSpace := made("", "org", quota.Limits{quota.Routes: 5}), made(w.org.ID, "space", quota.Limits{quota.Memory: 100})
		must(t, w.AssignQuota(ctx, forOrg.ID, w.org.ID, ""))
		must(t, w.AssignQuota(ctx, forSpace.ID, "", w.space.ID, happened("quota.assigned", "space")))
		held, err := w.QuotasIn(ctx, w.space.ID)
		must(t, err)
		if len(held) != 2 || held[0].ID != forOrg.ID || held[1].ID != forSpace.ID || held[1].Place != w.space.Name || len(held[1].Spaces) != 1 {
			t.Errorf("quotas in the space: %+v", held)
		}
		for name, err := range map[string]error{
			"a space quota for an organisation": w.AssignQuota(ctx, forSpace.ID, w.org.ID, ""),
			"an organisation's for a space":     w.AssignQuota(ctx, forOrg.ID, "", w.space.ID),
		} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.DeleteQuota(ctx, forOrg.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("delete what an organisation has: %v", err)
		}
		holders, err := w.QuotaHolders(ctx)
		must(t, err)
		if len(holders) != 2 || holders[string(w.space.ID)] != forSpace.ID {
			t.Errorf("holders: %v", holders)
		}
		must(t, w.DeleteQuota(ctx, forSpace.ID))
		must(t, w.AssignQuota(ctx, quota.DefaultID, w.org.ID, ""))
		must(t, w.DeleteQuota(ctx, forOrg.ID))
		if held, err := w.QuotasIn(ctx, w.space.ID); err != nil || len(held) != 0 {
			t.Errorf("afterwards: %+v, %v", held, err)
		}
		if err := w.UnassignQuota(ctx, w.space.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("take what is not there: %v", err)
		}
	})

	t.Run("labels are of one thing and go with what it goes with", func(t *testing.T) {
		space, err := w.CreateSpace(ctx, w.org.ID, "labelled", happened("space.created", "labelled"))
		must(t, err)
		a := w.newAppIn(t, space.ID, "labelled")
		text := func(s string) *string { return &s }
		for _, on := range []label.Thing{
			{Kind: "apps", ID: string(a.ID), App: a.ID}, {Kind: "processes", ID: string(a.ID), App: a.ID}, {Kind: "spaces", ID: string(space.ID), Space: space.ID},
			{Kind: "users", ID: "somebody"},
		} {
			_, err := w.SetLabels(ctx, on, label.Change{Labels: map[string]*string{"a": text("1"), "b": text("")}, Annotations: map[string]*string{"note": text("x")}})
			must(t, err)
			got, err := w.SetLabels(ctx, on, label.Change{Labels: map[string]*string{"a": text("2"), "b": nil}})
			if err != nil || len(got.Labels) != 1 || got.Labels["a"] != "2" || got.Annotations["note"] != "x" {
				t.Errorf("%s: %+v, %v", on.Kind, got, err)
			}
		}
		if got, err := w.LabelsOf(ctx, "apps", string(a.ID), "nothing"); err != nil || len(got) != 1 {
			t.Errorf("labels of apps: %v, %v", got, err)
		}
		if got, err := w.LabelsOf(ctx, "processes"); err != nil || len(got) != 1 {
			t.Errorf("labels of all processes: %v, %v", got, err)
		}
		must(t, w.DeleteApp(ctx, a.ID))
		must(t, w.DeleteSpace(ctx, space.ID))
		for kind, want := range map[string]int{"apps": 0, "processes": 0, "spaces": 0, "users": 1} {
			if got, err := w.LabelsOf(ctx, kind); err != nil || len(got) != want {
				t.Errorf("%s afterwards: %v, %v", kind, got, err)
			}
		}
	})

	t.Run("labels go with their thing, whose id may come back", func(t *testing.T) {
		r, err := w.SetRoute(ctx, route.Route{ID: route.ID(id.New()), Space: w.space.ID, Host: "labelled.example", Path: "/"})
		must(t, err)
		d, err := w.CreateDomain(ctx, route.Domain{ID: "labelled", Name: "labelled.example", Org: w.org.ID})
		must(t, err)
		yes := "yes"
		for _, on := range []label.Thing{{Kind: label.Routes, ID: string(r.ID), Space: w.space.ID}, {Kind: label.Domains, ID: string(d.ID), Org: w.org.ID}} {
			_, err := w.SetLabels(ctx, on, label.Change{Labels: map[string]*string{"a": &yes}})
			must(t, err)
		}
		must(t, w.DeleteRoute(ctx, r.ID))
		must(t, w.DeleteDomain(ctx, d.ID))
		for _, kind := range []string{label.Routes, label.Domains} {
			if got, err := w.LabelsOf(ctx, kind); err != nil || len(got) != 0 {
				t.Errorf("%s: %v, %v", kind, got, err)
			}
		}
	})

	t.Run("routes and ports are counted in the spaces that are named", func(t *testing.T) {
		for i, r := range []route.Route{{Host: "a.example", Path: "/"}, {TCP: &route.TCP{Port: 20007}}, {Host: "tcp", Path: "/"}} {
			r.ID, r.Space = route.ID(id.New()), w.space.ID
			if _, err := w.SetRoute(ctx, r); err != nil {
				t.Fatal(i, err)
			}
		}
		for r, want := range map[quota.Resource]int{quota.Routes: 3, quota.Ports: 1} {
			if got, err := w.CountIn(ctx, r, []app.SpaceID{w.space.ID, "another"}); err != nil || got != want {
				t.Errorf("%s: %d, %v, want %d", r, got, err, want)
			}
		}
		if got, err := w.CountIn(ctx, quota.Routes, []app.SpaceID{"another"}); err != nil || got != 0 {
			t.Errorf("elsewhere: %d, %v", got, err)
		}
	})

	t.Run("domains are of one organisation, or of all", func(t *testing.T) {
		other, err := w.CreateOrg(ctx, "other")
		must(t, err)
		mine, err := w.CreateDomain(ctx, route.Domain{ID: "d1", Name: "mine.example", Org: w.org.ID}, happened("domain.created", "mine.example"))
		must(t, err)
		_, err = w.CreateDomain(ctx, route.Domain{ID: "d2", Name: "all.example"})
		must(t, err)
		_, err = w.CreateDomain(ctx, route.Domain{ID: "d3", Name: "sub.mine.example", Org: w.org.ID})
		must(t, err)
		for name, d := range map[string]route.Domain{
			"a taken name":      {ID: "d4", Name: "mine.example", Org: w.org.ID},
			"below another's":   {ID: "d5", Name: "sub.mine.example", Org: other.ID},
			"above another's":   {ID: "d6", Name: "example", Org: other.ID},
			"below a shared":    {ID: "d7", Name: "x.all.example", Org: other.ID},
			"shared over a own": {ID: "d8", Name: "x.mine.example"},
		} {
			if _, err := w.CreateDomain(ctx, d); !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for range 2 {
			got, err := w.ShareDomain(ctx, mine.ID, []app.OrgID{other.ID}, true)
			if err != nil || !got.For(other.ID) || len(got.Shared) != 1 {
				t.Errorf("shared: %+v, %v", got, err)
			}
		}
		if got, err := w.ShareDomain(ctx, mine.ID, []app.OrgID{other.ID}, false); err != nil || got.For(other.ID) {
			t.Errorf("unshared: %+v, %v", got, err)
		}
		if n, err := w.CountDomains(ctx, w.org.ID); err != nil || n != 2 {
			t.Errorf("counted %d, %v", n, err)
		}
		must(t, w.DeleteDomain(ctx, "d2"))
		if err := w.DeleteDomain(ctx, "d2"); !fault.Is(err, fault.NotFound) {
			t.Errorf("twice: %v", err)
		}
	})

	t.Run("all of it goes with its organisation", func(t *testing.T) {
		org, err := w.CreateOrg(ctx, "leaving")
		must(t, err)
		space, err := w.CreateSpace(ctx, org.ID, "leaving")
		must(t, err)
		q := made(org.ID, "its", nil)
		must(t, w.AssignQuota(ctx, q.ID, "", space.ID))
		must(t, w.AssignQuota(ctx, quota.DefaultID, org.ID, ""))
		_, err = w.CreateDomain(ctx, route.Domain{ID: "gone", Name: "gone.example", Org: org.ID})
		must(t, err)
		_, err = w.CreateDomain(ctx, route.Domain{ID: "stays", Name: "stays.example", Org: w.org.ID, Shared: []app.OrgID{org.ID}})
		must(t, err)
		must(t, w.DeleteSpace(ctx, space.ID))
		must(t, w.DeleteOrg(ctx, org.ID))
		if _, err := w.Quota(ctx, q.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("its quota: %v", err)
		}
		holders, err := w.QuotaHolders(ctx)
		must(t, err)
		all, err := w.Domains(ctx)
		must(t, err)
		for _, d := range all {
			if d.Name == "gone.example" || d.For(org.ID) && d.Org != "" {
				t.Errorf("its domain is there: %+v", d)
			}
		}
		if holders[string(org.ID)] != "" || holders[string(space.ID)] != "" {
			t.Errorf("holders: %v", holders)
		}
	})
}
