package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/budget"
	"naru/internal/judge/objective"
	"naru/internal/pipeline/account"
	"naru/internal/pipeline/operation"
)

// reports are what is known of objectives, by app.
type reports map[app.ID][]objective.Report

func (r reports) Reports(_ context.Context, a app.ID, _ time.Time) ([]objective.Report, error) {
	return r[a], nil
}

func (r reports) Owners(context.Context) (out []app.ID, err error) {
	for id := range r {
		out = append(out, id)
	}
	return out, nil
}

// reportOf is an objective of 99.9 % over 28 days with a share of its budget left.
func reportOf(name string, left float64) objective.Report {
	r := objective.Report{Objective: app.Objective{Name: name, Window: app.Window{Rolling: app.Duration(28 * 24 * time.Hour)}}, Left: left, Used: 1 - left, Budget: objective.Budget(0.999, 28*24*time.Hour)}
	r.Known, r.Target, r.Ratio = true, 0.999, 1-0.001*(1-left)
	return r
}

// MayPush lets everything through; what delivering asks is its own test.
func (p *pipeline) MayPush(ctx context.Context, by operation.Ask, space app.SpaceID, in client.PushCheck) (client.PushPermit, error) {
	permit := client.PushPermit{Tier: "free", Warnings: []string{}}
	_, err := p.store.AppNamed(ctx, space, in.App)
	if fault.Is(err, fault.NotFound) {
		return permit, nil
	}
	return permit, err
}

func TestPolicyOfASpace(t *testing.T) {
	w := newWorld(t, api.Config{})
	shop := w.app("shop")
	w.app("bare")
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.user("boss", auth.Grant{Role: auth.OrgManager, Org: w.org.ID})
	w.reports[shop.ID] = []objective.Report{reportOf("home", -0.5), reportOf("cart", 0.4)}
	ctx := t.Context()

	p, err := w.dev("dev").Policy(ctx)
	must(t, err)
	if !p.Standard || p.BudgetPolicy != client.BudgetPolicy(budget.Standard) || len(p.Apps) != 1 || p.Apps[0].Tier != "freeze" || len(p.Apps[0].Objectives) != 2 {
		t.Fatalf("at first %+v", p)
	}
	if o := p.Apps[0].Objectives[1]; o.Name != "cart" || o.Tier != "warn" || o.Left == nil || *o.Left != 0.4 || !strings.Contains(o.Text, "40 %") {
		t.Errorf("cart is %+v", o)
	}
	if _, err := w.dev("dev").SetPolicy(ctx, client.BudgetPolicy{Warn: 0.3}); !fault.Is(err, fault.Denied) {
		t.Errorf("a developer sets a policy: %v", err)
	}
	if _, err := w.dev("boss").SetPolicy(ctx, client.BudgetPolicy{Warn: 0.1, Canary: 0.5, Freeze: 0}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a policy upside down: %v", err)
	}
	want := client.BudgetPolicy{Warn: 0.2, Canary: budget.Off, Freeze: budget.Off, Margin: 0.05}
	_, err = w.dev("boss").SetPolicy(ctx, want)
	must(t, err)
	p, err = w.dev("dev").Policy(ctx)
	must(t, err)
	if p.Standard || p.BudgetPolicy != want || p.Apps[0].Tier != "warn" {
		t.Errorf("then %+v", p)
	}
	must(t, w.dev("boss").ClearPolicy(ctx))
	if p, err = w.dev("dev").Policy(ctx); err != nil || !p.Standard || p.Apps[0].Tier != "freeze" {
		t.Errorf("cleared: %+v, %v", p, err)
	}
	evs, err := w.store.EventsBefore(ctx, w.space.ID, "", "policy.set", 0, 10)
	must(t, err)
	if len(evs) != 2 || evs[1].Actor != "boss" || evs[1].Detail["warn"] != 0.2 || evs[0].Detail["standard"] != true {
		t.Errorf("events %+v", evs)
	}
}

func TestOverrideOfABudget(t *testing.T) {
	w := newWorld(t, api.Config{})
	shop := w.app("shop")
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.user("boss", auth.Grant{Role: auth.OrgManager, Org: w.org.ID})
	w.reports[shop.ID] = []objective.Report{reportOf("home", -0.5)}
	ctx := t.Context()
	in := client.NewOverride{Reason: "the law begins today"}
	if _, err := w.dev("dev").App("shop").OverrideBudget(ctx, in); !fault.Is(err, fault.Denied) {
		t.Errorf("a developer overrides: %v", err)
	}
	for name, bad := range map[string]client.NewOverride{
		"no reason worth the name": {Reason: "please"},
		"for ever":                 {Reason: in.Reason, For: client.Duration(8 * 24 * time.Hour)},
		"for a moment":             {Reason: in.Reason, For: client.Duration(time.Second)},
	} {
		if _, err := w.dev("boss").App("shop").OverrideBudget(ctx, bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := time.Now()
	o, err := w.dev("boss").App("shop").OverrideBudget(ctx, in)
	must(t, err)
	if o.By != "boss" || o.Reason != in.Reason || o.Until.Before(before.Add(2*time.Hour-time.Second)) || o.Until.After(time.Now().Add(2*time.Hour)) {
		t.Errorf("granted %+v", o)
	}
	p, err := w.dev("dev").Policy(ctx)
	must(t, err)
	if p.Apps[0].Override == nil || p.Apps[0].Override.By != "boss" {
		t.Errorf("the override is not shown: %+v", p.Apps[0])
	}
	must(t, w.dev("boss").App("shop").EndOverride(ctx))
	if p, err = w.dev("dev").Policy(ctx); err != nil || p.Apps[0].Override != nil {
		t.Errorf("ended, and %+v, %v", p.Apps[0].Override, err)
	}
	evs, err := w.store.EventsBefore(ctx, "", shop.ID, "budget.overridden", 0, 10)
	must(t, err)
	if len(evs) != 2 || evs[1].Actor != "boss" || evs[1].Detail["reason"] != in.Reason {
		t.Errorf("events %+v", evs)
	}
}

func TestWhyAndWhatChanged(t *testing.T) {
	w := newWorld(t, api.Config{})
	shop := w.app("shop")
	ctx := t.Context()
	why, err := w.dev("root").App("shop").Why(ctx)
	must(t, err)
	if why.State != "empty" || len(why.Sentences) != 1 || why.Sentences[0] != "shop has no release yet." || why.Try[0] != "naru push shop" {
		t.Errorf("why: %+v", why)
	}
	must(t, w.store.AppendEvents(ctx, event.Event{
		Kind: "env.changed", Actor: "ada", Space: string(shop.Space), App: string(shop.ID), Subject: "shop", Detail: map[string]any{"names": []string{"GREETING"}},
	}))
	got, err := w.dev("root").App("shop").Changes(ctx, "1h")
	must(t, err)
	if len(got.Changes) != 1 || got.Changes[0].Mark != "A" || got.Changes[0].Kind != "config" || got.Changes[0].Text != "environment: GREETING" || got.Changes[0].Actor != "ada" {
		t.Errorf("changes: %+v", got.Changes)
	}
	for _, since := range []string{"yesterday", "1s", "99d"} {
		if _, err := w.dev("root").App("shop").Changes(ctx, since); !fault.Is(err, fault.Invalid) {
			t.Errorf("since %s: %v", since, err)
		}
	}
}

// teller tells of apps without any traffic.
func (w *world) teller() *account.Teller { return account.New(w.store, nil, 0, w.gate, time.Now) }
