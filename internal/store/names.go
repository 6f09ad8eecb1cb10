package store

import (
	"context"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/auth/vault"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
)

// What others ask for. Package storetest checks the rest, whose packages the
// store does not need.
var (
	_ auth.Store      = (*Store)(nil)
	_ vault.Store     = (*Store)(nil)
	_ operation.Store = (*Store)(nil)
	_ rollout.Store   = (*Store)(nil)
)

// The rest of this file holds second names: steps that do not know of each other
// named the same reading differently.

// AppByID is App.
func (s *Store) AppByID(ctx context.Context, a app.ID) (app.App, error) { return s.App(ctx, a) }

// ReleaseByID is Release.
func (s *Store) ReleaseByID(ctx context.Context, r release.ID) (release.Release, error) {
	return s.Release(ctx, r)
}

// GroupsOf is Groups.
func (s *Store) GroupsOf(ctx context.Context, a app.ID) ([]run.Group, error) { return s.Groups(ctx, a) }

// InstancesOf is Instances.
func (s *Store) InstancesOf(ctx context.Context, a app.ID) ([]run.Instance, error) {
	return s.Instances(ctx, a)
}

// SubscribeApp is WatchApp.
func (s *Store) SubscribeApp(a app.ID) (changed <-chan struct{}, stop func()) { return s.WatchApp(a) }
