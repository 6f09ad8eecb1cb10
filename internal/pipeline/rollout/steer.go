package rollout

import (
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
)

// Action is what a person, or another rollout, may ask of a rollout.
type Action string

// The actions.
const (
	Pause   Action = "pause"   // stay at the present step
	Resume  Action = "resume"  // go on; from a step that waits for it to the next one
	Promote Action = "promote" // skip what is left of the steps, or of the watch
	Abort   Action = "abort"   // go back; on the way back: stop and leave the rest to a person
)

var done = map[Action]string{Pause: "paused", Resume: "resumed", Promote: "promoted", Abort: "aborted"}

// Steer returns the rollout as it is after an action; actor is named in the
// reason. What is so already is no error, what cannot be is a Conflict.
func (ro Rollout) Steer(a Action, actor string, now time.Time) (Rollout, error) {
	refuse := func(try string) (Rollout, error) {
		return ro, fault.New(fault.Conflict, "rollout", "the rollout is %s: it cannot be %s", ro.State, done[a]).WithTry("%s", try)
	}
	to := func(s State) Rollout {
		ro.State, ro.Moved = s, now
		return ro
	}
	switch {
	case ro.State.Ended():
		return refuse("naru rollouts APP")
	case a == Pause && ro.State == Paused:
		return ro, nil
	case a == Pause && ro.State == Shifting:
		return to(Paused), nil
	case a == Resume && ro.State == Shifting:
		return ro, nil
	case a == Resume && ro.State == Paused:
		if ro.Step < len(ro.Spec.Steps) && !ro.Reached.IsZero() {
			switch step := ro.Spec.Steps[ro.Step]; {
			case step.Hold, step.Judge && ro.Reason != "": // it asked, and this is the answer
				ro.Step, ro.Reached = ro.Step+1, time.Time{}
			case step.Judge:
				ro.Reached = now // nobody looked meanwhile
			}
		}
		ro.Reason = ""
		return to(Shifting), nil
	case a == Promote && (ro.State == Shifting || ro.State == Paused):
		if ro.Step < len(ro.Spec.Steps) {
			ro.Step, ro.Reached = len(ro.Spec.Steps), time.Time{}
		}
		return to(Shifting), nil
	case a == Promote && ro.State == Watching:
		ro.Spec.Watch = new(app.Duration)
		return ro, nil
	case a == Abort && ro.State == Aborting:
		ro.Reason += "; the way back was stopped by " + actor
		ro = to(Failed)
		ro.Ended = now
		return ro, nil
	case a == Abort:
		ro.Reason = "aborted by " + actor
		return to(Aborting), nil
	}
	return refuse("naru rollout APP")
}

// Tripped returns the rollout on its way back because of what a gateway saw; ok
// is false where that changes nothing any more.
func (ro Rollout) Tripped(t route.Trip, now time.Time) (out Rollout, ok bool) {
	switch ro.State {
	case Shifting, Paused, Watching:
		ro.State, ro.Moved, ro.Trip, ro.Reason = Aborting, now, &t, t.Reason()
		return ro, true
	}
	return ro, false
}
