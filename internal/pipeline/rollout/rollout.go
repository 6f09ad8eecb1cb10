// Package rollout replaces what an app runs by a new release, step by step, and
// goes back when the new one does not work. Plan is pure; Run is durable.
package rollout

import (
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// ID identifies a rollout.
type ID string

// State of a rollout. Every move is stored before its effect is started.
type State string

// The states. Which strategy is used decides how long Shifting lasts; the rest
// is common to all. A rollout that waits for another one is a queued operation
// and has no state yet.
const (
	Preparing  State = "preparing"  // groups are made
	Releasing  State = "releasing"  // the release command runs
	Shifting   State = "shifting"   // instances and traffic move
	Paused     State = "paused"     // until a person resumes
	Watching   State = "watching"   // all traffic is on the new release, the old one is ready to take it back
	Done       State = "done"       // only the new release runs
	Aborting   State = "aborting"   // the old release gets everything back
	RolledBack State = "rolledback" //
	Superseded State = "superseded" // it went back because another one wanted to begin
	Failed     State = "failed"     // even the way back needs a person
)

var next = map[State][]State{
	Preparing: {Releasing, Aborting},
	Releasing: {Shifting, Aborting},
	Shifting:  {Paused, Watching, Done, Aborting},
	Paused:    {Shifting, Aborting},
	Watching:  {Done, Aborting},
	Aborting:  {RolledBack, Superseded, Failed},
}

// CanBecome reports whether a move is legal.
func (s State) CanBecome(to State) bool { return slices.Contains(next[s], to) }

// Ended reports that nothing more will happen.
func (s State) Ended() bool { return len(next[s]) == 0 }

// States returns every state, for tests that must try each.
func States() []State {
	return []State{Preparing, Releasing, Shifting, Paused, Watching, Done, Aborting, RolledBack, Superseded, Failed}
}

// Rollout is the replacement of an app's groups by those of a release.
type Rollout struct {
	ID          ID
	App         app.ID
	Release     release.ID
	From        release.ID   // what ran before; "" for the first
	Spec        app.Strategy // filled
	MaxInFlight int          // how many instances may be on their way at once, per process type
	State       State
	Step        int       // of Spec.Steps; their number: all traffic
	Reached     time.Time // the step has its share of traffic since; zero before
	Moved       time.Time // in this state since
	Superseded  bool      // it goes back for another one
	Trip        *route.Trip
	Old, New    []run.GroupID // of every process type
	Beside      []run.GroupID // of what ran before, made to compare the new ones with
	Reason      string        // why it went back, or paused by itself, for people
	Created     time.Time
	Ended       time.Time
}

// Judged reports that the present step waits for a verdict, or is held for a person
// and may go back by one meanwhile.
func (ro Rollout) Judged() bool {
	return (ro.State == Shifting || ro.held()) && !ro.Reached.IsZero() && ro.Step < len(ro.Spec.Steps) && ro.Spec.Steps[ro.Step].Judge
}

// held reports that the present step waits for a person, as it was meant to.
func (ro Rollout) held() bool {
	return ro.State == Paused && ro.Step < len(ro.Spec.Steps) && ro.Spec.Steps[ro.Step].Hold
}

// Copies reports that safe requests of the present step are to be copied to both
// sides of its comparison.
func (ro Rollout) Copies() bool {
	return (ro.State == Shifting || ro.held()) && ro.Step < len(ro.Spec.Steps) && ro.Spec.Steps[ro.Step].Judge && ro.Spec.Judge.Copies()
}

// Fresh reports that judged steps compare with a group made for that: there is
// something to make it of, and a step that wants it.
func (ro Rollout) Fresh() bool {
	return ro.Spec.Judge.Baseline == app.BaselineFresh && ro.Spec.Judged() > 0 && ro.From != "" && len(ro.Old) > 0
}

// BesideWeight is the share of traffic of the groups beside, in percent: at a
// judged step that of the new ones, if there is as much left, otherwise none.
func (ro Rollout) BesideWeight() int {
	if len(ro.Beside) == 0 || ro.State != Shifting && ro.State != Paused || ro.Step >= len(ro.Spec.Steps) || !ro.Spec.Steps[ro.Step].Judge {
		return 0
	}
	return min(ro.Weight(), 100-ro.Weight())
}

// Weight is the share of traffic the present step is to have, in percent.
func (ro Rollout) Weight() int {
	if ro.Step < len(ro.Spec.Steps) {
		return ro.Spec.Steps[ro.Step].Weight
	}
	return 100
}
