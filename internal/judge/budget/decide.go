package budget

import (
	"fmt"
	"strings"
	"time"

	"naru/internal/fault"
)

// ChangeKind is what somebody wants to do.
type ChangeKind string

// The kinds. Only a Feature is ever refused.
const (
	Feature     ChangeKind = "feature"
	Rollback    ChangeKind = "rollback"        // back to a release that served before
	Reliability ChangeKind = "reliability-fix" // declared to bring the objective back
	Operation   ChangeKind = "operation"       // scale, restart, routes: it changes no code
)

// Override is a person's decision to go on all the same.
type Override struct {
	By     string
	May    bool // the person holds the right to
	Reason string
}

// Change is one that is asked for.
type Change struct {
	App      string
	Kind     ChangeKind
	Canary   bool // it is rolled out as a canary that a verdict is given on
	Override *Override
}

// Decision is the answer, for people and for the event log.
type Decision struct {
	Allowed  bool
	Tier     Tier
	Why      string   // in one sentence, with the numbers
	Warnings []string // to be shown even though it is allowed
	Record   string   // what let it pass though the tier forbids it: "reliability-fix", "override"; "": nothing had to
}

// Granted is an override that somebody who may has recorded, for some time.
type Granted struct {
	By      string
	Reason  string
	Created time.Time
	Until   time.Time
}

// MinReason is the least that an override has to say, in characters.
const MinReason = 10

// Decide answers one change. It is pure: tiers come from Policy.Next.
func Decide(tiers Tiers, standings []Standing, c Change) Decision {
	d := Decision{Tier: tiers.Strictest(), Allowed: true}
	var strict []string
	for _, s := range standings {
		switch tier := tiers[s.Objective]; {
		case !s.Known:
			d.Warnings = append(d.Warnings, s.String())
		case tier == d.Tier && tier != Free:
			strict = append(strict, s.String())
		case tier != Free:
			d.Warnings = append(d.Warnings, s.String())
		}
	}
	numbers := strings.Join(strict, "; ")
	switch {
	case d.Tier == Free:
		return d
	case d.Tier == Warn, d.Tier == Canary && c.Canary, c.Kind == Operation:
		d.Warnings = append([]string{numbers}, d.Warnings...)
		return d
	}
	d.Why = fmt.Sprintf("the error budget of %s is spent: %s", c.App, numbers)
	if d.Tier == Canary {
		d.Why = fmt.Sprintf("the error budget of %s is nearly spent, new releases go out as canaries only: %s", c.App, numbers)
	}
	switch {
	case c.Kind == Rollback || c.Kind == Reliability:
		d.Record = string(c.Kind)
	case c.Override != nil && c.Override.May && len([]rune(strings.TrimSpace(c.Override.Reason))) >= MinReason:
		d.Record = "override"
	default:
		d.Allowed = false
	}
	return d
}

// Err is the refusal with the ways out, nil when the change is allowed.
func (d Decision) Err(c Change) error {
	if d.Allowed {
		return nil
	}
	ways := fmt.Sprintf("naru push %s --reliability-fix, if this brings the objective back; or naru policy override %s --reason \"WHY\", by someone who may: both are recorded", c.App, c.App)
	if d.Tier == Canary {
		ways = fmt.Sprintf("naru push %s --strategy canary; or %s", c.App, ways)
	}
	switch o := c.Override; {
	case o != nil && !o.May:
		return fault.New(fault.Denied, "override", "%s; %s may not override it", d.Why, o.By).WithTry("%s", ways)
	case o != nil:
		return fault.New(fault.Invalid, "override", "%s; an override needs a reason of %d characters or more", d.Why, MinReason).WithTry("%s", ways)
	}
	return fault.New(fault.Conflict, "budget", "%s", d.Why).WithTry("%s", ways)
}
