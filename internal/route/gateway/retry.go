package gateway

import "naru/internal/route"

// retries bound how often requests of a route are sent again. A retry costs as
// much as so many answers earn, so that retries stay a share of a group's
// traffic: an app in trouble is not helped by more requests.
type retries struct {
	attempts int   // instances tried
	cost     int32 // of a retry
}

const (
	answerEarns = 100
	retryCost   = 5 * answerEarns // a fifth, where a route does not say
	retryBegin  = 10 * retryCost
	retryKept   = 50 // as many can be saved up
)

func newRetries(p *policy, attempts int) retries {
	r := retries{attempts, retryCost}
	if p == nil || p.spec.Retries == nil {
		return r
	}
	spec := *p.spec.Retries
	or(&spec.Attempts, attempts)
	return retries{spec.Attempts, costOf(spec)}
}

func costOf(spec route.Retries) int32 {
	if spec.Budget == 0 {
		return retryCost
	}
	return int32(min(answerEarns/spec.Budget, 1_000_000)) // so that what is saved up can be counted
}

// never reports whether nothing is sent again.
func (r *retries) never() bool { return r.attempts <= 1 }

// earn is called for every answer, spend for every retry; false: it must not be.
func (r *retries) earn(c *counter) {
	if c.budget.Load() < retryKept*r.cost {
		c.budget.Add(answerEarns)
	}
}

func (r *retries) spend(c *counter) bool {
	if r.never() {
		return false
	}
	if c.budget.Add(-r.cost) < 0 {
		c.budget.Add(r.cost)
		return false
	}
	c.retries.Add(1)
	return true
}
