// Package promise keeps what people say that an app promises, and says how far it
// is kept: the use cases of objectives, probes and announced maintenance.
package promise

import (
	"context"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/judge/objective"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

// Store keeps promises; *store.Store does.
type Store interface {
	Together(ctx context.Context, do func(ctx context.Context) error) error
	App(ctx context.Context, a app.ID) (app.App, error)
	Promises(ctx context.Context, a app.ID) ([]app.Promise, error)
	AllPromises(ctx context.Context) (map[app.ID][]app.Promise, error)
	SetObjectives(ctx context.Context, a app.ID, origin app.Origin, all []app.Objective, actor string) error
	ChangeObjectives(ctx context.Context, a app.ID, origin app.Origin, change func([]app.Objective) ([]app.Objective, error), actor string) error
	Probes(ctx context.Context, a app.ID) ([]app.Probe, error)
	SetProbes(ctx context.Context, a app.ID, all []app.Probe, actor string) error
	AnnounceMaintenance(ctx context.Context, m app.Maintenance) (app.Maintenance, error)
	Maintenance(ctx context.Context, a app.ID, after time.Time) ([]app.Maintenance, error)
	CancelMaintenance(ctx context.Context, a app.ID, id, actor string) (app.Maintenance, error)
	EventsBefore(ctx context.Context, space app.SpaceID, a app.ID, kind event.Kind, before int64, limit int) ([]event.Event, error)
	Rollouts(ctx context.Context, a app.ID, limit int) ([]rollout.Rollout, error)
	Releases(ctx context.Context, a app.ID, limit int) ([]release.Release, error)
}

// Limits of promises.
type Limits struct {
	Journeys  int           // counted apart for one app
	Retention time.Duration // of metrics: no window is longer
}

// Service answers for the promises of all apps. Its methods may be called at the
// same time.
type Service struct {
	store  Store
	counts objective.Counts
	query  func(text string) error // refuses what is no PromQL
	limits Limits
	now    func() time.Time

	mu    sync.Mutex // guards what follows
	known map[app.ID]*known
}

// New makes a service.
func New(st Store, counts objective.Counts, query func(text string) error, l Limits, now func() time.Time) *Service {
	return &Service{store: st, counts: counts, query: query, limits: l, now: now, known: map[app.ID]*known{}}
}

// Owners are the apps that have objectives.
func (s *Service) Owners(ctx context.Context) ([]app.ID, error) {
	all, err := s.store.AllPromises(ctx)
	out := make([]app.ID, 0, len(all))
	for id := range all {
		out = append(out, id)
	}
	return out, err
}

// Promises lists what an app promises.
func (s *Service) Promises(ctx context.Context, a app.ID) ([]app.Promise, error) {
	return s.store.Promises(ctx, a)
}

// Probes lists how an app is asked.
func (s *Service) Probes(ctx context.Context, a app.ID) ([]app.Probe, error) {
	return s.store.Probes(ctx, a)
}
