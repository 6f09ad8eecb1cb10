package deliver

import (
	"context"
	"slices"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
)

// Watch carries rollouts on whose operation has ended, because all traffic is on
// the new release and the old one only stays ready; it takes them back when
// something goes wrong. It runs until ctx ends.
func (s *Service) Watch(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	var mu sync.Mutex
	busy := map[rollout.ID]bool{}
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		open, err := s.store.OpenRollouts(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "find watched rollouts", "error", err)
		}
		for _, ro := range open {
			mu.Lock()
			taken := busy[ro.ID] || ro.State != rollout.Watching
			if !taken {
				busy[ro.ID] = true
			}
			mu.Unlock()
			if taken {
				continue
			}
			work.Go(func() {
				s.watchOne(ctx, ro.ID)
				mu.Lock()
				delete(busy, ro.ID)
				mu.Unlock()
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.promoted:
		case <-tick.C:
		}
	}
}

// watchOne carries one rollout to its end.
func (s *Service) watchOne(ctx context.Context, id rollout.ID) {
	ro, err := s.rollouts.Run(ctx, id, unheard{})
	if err == nil {
		err = s.wentBack(ctx, event.System, ro)
	}
	if err != nil && ctx.Err() == nil && !fault.Is(err, fault.NotFound) {
		s.log.WarnContext(ctx, "watched rollout", "rollout", id, "state", ro.State, "error", err)
	}
}

// watched tells Watch that there is a rollout to be watched.
func (s *Service) watched() {
	select {
	case s.promoted <- struct{}{}:
	default:
	}
}

// unheard is a rollout nobody follows.
type unheard struct{}

func (unheard) Moved(context.Context, rollout.Rollout, []rollout.Lane) {}
func (unheard) Noted(context.Context, string)                          {}
func (unheard) Output(context.Context, string, string)                 {}

// setAside reports that a group keeps its size when its app is scaled: it is
// disabled, and not because a rollout is about to use it or has just left it.
func (s *Service) setAside(g run.Group, newest []rollout.Rollout) bool {
	if !g.Disabled() {
		return false
	}
	return len(newest) == 0 || newest[0].State.Ended() || !slices.Contains(newest[0].New, g.ID)
}

// beside reports that a group is a rollout's to compare with: its size is too.
func beside(g run.Group, newest []rollout.Rollout) bool {
	return len(newest) > 0 && !newest[0].State.Ended() && slices.Contains(newest[0].Beside, g.ID)
}

// atOnce goes back to what a watched rollout replaced, where that is what is asked
// for: its instances are ready. ok is false where there is no such rollout.
func (s *Service) atOnce(ctx context.Context, w *operation.Work, to release.ID) (back client.ReleaseResult, ok bool, err error) {
	newest, err := s.store.Rollouts(ctx, w.App, 1)
	if err != nil || len(newest) == 0 || newest[0].State != rollout.Watching || newest[0].From != to {
		return back, false, err
	}
	id, err := operation.Step(ctx, w, "back", func(ctx context.Context) (rollout.ID, operation.Outcome, error) {
		ro, err := s.store.SteerRollout(ctx, newest[0].ID, rollout.Abort, w.Actor)
		return ro.ID, operation.Outcome{Text: "what ran before is ready: nothing has to be started"}, err
	})
	if err != nil {
		return back, true, err
	}
	ro, err := s.rollouts.Run(ctx, id, &listener{w: w})
	if err != nil {
		return back, true, err
	}
	if why := s.wentBack(ctx, w.Actor, ro); ro.State != rollout.RolledBack {
		return back, true, why
	}
	rel, err := s.store.Release(ctx, to)
	if err != nil {
		return back, true, err
	}
	a, err := s.store.UpdateApp(ctx, w.App, func(a *app.App) error {
		a.Draft = rel.Draft()
		return nil
	})
	if err != nil {
		return back, true, err
	}
	urls, err := s.urls(ctx, a)
	if err == nil {
		s.live(ctx, w, urls)
	}
	return client.ReleaseResult{App: a.Name, Release: rel.Number, URLs: urls, Took: client.Duration(time.Since(w.Created))}, true, err
}
