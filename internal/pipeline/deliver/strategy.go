package deliver

import (
	"context"
	"encoding/json"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
)

// strategy is how an app is replaced: as asked, else as the app says, else as
// the platform does.
func (s *Service) strategy(asked app.Strategy, a app.App) app.Strategy {
	out := asked.Over(a.Strategy).Over(s.cfg.Strategy)
	if out.Watch == nil && out.Doubles() && s.cfg.Watch > 0 {
		watch := s.cfg.Watch
		out.Watch = &watch
	}
	if out.Kind == app.Canary && len(out.Steps) == 0 {
		out.Steps = s.cfg.Steps
	}
	return out.Filled()
}

// inFlight is how many new instances may stand beside the old ones. A strategy
// that needs all of them is refused where there is no room for that.
func (s *Service) inFlight(ctx context.Context, a app.App, processes []app.Process, spec app.Strategy) (int, error) {
	want := a.Count(app.Web)
	ask := spec.MaxInFlight
	switch {
	case spec.Doubles():
		ask = max(1, want)
		if fresh := spec.Judge.Baseline == app.BaselineFresh; fresh {
			most := 0
			for _, step := range spec.Steps {
				if step.Judge {
					most = max(most, rollout.InstancesFor(want, step.Weight))
				}
			}
			want, ask = want+most, ask+most
		}
	case ask == 0:
		ask = max(1, want/4)
	}
	got, err := s.room.Rollout(ctx, a, served(processes), ask)
	if err == nil && spec.Doubles() && got < want {
		return 0, fault.New(fault.Conflict, "strategy", "there is memory for %d new instances beside the old ones, and %s needs %d", got, spec.Kind, want).
			WithTry("naru push --strategy rolling; or scale the app down first")
	}
	return got, err
}

// served are the processes that have instances.
func served(processes []app.Process) []app.Process {
	var out []app.Process
	for _, p := range processes {
		if p.Type != app.ReleaseType {
			out = append(out, p)
		}
	}
	return out
}

// strategyOf reads what a request says about how to replace; nil says nothing.
func strategyOf(in *client.Strategy) (app.Strategy, error) {
	if in == nil {
		return app.Strategy{}, nil
	}
	out := app.Strategy{
		Kind: app.StrategyKind(in.Kind), MaxInFlight: in.MaxInFlight, MaxUnavailable: in.MaxUnavailable, Match: in.Match, Second: in.Second,
		Guard: app.Guarding{Off: in.NoGuard, Alarm: in.Alarm, Ratio: in.Tolerate, Slow: in.Slow, Requests: in.LeastRequests},
	}
	if in.Judge != nil {
		out.Judge = judgingOf(*in.Judge)
	}
	if in.Watch != nil {
		watch := app.Duration(*in.Watch)
		out.Watch = &watch
	}
	for _, text := range in.Steps {
		steps, err := app.ParseSteps(text)
		if err != nil {
			return out, err
		}
		out.Steps = append(out.Steps, steps...)
	}
	if len(out.Steps) > 0 && out.Kind == "" {
		out.Kind = app.Canary
	}
	return out, nil
}

func judgingOf(in client.Judging) app.Judging {
	out := app.Judging{Unsure: in.Unsure, Baseline: in.Baseline, Mirror: in.Mirror}
	if in.Longest != nil {
		out.Longest = app.Duration(*in.Longest)
	}
	for _, m := range in.Metrics {
		out.Metrics = append(out.Metrics, app.JudgedMetric{
			Name: m.Name, Query: m.Query, Direction: m.Direction, Weight: m.Weight, Critical: m.Critical, Effect: m.Effect,
		})
	}
	return out
}

// checkStrategy refuses a push whose strategy, with what it leaves open filled
// in, cannot be carried out.
func (s *Service) checkStrategy(a app.App, in *client.Strategy) (app.Strategy, error) {
	asked, err := strategyOf(in)
	if err != nil {
		return asked, err
	}
	return asked, s.strategy(asked, a).Check("strategy")
}

// givesWay ends a push or a deployment that is to begin its rollout while a later
// one waits that supersedes it.
func (s *Service) givesWay(ctx context.Context, w *operation.Work) error {
	if w.Kind != KindPush && w.Kind != KindDeploy {
		return nil
	}
	waiting, err := s.store.Operations(ctx, operation.Filter{App: w.App, State: operation.Queued, Limit: 100})
	if err != nil {
		return err
	}
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return err
	}
	for _, op := range waiting {
		if op.Created.After(w.Created) && s.supersedes(op, a) {
			return fault.New(fault.Conflict, "", "superseded by another push of %s at %s", op.Actor, op.Created.Format(time.TimeOnly)).
				WithTry("naru rollouts %s", a.Name)
		}
	}
	return nil
}

// supersedes reports that an operation takes the place of those before it.
func (s *Service) supersedes(op operation.Operation, a app.App) bool {
	var in client.Push
	switch {
	case op.Kind == KindDeploy:
		return true
	case op.Kind != KindPush || json.Unmarshal(op.Request, &in) != nil:
		return false
	}
	asked, err := strategyOf(in.Strategy)
	return err == nil && s.strategy(asked, a).Second == app.Supersede
}
