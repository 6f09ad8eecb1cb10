package rollout

import (
	"fmt"
	"time"

	"naru/internal/app"
	"naru/internal/route"
	"naru/internal/run"
)

// Traffic knows how many requests groups have had, as far as gateways have said;
// ok is false where it does not.
type Traffic interface {
	Requests(groups ...string) (n uint64, ok bool)
}

// Evidence is what the new groups of a rollout have had to show so far.
type Evidence struct {
	Counted  bool   // somebody counts; else the other fields say nothing
	Requests uint64 // of all of them, since they exist
	Enough   uint64 // from which their guard may act
}

// Thin reports that there were too few requests to tell whether a release works:
// no trip of its guard means nothing then.
func (e Evidence) Thin() bool { return e.Counted && e.Requests < e.Enough }

func (e Evidence) String() string {
	switch e.Requests {
	case 0:
		return "the new release has had no request yet"
	case 1:
		return "the new release has had 1 request"
	}
	return fmt.Sprintf("the new release has had %d requests", e.Requests)
}

// evidence counts what a rollout's new groups had.
func (r *Runner) evidence(ro Rollout) Evidence {
	if r.opts.Traffic == nil {
		return Evidence{}
	}
	n, ok := r.opts.Traffic.Requests(each(ro.New)...)
	return Evidence{Counted: ok, Requests: n, Enough: route.Guard{Requests: uint64(max(0, ro.Spec.Guard.Requests))}.Filled().Requests}
}

func each(groups []run.GroupID) []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = string(g)
	}
	return names
}

// Unjudged is the verdict on a step where there is no judge: its guard has not
// tripped for the pause of an ordinary step, and has had requests to see.
func Unjudged(ro Rollout, e Evidence, now time.Time) Verdict {
	switch {
	case now.Sub(ro.Reached) < app.DefaultPause.Std():
		return Verdict{Reason: "is looked at for " + app.DefaultPause.String()}
	case e.Thin():
		return Verdict{Reason: fmt.Sprintf("waits for %d requests: %s", e.Enough, e)}
	}
	return Verdict{Outcome: Pass}
}
