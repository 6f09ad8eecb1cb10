package judge

import (
	"math"
	"strings"
	"testing"
)

func TestProblemsNameFieldAndValue(t *testing.T) {
	if got := Problems(Defaults()); len(got) != 0 {
		t.Errorf("problems of the defaults: %q", got)
	}
	for want, change := range map[string]func(*Metric){
		`metrics[1].name ""`:       func(m *Metric) { m.Name = "" },
		`metrics[1].name "errors"`: func(m *Metric) { m.Name = "errors" },
		`metrics[1].kind "speed"`:  func(m *Metric) { m.Kind = "speed" },
		"metrics[1].quantile 1":    func(m *Metric) { m.Quantile = 1 },
		"metrics[1].weight 0":      func(m *Metric) { m.Weight = 0 },
		"metrics[1].weight NaN":    func(m *Metric) { m.Weight = math.NaN() },
		"metrics[1].matters 1":     func(m *Metric) { m.Matters = 1 },
		"metrics[1].floor -0.1":    func(m *Metric) { m.Floor = -0.1 },
	} {
		t.Run(want, func(t *testing.T) {
			metrics := Defaults()
			change(&metrics[1])
			if got := Problems(metrics); len(got) != 1 || !strings.HasPrefix(got[0], want+":") {
				t.Errorf("%q, want one that begins with %q", got, want)
			}
		})
	}
}
