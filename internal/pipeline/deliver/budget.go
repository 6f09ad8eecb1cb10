package deliver

import (
	"context"
	"strings"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge/budget"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

// Gate says what may be changed while so much of an app's error budgets is left;
// package gate has it. It is asked in two places: by permitted, before a request is
// taken, and by admitted, before its operation changes anything. What only keeps an
// app going (scale, stop, routes, groups) is not asked about: it is never refused.
type Gate interface {
	Ask(ctx context.Context, a app.App, c budget.Change) (budget.Decision, budget.Change, error)
	Refused(ctx context.Context, a app.App, d budget.Decision, actor string) error
	Passed(ctx context.Context, a app.App, d budget.Decision, c budget.Change, actor string) error
}

// MayPush says whether a push would be taken, before anything is sent for it. One
// that is refused is recorded as such.
func (s *Service) MayPush(ctx context.Context, by operation.Ask, space app.SpaceID, in client.PushCheck) (client.PushPermit, error) {
	permit := client.PushPermit{Tier: string(budget.Free), Warnings: []string{}}
	a, err := s.store.AppNamed(ctx, space, in.App)
	if fault.Is(err, fault.NotFound) {
		return permit, nil
	}
	if err != nil {
		return permit, err
	}
	asked, err := s.checkStrategy(a, in.Strategy)
	if err != nil {
		return permit, err
	}
	d, asked, err := s.permitted(ctx, by.Actor, a, pushKind(in.ReliabilityFix, in.NoStart), asked)
	if d.Tier != "" {
		permit.Tier = string(d.Tier)
	}
	permit.Warnings = append(permit.Warnings, d.Warnings...)
	permit.Strategy = string(s.strategy(asked, a).Kind)
	return permit, err
}

// pushKind is what a push is to the gate. One that starts nothing changes nothing
// that runs: what starts it later is asked about.
func pushKind(fix, noStart bool) budget.ChangeKind {
	switch {
	case fix:
		return budget.Reliability
	case noStart:
		return budget.Operation
	}
	return budget.Feature
}

// permitted asks the gate about a change, and records a refusal. Where a tier lets
// only canaries through and nobody asked for another strategy, it is one.
func (s *Service) permitted(ctx context.Context, actor string, a app.App, kind budget.ChangeKind, asked app.Strategy) (budget.Decision, app.Strategy, error) {
	if s.gate == nil {
		return budget.Decision{Allowed: true}, asked, nil
	}
	d, c, forced, err := s.asked(ctx, a, kind, asked)
	if err != nil {
		return d, asked, err
	}
	if refusal := d.Err(c); refusal != nil {
		if err := s.gate.Refused(ctx, a, d, actor); err != nil {
			return d, asked, err
		}
		return d, asked, refusal
	}
	return d, forced, nil
}

// asked asks the gate, once more as a canary where that makes the difference.
func (s *Service) asked(ctx context.Context, a app.App, kind budget.ChangeKind, asked app.Strategy) (budget.Decision, budget.Change, app.Strategy, error) {
	d, c, err := s.gate.Ask(ctx, a, budget.Change{Kind: kind, Canary: canary(s.strategy(asked, a))})
	if err != nil || d.Tier != budget.Canary || kind != budget.Feature || c.Canary || asked.Kind != "" {
		return d, c, asked, err
	}
	forced := asked
	forced.Kind = app.Canary
	if spec := s.strategy(forced, a); !canary(spec) || spec.Check("strategy") != nil {
		return d, c, asked, nil
	}
	c.Canary = true
	d, c, err = s.gate.Ask(ctx, a, c)
	if err == nil && d.Allowed {
		d.Warnings = append([]string{"little of the error budget is left, so this goes out as a canary"}, d.Warnings...)
	}
	return d, c, forced, err
}

// canary reports that a strategy gives a new release a share of the traffic that is
// watched.
func canary(s app.Strategy) bool {
	return (s.Kind == app.Canary || s.Kind == app.Rings) && !s.Guard.Off
}

// gateName is where an operation keeps that what let it pass was recorded.
const gateName = "gate"

// admitted asks the gate again when an operation is about to change something: it
// may have waited, and the budget gone on. What passed though its tier forbids it is
// recorded, once.
func (s *Service) admitted(ctx context.Context, w *operation.Work, a app.App, kind budget.ChangeKind, asked app.Strategy) (app.Strategy, error) {
	if s.gate == nil {
		return asked, nil
	}
	op, err := s.store.Operation(ctx, w.ID)
	if err != nil {
		return asked, err
	}
	if kept, known, err := operation.Kept[app.StrategyKind](op, gateName); err != nil || known || op.Begun() {
		if known {
			asked.Kind = kept
		}
		return asked, err // it was let in by a process that died
	}
	d, c, forced, err := s.asked(ctx, a, kind, asked)
	if err != nil {
		return asked, err
	}
	if refusal := d.Err(c); refusal != nil {
		if err := s.gate.Refused(ctx, a, d, w.Actor); err != nil {
			return asked, err
		}
		return asked, refusal
	}
	if len(d.Warnings) > 0 {
		w.Info(ctx, "budget", "%s", strings.Join(d.Warnings, "; "))
	}
	if d.Record == "" && forced.Kind == asked.Kind {
		return forced, nil
	}
	return forced, s.store.Together(ctx, func(ctx context.Context) error {
		if d.Record != "" {
			if err := s.gate.Passed(ctx, a, d, c, w.Actor); err != nil {
				return err
			}
		}
		return operation.Keep(ctx, w, gateName, forced.Kind)
	})
}

// changeKind is what a restart, a start or a set-env is to the gate: another image
// than the one that runs is a feature, however it comes to run.
func (s *Service) changeKind(ctx context.Context, a app.App) (budget.ChangeKind, error) {
	current, err := s.store.CurrentRelease(ctx, a.ID)
	if fault.Is(err, fault.NotFound) || a.Image == "" {
		return budget.Operation, nil
	}
	if err != nil {
		return "", err
	}
	img, err := s.store.Image(ctx, artifact.ID(a.Image))
	if fault.Is(err, fault.NotFound) {
		return budget.Operation, nil
	}
	if err != nil || img.Ref == current.Image {
		return budget.Operation, err
	}
	return budget.Feature, nil
}

// mayRestart refuses to start what a gate does not let through.
func (s *Service) mayRestart(ctx context.Context, actor string, id app.ID) error {
	if s.gate == nil {
		return nil
	}
	a, err := s.store.App(ctx, id)
	if err != nil {
		return err
	}
	kind, err := s.changeKind(ctx, a)
	if err != nil || kind == budget.Operation {
		return err
	}
	_, _, err = s.permitted(ctx, actor, a, kind, app.Strategy{})
	return err
}

// rollbackKind is what going back to a release is to the gate: to one that never
// was live it is going forward.
func (s *Service) rollbackKind(ctx context.Context, a app.App, to release.ID) (budget.ChangeKind, error) {
	all, err := s.store.Rollouts(ctx, a.ID, 0)
	if err != nil {
		return "", err
	}
	for _, ro := range all {
		if ro.From == to || ro.Release == to && (ro.State == rollout.Done || ro.State == rollout.Watching) {
			return budget.Rollback, nil
		}
	}
	return budget.Feature, nil
}
