//go:build linux

package server

import (
	"context"
	"time"

	"naru/internal/app"
	"naru/internal/judge/objective"
	"naru/internal/store"
)

// budgets is where the gate of pushes reads how much of the error budgets is left.
type budgets struct {
	store *store.Store
	// measure is filled in when what measures objectives is there; the gate is made
	// before it.
	measure func(ctx context.Context, a app.ID, now time.Time) ([]objective.Report, error)
}

// Owners are the apps that have objectives.
func (b *budgets) Owners(ctx context.Context) ([]app.ID, error) {
	all, err := b.store.AllObjectives(ctx)
	out := make([]app.ID, 0, len(all))
	for id := range all {
		out = append(out, id)
	}
	return out, err
}

// Reports measures an app's objectives.
func (b *budgets) Reports(ctx context.Context, a app.ID, now time.Time) ([]objective.Report, error) {
	if b.measure == nil {
		return nil, nil
	}
	return b.measure(ctx, a, now)
}
