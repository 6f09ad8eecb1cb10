package rollout

import (
	"fmt"

	"naru/internal/app"
)

// staged brings traffic over in steps: for each, enough new instances first, then
// the weight, then what the step waits for. The old groups keep all they have.
func (s Situation) staged() Move {
	ro, weight := s.Rollout, s.Rollout.Weight()
	if ro.Step == 0 && ro.Reached.IsZero() && weight < 100 && !s.oldWorks() {
		// There is nothing to compare with and nobody who would be worse off.
		weight = 100
	}
	if weight == 100 {
		for _, l := range s.Lanes {
			if move, ready := l.stage(100); l.Routed && !ready {
				return move
			}
		}
		return s.promote()
	}
	var weigh []Weigh
	for _, l := range s.Lanes {
		if !l.Routed || l.New == nil {
			continue
		}
		if move, ready := l.stage(weight); !ready {
			return move
		}
		if move, ready := s.stageBeside(l); !ready {
			return move
		}
		if l.New.Weight != weight {
			weigh = append(weigh, Weigh{l.New.Group, weight})
		}
		weigh = append(weigh, s.weighBeside(l)...)
	}
	switch {
	case len(weigh) > 0:
		return Move{Weigh: weigh}
	case len(s.withoutBeside().Resize) > 0:
		return s.withoutBeside()
	case ro.Reached.IsZero():
		return Move{Reach: true}
	}
	return s.wait(ro.Spec.Steps[ro.Step])
}

// wait is a step that has its share of traffic.
func (s Situation) wait(step app.Step) Move {
	switch {
	case step.Hold:
		return Move{To: Paused}
	case step.Judge && s.Verdict.Outcome == Pass:
		return Move{Next: true, Note: s.note(s.Verdict.Reason)}
	case step.Judge && s.Verdict.Outcome == Ask:
		return Move{To: Paused, Reason: s.Verdict.Reason, Note: s.note("is unsure and waits for a person (naru rollout resume, or abort): " + s.Verdict.Reason)}
	case step.Judge && s.Verdict.Outcome == Fail:
		return Move{To: Aborting, Reason: s.Verdict.Reason}
	case step.Judge:
		return Move{Note: s.note(s.Verdict.Reason)}
	}
	if left := s.Rollout.Reached.Add(step.Pause.Std()).Sub(s.Now); left > 0 {
		return Move{Wait: left}
	}
	if s.Evidence.Thin() {
		return Move{Next: true, Note: s.note("goes on by its time, after " + step.Pause.String() + ": " + s.Evidence.String())}
	}
	return Move{Next: true}
}

// note is about the present step.
func (s Situation) note(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("step %d of %d %s", s.Rollout.Step+1, len(s.Rollout.Spec.Steps)+1, text)
}

// stage makes sure that the new group has the instances for a weight.
func (l Lane) stage(weight int) (move Move, ready bool) {
	if l.New == nil {
		return Move{}, true
	}
	need := InstancesFor(l.Want, weight)
	if l.New.Size < need || l.New.Size > l.Want {
		return Move{Resize: []Resize{{l.New.Group, need}}}, false
	}
	return Move{}, l.New.Healthy >= need
}

// InstancesFor is how many of the instances wanted carry a share of traffic: at
// least one where any is wanted.
func InstancesFor(want, weight int) int {
	return max(min(want, 1), (want*weight+99)/100)
}

// promote gives the new groups all traffic, then lets the unrouted lanes follow
// one by one, then watches, or lets the old groups go.
func (s Situation) promote() Move {
	var move Move
	for _, l := range s.Lanes {
		if l.Routed && l.New != nil && l.New.Weight != 100 {
			move.Weigh = append(move.Weigh, Weigh{l.New.Group, 100})
		}
		move.Weigh = append(move.Weigh, s.weighBeside(l)...)
	}
	if len(move.Weigh) > 0 {
		return move
	}
	if left := s.withoutBeside(); len(left.Resize) > 0 {
		return left
	}
	for _, l := range s.Lanes {
		if l.Routed || l.through() {
			continue
		}
		return Move{Resize: l.forward(Pace{InFlight: 1})}
	}
	if *s.Rollout.Spec.Watch > 0 {
		return Move{To: Watching}
	}
	return s.retire()
}

// oldWorks reports that a routed lane has an old instance that works.
func (s Situation) oldWorks() bool {
	for _, l := range s.Lanes {
		if l.Routed && l.oldHealthy() > 0 {
			return true
		}
	}
	return false
}
