package rollout

import (
	"time"

	"naru/internal/app"
	"naru/internal/run"
)

// Lane is one process type of a rollout: what it had, what it is to have.
type Lane struct {
	Process string
	Routed  bool // visitors reach it, so it moves first and sets the pace
	Want    int  // instances the app is to have of it
	Old     []Side
	New     *Side // nil when the release has no such process
	Beside  *Side // of what ran before, made to compare the new one with; nil without
}

// Side is one group of a lane as it is now.
type Side struct {
	Group   run.GroupID
	Size    int    // instances it should have
	Weight  int    // percent of requests it was given; Auto: by its part of the healthy instances
	Present int    // instances that are not gone yet, and do not only linger with streams
	Healthy int    // instances that work and may get traffic
	Trouble string // why an instance of it does not work; "" while there is hope
}

// Auto is the weight of a side that was given none: the sides without a weight
// share what the others leave, by their healthy instances.
const Auto = -1

// Resize is a group and the size it is to get.
type Resize struct {
	Group run.GroupID
	To    int
}

// Weigh is a group and the weight it is to get, 0 to 100 or Auto.
type Weigh struct {
	Group run.GroupID
	To    int
}

// Situation is all that a plan is made from.
type Situation struct {
	Rollout  Rollout
	Lanes    []Lane
	Verdict  Verdict       // on the present step, where it asks for one
	Evidence Evidence      // that the new release works
	Patience time.Duration // how long a way back may take
	Settled  time.Time     // when what is stored is as new as what there is: nothing goes forward before
	Now      time.Time
}

// Verdict is what a judge says about a step.
type Verdict struct {
	Outcome Outcome
	Reason  string // of Fail and Ask; of the others: what people should know
}

// Outcome of a judgement; the zero value is that there is none yet.
type Outcome int

// The outcomes.
const (
	Unsure Outcome = iota
	Pass
	Fail
	Ask // still unsure, and a person is to say
)

// Move is what to do now. A zero Move means that there is something to wait for.
type Move struct {
	Resize []Resize
	Weigh  []Weigh
	Reach  bool          // the present step has what it asks for
	Next   bool          // go to the next step
	To     State         // go to this state
	Reason string        // of To
	Note   string        // what people should know of it
	Wait   time.Duration // look again after this time, whatever happens; 0: when something does
}

// Plan plans the next move of a rollout that is Shifting, Paused, Watching or
// Aborting.
func Plan(s Situation) Move {
	ro := s.Rollout
	if ro.State == Aborting {
		return s.back()
	}
	for _, l := range s.Lanes {
		if l.New != nil && l.New.Trouble != "" {
			return Move{To: Aborting, Reason: l.New.Trouble}
		}
	}
	if left := s.Settled.Sub(s.Now); left > 0 {
		return Move{Wait: left}
	}
	switch ro.State {
	case Shifting:
		return s.forward()
	case Watching:
		return s.watch()
	case Paused:
		if ro.Judged() && s.Verdict.Outcome == Fail {
			return Move{To: Aborting, Reason: s.Verdict.Reason}
		}
	}
	return Move{}
}

// forward plans the next move towards the new release.
func (s Situation) forward() Move {
	spec := s.Rollout.Spec
	switch {
	case spec.Kind == app.Recreate:
		return s.recreate()
	case s.first() || spec.Kind == app.Rolling && !spec.Doubles():
		return s.rolling()
	case spec.Kind == app.Rolling:
		return s.keeping()
	}
	return s.staged()
}

// first reports that nothing of what is to be replaced has an instance.
func (s Situation) first() bool {
	for _, l := range s.Lanes {
		for _, o := range l.Old {
			if o.Size > 0 || o.Present > 0 {
				return false
			}
		}
	}
	return true
}

// watch waits while the old instances are ready, then lets them go.
func (s Situation) watch() Move {
	left := s.Rollout.Moved.Add(s.Rollout.Spec.Watch.Std()).Sub(s.Now)
	if left > 0 {
		return Move{Wait: left}
	}
	return s.retire()
}

// retire takes what is left of the old groups away.
func (s Situation) retire() Move {
	var move Move
	gone := true
	for _, l := range s.Lanes {
		for _, o := range l.Old {
			if o.Size > 0 {
				move.Resize = append(move.Resize, Resize{o.Group, 0})
			}
			gone = gone && o.Size == 0 && o.Present == 0
		}
		gone = gone && l.besideGone()
	}
	if gone {
		move.To = Done
	}
	return move
}

// recreate lets all old instances go before the first new one starts.
func (s Situation) recreate() Move {
	if move := s.retire(); move.To != Done {
		return move
	}
	var move Move
	for _, l := range s.Lanes {
		if l.New != nil && l.New.Size != l.Want {
			move.Resize = append(move.Resize, Resize{l.New.Group, l.Want})
		}
	}
	if len(move.Resize) == 0 && s.through() {
		move.To = Done
	}
	return move
}

func (s Situation) through() bool {
	for _, l := range s.Lanes {
		if !l.through() {
			return false
		}
	}
	return true
}

// through reports that the lane has only its new group, complete.
func (l Lane) through() bool {
	if !l.besideGone() {
		return false
	}
	for _, o := range l.Old {
		if o.Size > 0 || o.Present > 0 {
			return false
		}
	}
	return l.complete()
}

// complete reports that the new group has what the lane wants.
func (l Lane) complete() bool {
	return l.New == nil || l.New.Size == l.Want && l.New.Healthy >= l.Want
}

func (l Lane) oldSize() (n int) {
	for _, o := range l.Old {
		n += o.Size
	}
	return n
}

func (l Lane) oldHealthy() (n int) {
	for _, o := range l.Old {
		n += min(o.Healthy, o.Size)
	}
	return n
}
