package server

import (
	"naru/internal/app"
	"naru/internal/config"
)

// defaultStrategy is how apps are replaced where neither a push nor the app says.
func defaultStrategy(cfg config.Config) app.Strategy {
	r := cfg.Rollout
	return app.Strategy{
		Kind: app.StrategyKind(r.Strategy), MaxInFlight: r.MaxInFlight, Second: r.Second, Guard: app.Guarding{Alarm: r.FalseAlarms},
		Judge: app.Judging{Unsure: r.Unsure, Longest: app.Duration(r.Longest)},
	}
}

// defaultSteps are those of a canary where nobody says.
func defaultSteps(cfg config.Config) []app.Step {
	if cfg.Rollout.Steps == "" {
		return nil
	}
	steps, _ := app.ParseSteps(cfg.Rollout.Steps) // the configuration was checked
	return steps
}
