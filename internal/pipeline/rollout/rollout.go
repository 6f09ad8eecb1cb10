// Package rollout replaces what an app runs by a new release, step by step, and
// goes back when the new one does not work. Plan is pure; Run is durable.
package rollout

import (
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/release"
	"naru/internal/run"
)

// ID identifies a rollout.
type ID string

// State of a rollout. Every move is stored before its effect is started.
type State string

// The states. Which strategy is used decides how long Shifting lasts; the rest
// is common to all.
const (
	Preparing  State = "preparing" // groups are made
	Shifting   State = "shifting"  // instances and traffic move
	Done       State = "done"      // only the new release runs
	Aborting   State = "aborting"  // the old release gets everything back
	RolledBack State = "rolledback"
	Failed     State = "failed" // even the way back needs a person
)

var next = map[State][]State{
	Preparing: {Shifting, Aborting},
	Shifting:  {Done, Aborting},
	Aborting:  {RolledBack, Failed},
}

// CanBecome reports whether a move is legal.
func (s State) CanBecome(to State) bool { return slices.Contains(next[s], to) }

// Ended reports that nothing more will happen.
func (s State) Ended() bool { return len(next[s]) == 0 }

// States returns every state, for tests that must try each.
func States() []State {
	return []State{Preparing, Shifting, Done, Aborting, RolledBack, Failed}
}

// Strategy names how traffic moves.
type Strategy string

// Rolling replaces instances few at a time.
const Rolling Strategy = "rolling"

// Rollout is the replacement of an app's groups by those of a release.
type Rollout struct {
	ID          ID
	App         app.ID
	Release     release.ID
	From        release.ID // what ran before; "" for the first
	Strategy    Strategy
	MaxInFlight int // how many instances may be on their way at once, per process type
	State       State
	Old, New    []run.GroupID // of every process type
	Reason      string        // why it went back, for people
	Created     time.Time
	Ended       time.Time
}
