package server

import (
	"naru/internal/app"
	"naru/internal/config"
)

// defaultStrategy is how apps are replaced where neither a push nor the app says.
func defaultStrategy(cfg config.Config) app.Strategy {
	r := cfg.Rollout
	s := app.Strategy{
		Kind: app.StrategyKind(r.Strategy), MaxInFlight: r.MaxInFlight, Second: r.Second, Guard: app.Guarding{Alarm: r.FalseAlarms},
	}
	if r.Steps != "" {
		s.Steps, _ = app.ParseSteps(r.Steps) // the configuration was checked
	}
	if s.Doubles() {
		watch := app.Duration(r.Watch)
		s.Watch = &watch
	}
	return s
}
