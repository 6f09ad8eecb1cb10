package client

import (
	"context"
	"time"
)

// BudgetPolicy is at which remaining error budget what may be changed.
type BudgetPolicy struct {
	Warn   float64 `json:"warn" doc:"share of the budget below which pushes are warned; -1: never"`
	Canary float64 `json:"canary" doc:"below which new releases go out as canaries only; -1: never"`
	Freeze float64 `json:"freeze" doc:"at which new features are refused; -1: never"`
	Margin float64 `json:"margin" doc:"share that must be left above these before a tier is left"`
}

// SpacePolicy is a space's policy and where its apps stand.
type SpacePolicy struct {
	BudgetPolicy
	Standard bool        `json:"standard" doc:"the space has none of its own"`
	Apps     []AppBudget `json:"apps" doc:"those with objectives, by name"`
}

// AppBudget is where an app stands.
type AppBudget struct {
	App        string            `json:"app"`
	Tier       string            `json:"tier" enum:"free,warn,canary,freeze" doc:"the strictest of its objectives"`
	Objectives []ObjectiveBudget `json:"objectives"`
	Override   *Override         `json:"override,omitempty" doc:"one that holds"`
	Problem    string            `json:"problem,omitempty" doc:"why nothing is known of it"`
}

// ObjectiveBudget is where an objective stands.
type ObjectiveBudget struct {
	Name string   `json:"name"`
	Tier string   `json:"tier" enum:"free,warn,canary,freeze"`
	Left *float64 `json:"left,omitempty" doc:"share of the budget; below 0: overspent; absent: nothing is known"`
	Text string   `json:"text" doc:"with the numbers, for people"`
}

// Override is a recorded decision to let an app's changes pass for some time.
type Override struct {
	By        string    `json:"by"`
	Reason    string    `json:"reason"`
	CreatedAt time.Time `json:"created_at"`
	Until     time.Time `json:"until"`
}

// NewOverride asks for an override.
type NewOverride struct {
	Reason string   `json:"reason" minLength:"1" maxLength:"1000" doc:"10 characters or more; it is recorded"`
	For    Duration `json:"for,omitempty" doc:"how long it holds; absent: 2 h; at most 7 days"`
}

// Policy returns the space's error-budget policy and where its apps stand.
func (s *InSpace) Policy(ctx context.Context) (p SpacePolicy, err error) {
	err = s.c.get(ctx, s.path+"/policy", nil, &p)
	return p, err
}

// SetPolicy gives the space an error-budget policy of its own.
func (s *InSpace) SetPolicy(ctx context.Context, in BudgetPolicy) (p BudgetPolicy, err error) {
	err = s.c.put(ctx, s.path+"/policy", in, &p)
	return p, err
}

// ClearPolicy gives the space the standard policy back.
func (s *InSpace) ClearPolicy(ctx context.Context) error {
	return s.c.remove(ctx, s.path+"/policy", nil)
}

// OverrideBudget lets the app's changes pass for some time.
func (a *InApp) OverrideBudget(ctx context.Context, in NewOverride) (o Override, err error) {
	err = a.c.put(ctx, a.path+"/override", in, &o)
	return o, err
}

// EndOverride ends the app's override.
func (a *InApp) EndOverride(ctx context.Context) error {
	return a.c.remove(ctx, a.path+"/override", nil)
}
