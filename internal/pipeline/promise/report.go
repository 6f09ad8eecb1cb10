package promise

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/judge/objective"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
)

// fresh is how long reports are given to whoever asks next.
const fresh = 5 * time.Second

// known are the reports of one app as they were last made.
type known struct {
	mu      sync.Mutex // guards what follows, and is held while they are made
	reports []objective.Report
	at      time.Time // zero: never
}

// Reports says how far each objective of an app is met, in the order of their
// declaration. They are a few seconds old at most, and not to be changed.
func (s *Service) Reports(ctx context.Context, a app.ID, now time.Time) ([]objective.Report, error) {
	s.mu.Lock()
	k := s.known[a]
	if k == nil {
		k = &known{}
		s.known[a] = k
	}
	s.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if age := now.Sub(k.at); !k.at.IsZero() && age >= 0 && age < fresh {
		return k.reports, nil
	}
	reports, err := s.judge(ctx, a, now)
	if err != nil {
		return nil, err
	}
	k.reports, k.at = reports, now
	if len(reports) == 0 {
		s.forget(a)
	}
	return reports, nil
}

// forget makes the next reports of an app anew.
func (s *Service) forget(a app.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, a)
}

func (s *Service) judge(ctx context.Context, id app.ID, now time.Time) ([]objective.Report, error) {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return nil, err
	}
	promises, err := s.store.Promises(ctx, id)
	if err != nil || len(promises) == 0 {
		return nil, err
	}
	begin := now
	for _, p := range promises {
		period, err := objective.Period(p.Filled().Window, now)
		if err != nil {
			return nil, err
		}
		if period.From.Before(begin) {
			begin = period.From
		}
	}
	causes, err := s.causes(ctx, id, begin, now)
	if err != nil {
		return nil, err
	}
	out := make([]objective.Report, len(promises))
	for i, p := range promises {
		if out[i], err = objective.Judge(ctx, s.counts, id, p.Objective, since(a, p), now, causes); err != nil {
			return nil, fmt.Errorf("judge %s of %s: %w", p.Name, a.Name, err)
		}
	}
	return out, nil
}

// since is when the events of an objective began to be counted. Requests by the
// class of their status are counted of every app; what an objective needs counted
// apart is since it was asked for.
func since(a app.App, p app.Promise) time.Time {
	if p.Since.After(a.Created) && (p.Probe != "" || len(route.CountedBy([]app.Objective{p.Objective})) > 0) {
		return p.Since
	}
	return a.Created
}

// looked bounds the events and rollouts that are looked at for causes.
const looked = 500

// causes are what went on with an app in a time, and the maintenance ahead.
func (s *Service) causes(ctx context.Context, a app.ID, begin, now time.Time) ([]objective.Cause, error) {
	var out []objective.Cause
	announced, err := s.store.Maintenance(ctx, a, begin)
	if err != nil {
		return nil, err
	}
	for _, m := range announced {
		if end := m.End(); end.After(m.From) {
			out = append(out, objective.Cause{Kind: objective.Maintenance, Name: m.Reason, Span: objective.Span{From: m.From, To: end}, Hit: m.Hit})
		}
	}
	incidents, err := s.incidents(ctx, a, now)
	if err != nil {
		return nil, err
	}
	rollouts, err := s.rollouts(ctx, a, begin, now)
	if err != nil {
		return nil, err
	}
	return append(append(out, incidents...), rollouts...), nil
}

// incidents are the times in which somebody had to get up.
func (s *Service) incidents(ctx context.Context, a app.ID, now time.Time) ([]objective.Cause, error) {
	fired, err := s.store.EventsBefore(ctx, "", a, "alert.firing", 0, looked)
	if err != nil || len(fired) == 0 {
		return nil, err
	}
	resolved, err := s.store.EventsBefore(ctx, "", a, "alert.resolved", 0, looked)
	if err != nil {
		return nil, err
	}
	all := append(fired, resolved...)
	slices.SortFunc(all, func(x, y event.Event) int { return int(x.Seq - y.Seq) })
	open := map[string]objective.Cause{}
	var out []objective.Cause
	for _, ev := range all {
		name, severity := said(ev, "objective"), said(ev, "severity")
		if severity != "" && severity != "page" {
			continue
		}
		was, going := open[name]
		switch {
		case ev.Kind == "alert.firing" && !going:
			from := ev.Time
			if t, err := time.Parse(time.RFC3339, said(ev, "since")); err == nil && t.Before(from) {
				from = t
			}
			open[name] = objective.Cause{Kind: objective.Incident, Name: "alert of " + name, Span: objective.Span{From: from}}
		case ev.Kind == "alert.resolved" && going:
			was.To = ev.Time
			out = append(out, was)
			delete(open, name)
		}
	}
	for _, c := range open {
		c.To = now
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y objective.Cause) int { return x.From.Compare(y.From) })
	return out, nil
}

func said(ev event.Event, key string) string {
	text, _ := ev.Detail[key].(string)
	return text
}

// rollouts are the times in which a release came in or went back, and those in
// which one ran: what is spent then has no other cause that is known.
func (s *Service) rollouts(ctx context.Context, a app.ID, begin, now time.Time) ([]objective.Cause, error) {
	all, err := s.store.Rollouts(ctx, a, looked)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	releases, err := s.store.Releases(ctx, a, looked)
	if err != nil {
		return nil, err
	}
	names := make(map[release.ID]string, len(releases))
	for _, r := range releases {
		names[r.ID] = r.Name()
	}
	name := func(id release.ID) string { return cmp.Or(names[id], "a release that is gone") }
	out := make([]objective.Cause, 0, len(all))
	for _, r := range all {
		end := r.Ended
		if end.IsZero() {
			end = now
		}
		out = append(out, objective.Cause{Kind: objective.Rollout, Name: name(r.Release), Span: objective.Span{From: r.Created, To: end}})
	}
	return append(out, ran(all, name, begin, now)...), nil
}

// ran are the times in which releases had all traffic, of rollouts with the newest
// first. Those of the same release are one line in the end.
func ran(rollouts []rollout.Rollout, name func(release.ID) string, begin, now time.Time) (out []objective.Cause) {
	until := now
	while := func(id release.ID, from time.Time) {
		if from.Before(until) {
			out = append(out, objective.Cause{Kind: objective.Unexplained, Name: "while " + name(id) + " ran", Span: objective.Span{From: from, To: until}})
		}
	}
	var before release.ID // what ran before the earliest that is known
	for _, r := range rollouts {
		before = r.From
		if r.State == rollout.Done {
			while(r.Release, r.Ended)
			until = r.Created
		}
	}
	if before != "" {
		while(before, begin)
	}
	slices.Reverse(out)
	return out
}
