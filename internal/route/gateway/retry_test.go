package gateway

import (
	"testing"

	"naru/internal/route"
)

func TestRetriesStayAShare(t *testing.T) {
	for name, tc := range map[string]struct {
		spec  *route.Retries
		share float64
		first int // before anything was answered
	}{
		"the gateway's own": {nil, 0.2, 10},
		"as written":        {&route.Retries{Budget: 0.05}, 0.05, 2},
		"only attempts":     {&route.Retries{Attempts: 2}, 0.2, 10},
		"each":              {&route.Retries{Budget: 1}, 1, 50},
		"next to none":      {&route.Retries{Budget: 1e-9}, 0.0001, 0},
		"never":             {&route.Retries{Attempts: 1, Budget: 1}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRetries(&policy{spec: &route.Policy{Retries: tc.spec}}, 3)
			c := &counter{}
			c.budget.Store(retryBegin)
			first := 0
			for r.spend(c) {
				first++
			}
			if first != tc.first {
				t.Errorf("%d at first, want %d", first, tc.first)
			}
			c.budget.Store(0)
			const answers = 100_000
			got := 0
			for range answers {
				if r.earn(c); r.spend(c) {
					got++
				}
			}
			if want := tc.share * answers; float64(got) < want*0.99 || float64(got) > want*1.01+1 {
				t.Errorf("%d retries for %d answers, want %.0f", got, answers, want)
			}
		})
	}
}
