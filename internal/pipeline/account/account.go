// Package account tells people what happened to their apps: what was changed and
// what came of it, why an app is in the state it is in, and how well it is
// delivered. It reads what the other steps recorded and changes nothing.
package account

import (
	"context"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/judge/budget"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/source"
)

// Store is what is read; *store.Store does.
type Store interface {
	EventsBefore(ctx context.Context, space app.SpaceID, a app.ID, kind event.Kind, before int64, limit int) ([]event.Event, error)
	Rollouts(ctx context.Context, a app.ID, limit int) ([]rollout.Rollout, error)
	Verdicts(ctx context.Context, rollouts ...rollout.ID) ([]judging.Given, error)
	Release(ctx context.Context, id release.ID) (release.Release, error)
	CurrentRelease(ctx context.Context, a app.ID) (release.Release, error)
	Groups(ctx context.Context, a app.ID) ([]run.Group, error)
	Instances(ctx context.Context, a app.ID) ([]run.Instance, error)
	Operations(ctx context.Context, f operation.Filter) ([]operation.Operation, error)
	AppsAfter(ctx context.Context, space app.SpaceID, after string, limit int) ([]app.App, error)
	SnapshotByDigest(ctx context.Context, space app.SpaceID, digest string) (source.Snapshot, error)
}

// Budgets says how much of an app's error budgets is left; the gate of pushes does.
type Budgets interface {
	Standing(ctx context.Context, a app.App) (budget.Tier, []budget.Standing, error)
}

// Teller tells.
type Teller struct {
	store   Store
	series  Series
	budgets Budgets
	every   time.Duration // metrics are written so often
	now     func() time.Time
}

// New makes a teller. series, whose metrics are written so often, and budgets may be
// nil: then nothing is known of traffic and budgets.
func New(st Store, series Series, every time.Duration, budgets Budgets, now func() time.Time) *Teller {
	return &Teller{store: st, series: series, budgets: budgets, every: max(every, time.Second), now: now}
}

// mostEvents bounds how far back one account reads.
const mostEvents = 20_000

// events are those of an app since a moment, oldest first; of a space where app
// is "". cut reports that there were more than one account reads.
func (t *Teller) events(ctx context.Context, space app.SpaceID, a app.ID, since time.Time) (out []event.Event, cut bool, err error) {
	const page = 1000
	before := int64(0)
	for len(out) < mostEvents {
		some, err := t.store.EventsBefore(ctx, space, a, "", before, page)
		if err != nil {
			return nil, false, err
		}
		for _, ev := range some {
			if ev.Time.Before(since) {
				return reversed(out), false, nil
			}
			out, before = append(out, ev), ev.Seq
		}
		if len(some) < page {
			return reversed(out), false, nil
		}
	}
	return reversed(out), true, nil
}

func reversed(all []event.Event) []event.Event {
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// numbers finds the names of releases, each once; one that is not kept any more is
// "an old release".
func (t *Teller) numbers(ctx context.Context) func(release.ID) release.Release {
	known := map[release.ID]release.Release{}
	return func(id release.ID) release.Release {
		if _, ok := known[id]; !ok && id != "" {
			rel, err := t.store.Release(ctx, id)
			if err != nil {
				rel = release.Release{ID: id}
			}
			known[id] = rel
		}
		return known[id]
	}
}

func nameOf(r release.Release) string {
	if r.Number == 0 {
		return "an old release"
	}
	return r.Name()
}
