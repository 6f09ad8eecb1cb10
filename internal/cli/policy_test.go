package cli_test

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge/budget"
	"naru/internal/judge/objective"
	"naru/internal/pipeline/account"
	"naru/internal/pipeline/gate"
	"naru/internal/pipeline/operation"
	"naru/internal/store"
)

// gate is a real one; the budgets of apps are what their names say: spent-shop has
// spent half as much again as it had, scarce-shop has 5 % left.
func (p *platform) gate() *gate.Gate {
	return gate.New(p.store, named{p.store}, time.Now, slog.New(slog.DiscardHandler))
}

type named struct{ store *store.Store }

func (n named) Owners(ctx context.Context) (out []app.ID, err error) {
	apps, err := n.store.Apps(ctx, store.AppFilter{})
	for _, a := range apps {
		if reports, err := n.Reports(ctx, a.ID, time.Time{}); err == nil && len(reports) > 0 {
			out = append(out, a.ID)
		}
	}
	return out, err
}

func (n named) Reports(ctx context.Context, id app.ID, _ time.Time) ([]objective.Report, error) {
	a, err := n.store.App(ctx, id)
	if err != nil {
		return nil, err
	}
	left := 0.0
	switch {
	case strings.HasPrefix(a.Name, "spent-"):
		left = -0.5
	case strings.HasPrefix(a.Name, "scarce-"):
		left = 0.05
	default:
		return nil, nil
	}
	r := objective.Report{Objective: app.Objective{Name: "home", Window: app.Window{Rolling: app.Duration(28 * 24 * time.Hour)}}, Left: left, Budget: objective.Budget(0.999, 28*24*time.Hour)}
	r.Known, r.Target, r.Ratio = true, 0.999, 1-0.001*(1-left)
	return []objective.Report{r}, nil
}

// MayPush asks the gate as delivering does.
func (p *platform) MayPush(ctx context.Context, _ operation.Ask, space app.SpaceID, in client.PushCheck) (client.PushPermit, error) {
	a, err := p.store.AppNamed(ctx, space, in.App)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			err = nil
		}
		return client.PushPermit{Tier: "free", Warnings: []string{}}, err
	}
	change := budget.Change{Kind: budget.Feature, Canary: in.Strategy != nil && in.Strategy.Kind == "canary"}
	if in.ReliabilityFix {
		change.Kind = budget.Reliability
	}
	d, change, err := p.gate().Ask(ctx, a, change)
	if err != nil {
		return client.PushPermit{}, err
	}
	return client.PushPermit{Tier: string(d.Tier), Warnings: append([]string{}, d.Warnings...)}, d.Err(change)
}

// teller tells of apps without any traffic.
func (p *platform) teller() *account.Teller { return account.New(p.store, nil, 0, p.gate(), time.Now) }
