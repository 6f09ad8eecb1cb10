package app_test

import (
	"reflect"
	"testing"
	"time"

	"naru/internal/app"
)

func TestStepsReadAndWrite(t *testing.T) {
	for text, want := range map[string]app.Step{
		"1%":        {Weight: 1, Pause: app.DefaultPause},
		"10":        {Weight: 10, Pause: app.DefaultPause},
		"50%/30s":   {Weight: 50, Pause: app.Duration(30 * time.Second)},
		"5%/0s":     {Weight: 5},
		"0%/hold":   {Hold: true},
		"25%/judge": {Weight: 25, Judge: true},
	} {
		got, err := app.ParseSteps(text)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s reads as %+v, %v", text, got, err)
		}
		again, err := app.ParseSteps(want.String())
		if err != nil || again[0] != want {
			t.Errorf("written as %s it reads as %+v, %v", want, again, err)
		}
	}
	for _, text := range []string{"", "100%", "-1%", "x", "5%/soon", "5%/-1s"} {
		if _, err := app.ParseSteps(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestStrategiesAreChecked(t *testing.T) {
	steps := func(text string) []app.Step {
		s, err := app.ParseSteps(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, tc := range map[string]struct {
		s  app.Strategy
		ok bool
	}{
		"nothing said":      {app.Strategy{}, true},
		"canary":            {app.Strategy{Kind: app.Canary, Steps: steps("1%,10%/5m,50%/hold")}, true},
		"rings":             {app.Strategy{Kind: app.Rings, Match: "header:X-Internal=yes", Steps: steps("0%/hold,1%")}, true},
		"unknown":           {app.Strategy{Kind: "yolo"}, false},
		"falling steps":     {app.Strategy{Kind: app.Canary, Steps: steps("50%,10%")}, false},
		"nobody at first":   {app.Strategy{Kind: app.Canary, Steps: steps("0%,10%")}, false},
		"rings for nobody":  {app.Strategy{Kind: app.Rings}, false},
		"rings of anything": {app.Strategy{Kind: app.Rings, Match: "path:/x"}, false},
		"second":            {app.Strategy{Second: "both"}, false},
		"guard":             {app.Strategy{Guard: app.Guarding{Ratio: 0.5}}, false},
	} {
		if err := tc.s.Check("strategy"); (err == nil) != tc.ok {
			t.Errorf("%s: Check() = %v", name, err)
		}
	}
}

func TestStrategyLaysOverDefaults(t *testing.T) {
	base := app.Strategy{Kind: app.Canary, Steps: []app.Step{{Weight: 5}}, Second: app.Supersede}
	if got := (app.Strategy{}).Over(base); !reflect.DeepEqual(got, base) {
		t.Errorf("nothing said: %+v", got)
	}
	if got := (app.Strategy{Kind: app.Rolling}).Over(base); got.Kind != app.Rolling || got.Steps != nil || got.Second != app.Supersede {
		t.Errorf("another kind: %+v", got)
	}
	for _, kind := range app.Strategies() {
		s := app.Strategy{Kind: kind, Match: "header:A=b"}.Filled()
		if s.Watch == nil || (*s.Watch > 0) != (kind == app.BlueGreen || kind == app.Canary || kind == app.Rings) {
			t.Errorf("%s is watched for %v", kind, s.Watch)
		}
		if err := s.Check(""); err != nil {
			t.Errorf("%s with its defaults: %v", kind, err)
		}
	}
}
