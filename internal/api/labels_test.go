package api_test

import (
	"fmt"
	"strings"
	"testing"

	"naru/internal/api"
	"naru/internal/app/label"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/route"
)

func text(s string) *string { return &s }

func TestLabels(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.user("manager", auth.Grant{Role: auth.OrgManager, Org: w.org.ID})
	shop := w.app("shop")
	in := w.dev("dev").App("shop").Labels()
	if got, err := in.Get(t.Context()); err != nil || got.Labels == nil || len(got.Labels)+len(got.Annotations) != 0 {
		t.Errorf("at first: %+v, %v", got, err)
	}
	got, err := in.Change(t.Context(), client.LabelChange{
		Labels: map[string]*string{"team": text("checkout"), "example.com/stage": text("")}, Annotations: map[string]*string{"note": text("hello, world")},
	})
	if err != nil || got.Labels["team"] != "checkout" || got.Annotations["note"] != "hello, world" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if got, err = in.Change(t.Context(), client.LabelChange{Labels: map[string]*string{"team": nil}}); err != nil || fmt.Sprint(got.Labels) != "map[example.com/stage:]" {
		t.Errorf("one taken away: %+v, %v", got, err)
	}
	if d, err := w.dev("dev").App("shop").Get(t.Context()); err != nil || fmt.Sprint(d.Labels) != "map[example.com/stage:]" {
		t.Errorf("the app shows %v, %v", d.Labels, err)
	}

	evs, err := w.store.EventsBefore(t.Context(), w.space.ID, shop.ID, "app.labelled", 0, 10)
	must(t, err)
	if len(evs) != 2 || evs[1].Actor != "dev" || evs[1].Subject != "shop" || fmt.Sprint(evs[1].Detail["annotations"]) != "[note]" {
		t.Errorf("recorded: %+v", evs)
	}

	_, err = w.store.CreateDomain(t.Context(), route.Domain{ID: "own", Name: "example.com", Org: w.org.ID})
	must(t, err)
	manager := w.client("manager")
	for what, on := range map[string]*client.InLabels{
		"space": manager.In("", "").Labels(), "org": manager.OrgLabels("default"), "domain": manager.DomainLabels("default", "example.com"),
		"the apps domain": w.client("root").DomainLabels("default", "localhost"),
	} {
		if got, err := on.Change(t.Context(), client.LabelChange{Labels: map[string]*string{"a": text("b")}}); err != nil || got.Labels["a"] != "b" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if got, err := on.Get(t.Context()); err != nil || got.Labels["a"] != "b" {
			t.Errorf("%s later: %+v, %v", what, got, err)
		}
	}
	if written, err := w.store.LabelsOf(t.Context(), label.Domains, "own"); err != nil || written["own"].Labels["a"] != "b" {
		t.Errorf("the domain has %v, %v", written, err)
	}
}

func TestLabelsThatAreRefused(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("manager", auth.Grant{Role: auth.OrgManager, Org: w.org.ID})
	w.app("shop")
	in := w.dev("root").App("shop").Labels()
	many := map[string]*string{}
	for i := range label.MaxLabels + 1 {
		many[fmt.Sprint("k", i)] = text("v")
	}
	for name, change := range map[string]client.LabelChange{
		"a space in a key": {Labels: map[string]*string{"a b": text("")}}, "a long value": {Labels: map[string]*string{"a": text(strings.Repeat("x", 64))}},
		"a reserved prefix": {Annotations: map[string]*string{"cloudfoundry.org/a": text("b")}}, "too many": {Labels: many},
		"a long note": {Annotations: map[string]*string{"a": text(strings.Repeat("x", 5001))}},
	} {
		if _, err := in.Change(t.Context(), change); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.client("manager").DomainLabels("default", "localhost").Change(t.Context(), client.LabelChange{Labels: map[string]*string{"a": text("b")}}); !fault.Is(err, fault.Denied) {
		t.Errorf("a domain that all share, by a manager of one organisation: %v", err)
	}
	for what, on := range map[string]*client.InLabels{
		"domain": w.client("root").DomainLabels("default", "nowhere.example"), "route": w.dev("root").RouteLabels("nowhere.example"),
		"service": w.dev("root").ServiceLabels("nothing"), "app": w.dev("root").App("nothing").Labels(),
	} {
		if _, err := on.Get(t.Context()); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s that is not there: %v", what, err)
		}
	}
}

// Pages are full of what is meant, however much is not.
func TestSelectedLists(t *testing.T) {
	w := newWorld(t, api.Config{})
	var want []string
	for i := range 620 {
		a := w.app(fmt.Sprintf("app-%03d", i))
		if i%200 == 7 {
			want = append(want, a.Name)
			_, err := w.store.SetLabels(t.Context(), label.Thing{Kind: label.Apps, ID: string(a.ID), App: a.ID}, label.Change{Labels: map[string]*string{"team": text("checkout")}})
			must(t, err)
		}
	}
	dev := w.dev("root")
	var got []string
	page := client.Page{Limit: 2, Selector: "team=checkout"}
	for pages := 0; ; pages++ {
		l, err := dev.Apps(t.Context(), page)
		must(t, err)
		for _, a := range l.Items {
			got = append(got, a.Name)
			if a.Labels["team"] != "checkout" {
				t.Errorf("%s shows %v", a.Name, a.Labels)
			}
		}
		if page.After = l.Next; page.After == "" {
			if pages != 1 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(want) != 4 {
		t.Errorf("got %v, want %v", got, want)
	}
	if l, err := dev.Apps(t.Context(), client.Page{Limit: 1000, Selector: "!team"}); err != nil || len(l.Items) != 616 || l.Next != "" {
		t.Errorf("others: %d, %v", len(l.Items), err)
	}

	r, err := w.store.SetRoute(t.Context(), route.Route{ID: "r", Space: w.space.ID, Host: "a.example", Path: "/"})
	must(t, err)
	_, err = dev.RouteLabels(r.Name()).Change(t.Context(), client.LabelChange{Labels: map[string]*string{"public": text("")}})
	must(t, err)
	if l, err := dev.Routes(t.Context(), client.Page{Selector: "public"}); err != nil || len(l.Items) != 1 || l.Items[0].ID != "r" {
		t.Errorf("routes: %+v, %v", l, err)
	}
	if r, err := dev.Route(t.Context(), "a.example"); err != nil || len(r.Labels) != 1 {
		t.Errorf("the route shows %v, %v", r.Labels, err)
	}
	if l, err := w.client("root").Orgs(t.Context(), client.Page{Selector: "!public"}); err != nil || len(l.Items) != 1 {
		t.Errorf("orgs: %+v, %v", l, err)
	}
	if l, err := w.client("root").Spaces(t.Context(), "default", client.Page{Selector: "public"}); err != nil || len(l.Items) != 0 {
		t.Errorf("spaces: %+v, %v", l, err)
	}
	if _, err := dev.Apps(t.Context(), client.Page{Selector: "a b"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a selector that is none: %v", err)
	}
}

func TestRenaming(t *testing.T) {
	w := newWorld(t, api.Config{})
	shop := w.app("shop")
	dev := w.dev("root")
	if d, err := dev.App("shop").Rename(t.Context(), "store"); err != nil || d.Name != "store" || d.ID != string(shop.ID) || d.Slug != "shop" {
		t.Errorf("app: %+v, %v", d, err)
	}
	w.app("other")
	if _, err := dev.App("store").Rename(t.Context(), "other"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a taken name: %v", err)
	}
	if _, err := dev.App("store").Rename(t.Context(), "a/b"); !fault.Is(err, fault.Invalid) {
		t.Errorf("no name: %v", err)
	}
	if _, err := dev.Rename(t.Context(), "prod"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a space with apps: %v", err)
	}
	root := w.client("root")
	_, err := root.CreateSpace(t.Context(), "default", "stage")
	must(t, err)
	if s, err := root.In("", "stage").Rename(t.Context(), "staging"); err != nil || s.Name != "staging" || s.Org != "default" {
		t.Errorf("space: %+v, %v", s, err)
	}
	if s, err := root.In("", "staging").Rename(t.Context(), "staging"); err != nil || s.Name != "staging" {
		t.Errorf("the same name: %+v, %v", s, err)
	}
	if _, err := root.In("", "staging").Rename(t.Context(), "a/b"); !fault.Is(err, fault.Invalid) {
		t.Errorf("no name for a space: %v", err)
	}
	_, err = root.CreateOrg(t.Context(), "acme")
	must(t, err)
	if o, err := root.RenameOrg(t.Context(), "acme", "acme-corp"); err != nil || o.Name != "acme-corp" {
		t.Errorf("org: %+v, %v", o, err)
	}
	if _, err := root.RenameOrg(t.Context(), "acme-corp", "default"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a taken name of an org: %v", err)
	}
}
