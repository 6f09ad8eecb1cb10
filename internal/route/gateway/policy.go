package gateway

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"naru/internal/route"
	"naru/internal/route/breaker"
)

// policy is a route's policy made ready for requests.
type policy struct {
	spec  *route.Policy
	gates []gate // in the order of route.Policy's fields

	breakers map[string]*breaker.Breaker // by group
	copies   chan struct{}               // one for each copy on its way

	hsts            string // of answers over TLS
	request         *edits // of what the app is sent
	answer, secured *edits // of what the visitor is sent, without and with TLS
}

// gate is a rule that a request meets before it is sent anywhere.
type gate interface {
	// pass lets a request on with nil and nil. A page is what it is answered with
	// instead; an error is why it cannot be answered, errLeft for a client that left
	// while it waited.
	pass(x *exchange) (*page, error)
}

// newPolicy makes a policy ready; nil for none. What the gates of the policy
// before it have counted goes on where their rules are the same.
func newPolicy(spec *route.Policy, before *policy) *policy {
	if spec == nil {
		return nil
	}
	p := &policy{spec: spec, hsts: newHSTS(spec.HSTS)}
	p.edit(spec)
	if spec.HTTPS {
		p.add(&httpsOnly{})
	}
	if spec.Maintenance != nil {
		p.add(kept(newMaintenance(spec.Maintenance), before).ready())
	}
	if spec.Addresses != nil {
		p.add(kept(newAddresses(spec.Addresses), before).ready())
	}
	if spec.Auth != nil {
		p.add(kept(newAuth(spec.Auth), before).ready())
	}
	if spec.Redirect != nil {
		p.add(newRedirect(spec.Redirect))
	}
	for _, r := range spec.Rates {
		p.add(kept(newRate(r), before).ready())
	}
	for i := range spec.Faults {
		p.add(&trouble{&spec.Faults[i]})
	}
	if spec.Bulkhead != nil {
		p.add(kept(newBulkhead(*spec.Bulkhead), before))
	}
	return p
}

// add adds a gate; one that is there already would count a request twice.
func (p *policy) add(g gate) {
	if !slices.Contains(p.gates, g) {
		p.gates = append(p.gates, g)
	}
}

// rule is what a gate follows; gates with equal rules may take each other's
// place.
type rule interface {
	gate
	rule() any
}

// kept is the gate of the policy before that follows the same rule, so that what
// it has counted outlives the table; else the new one.
func kept[G rule](made G, before *policy) G {
	if before != nil {
		for _, g := range before.gates {
			if old, ok := g.(G); ok && reflect.DeepEqual(old.rule(), made.rule()) {
				return old
			}
		}
	}
	return made
}

// meets brings a request through the gates of its route. It reports whether the
// request goes on; else it is answered, and whole is what serve returns.
func (x *exchange) meets(p *policy) (on, whole bool) {
	for _, g := range p.gates {
		switch page, err := g.pass(x); {
		case err != nil:
			return false, x.failed(err, nil)
		case page != nil:
			return false, x.page(page)
		}
	}
	return true, true
}

// errLate is a wait that took too long.
var errLate = errors.New("the wait was too long")

// await waits for ready, at most for limit; 0 is for ever. The error is errLate
// or errLeft. A nil channel makes it a pause of limit, which ends with errLate.
func (x *exchange) await(ready <-chan struct{}, limit time.Duration) error {
	woken := x.watch.hold()
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	var err error
	select {
	case <-ready:
	case <-late:
		err = errLate
	case <-woken:
		err = errLeft
	}
	x.now = now()
	if !x.watch.rest() {
		if x.watch.why == byTime {
			return errSlowAnswer
		}
		return errLeft
	}
	return err
}
