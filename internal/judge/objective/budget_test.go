package objective_test

import (
	"math"
	"testing"
	"time"

	"naru/internal/judge/objective"
)

const day = 24 * time.Hour

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

func TestBudgetInTime(t *testing.T) {
	for name, tc := range map[string]struct {
		target float64
		period time.Duration
		want   float64 // seconds
	}{
		"99 % of 30 d":     {0.99, 30 * day, 432 * 60},
		"99.5 % of 30 d":   {0.995, 30 * day, 216 * 60},
		"99.9 % of 30 d":   {0.999, 30 * day, 43.2 * 60},
		"99.95 % of 30 d":  {0.9995, 30 * day, 21.6 * 60},
		"99.99 % of 30 d":  {0.9999, 30 * day, 4.32 * 60},
		"99.999 % of 30 d": {0.99999, 30 * day, 25.92},
		"99 % of 28 d":     {0.99, 28 * day, 403.2 * 60},
		"99.5 % of 28 d":   {0.995, 28 * day, 201.6 * 60},
		"99.9 % of 28 d":   {0.999, 28 * day, 40.32 * 60},
		"99.95 % of 28 d":  {0.9995, 28 * day, 20.16 * 60},
		"99.99 % of 28 d":  {0.9999, 28 * day, 4.032 * 60},
	} {
		if got := objective.Budget(tc.target, tc.period).Seconds(); !near(got, tc.want, 1e-6) {
			t.Errorf("%s: got %v s, want %v s", name, got, tc.want)
		}
	}
	if got := objective.Minutes(objective.Budget(0.99999, 30*day)); got != "25.9 s" {
		t.Errorf("99.999 %% of a month leaves %s, want 25.9 s", got)
	}
}

func TestFormulas(t *testing.T) {
	for name, tc := range map[string]struct{ got, want float64 }{
		"half of the budget used":             {objective.Used(0.999, 0.0005), 0.5},
		"overspent":                           {objective.Used(0.999, 90.0/43200), 90 / 43.2}, // three incidents of 10, 20 and 60 min
		"burn rate 1 at the allowed ratio":    {objective.BurnRate(0.999, 0.001), 1},
		"burn rate 14.4":                      {objective.BurnRate(0.999, 0.0144), 14.4},
		"14.4 for an hour of 30 d uses 2 %":   {objective.UsedBy(14.4, time.Hour, 30*day), 0.02},
		"6 for six hours of 30 d uses 5 %":    {objective.UsedBy(6, 6*time.Hour, 30*day), 0.05},
		"3 for a day of 30 d uses 10 %":       {objective.UsedBy(3, day, 30*day), 0.1},
		"1 for three days of 30 d uses 10 %":  {objective.UsedBy(1, 3*day, 30*day), 0.1},
		"13.44 for an hour of 28 d uses 2 %":  {objective.UsedBy(13.44, time.Hour, 28*day), 0.02},
		"one error alone at 99.9 % and 14.4":  {objective.FirstAlone(0.0144), 70},
		"one error alone at exactly one in n": {objective.FirstAlone(0.01), 100},
	} {
		if !near(tc.got, tc.want, 1e-9) {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
		}
	}
}

func TestExhaustion(t *testing.T) {
	for name, tc := range map[string]struct {
		left, rate float64
		want       time.Duration
		ok         bool
	}{
		"full budget at 2":           {1, 2, 15 * day, true},
		"a quarter at 5":             {0.25, 5, 36 * time.Hour, true},
		"full budget at 1":           {1, 1, 30 * day, true},
		"slower than the period":     {1, 0.99, 0, false},
		"nothing goes wrong":         {0.1, 0, 0, false},
		"nothing is left":            {0, 0, 0, true},
		"more than nothing was left": {-0.5, 3, 0, true},
	} {
		got, ok := objective.Exhaustion(tc.left, tc.rate, 30*day)
		if ok != tc.ok || (got-tc.want).Abs() > time.Microsecond {
			t.Errorf("%s: got %s, %t, want %s, %t", name, got, ok, tc.want, tc.ok)
		}
	}
}

func TestDetection(t *testing.T) {
	// All requests fail at 99.9 %: the hour's average passes 1.44 % after 51.84 s.
	if got, ok := objective.Detection(time.Hour, 0.0144, 1); !ok || got != 51840*time.Millisecond {
		t.Errorf("got %s, %t, want 51.84s", got, ok)
	}
	if _, ok := objective.Detection(time.Hour, 0.0144, 0.0144); ok {
		t.Error("a share at the threshold is never above it")
	}
}

func TestWords(t *testing.T) {
	for share, want := range map[float64]string{
		0.9995: "99.95 %", 0.99999: "99.999 %", 0.5: "50 %", 0: "0 %", 1: "100 %", -0.125: "-12.5 %", -3.63: "-363 %", 0.0009: "0.09 %", 0.124: "12.4 %",
	} {
		if got := objective.Percent(share); got != want {
			t.Errorf("Percent(%v) = %q, want %q", share, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		25920 * time.Millisecond: "25.9 s", 2592 * time.Second: "43.2 min", -450 * time.Second: "-7.5 min", 0: "0 s", 432 * time.Minute: "432 min", 40 * time.Hour: "40.0 h",
	} {
		if got := objective.Minutes(d); got != want {
			t.Errorf("Minutes(%s) = %q, want %q", d, got, want)
		}
	}
}
