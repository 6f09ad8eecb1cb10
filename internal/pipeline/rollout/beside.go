package rollout

// A group beside is of what ran before, as large as the canary and as old, so that
// a judged step compares like with like: neither has been running for days. It has
// instances and traffic at judged steps only.

// stageBeside makes sure that the group beside has as many instances as the canary
// before a judged step gives both their traffic.
func (s Situation) stageBeside(l Lane) (move Move, ready bool) {
	b := l.Beside
	if b == nil || s.Rollout.BesideWeight() == 0 {
		return Move{}, true
	}
	if b.Trouble != "" {
		return Move{To: Paused, Note: s.note("cannot be judged against a fresh group, for what ran before does not start any more: " + b.Trouble)}, false
	}
	if need := InstancesFor(l.Want, s.Rollout.Weight()); b.Size != need {
		return Move{Resize: []Resize{{b.Group, need}}}, false
	}
	return Move{}, b.Healthy >= b.Size
}

// weighBeside gives the group beside its weight, or takes it away.
func (s Situation) weighBeside(l Lane) []Weigh {
	if l.Beside == nil || l.Beside.Weight == s.Rollout.BesideWeight() {
		return nil
	}
	return []Weigh{{l.Beside.Group, s.Rollout.BesideWeight()}}
}

// withoutBeside takes the instances of groups beside away where they have nothing
// to do.
func (s Situation) withoutBeside() (move Move) {
	for _, l := range s.Lanes {
		if l.Beside != nil && l.Beside.Size > 0 && s.Rollout.BesideWeight() == 0 {
			move.Resize = append(move.Resize, Resize{l.Beside.Group, 0})
		}
	}
	return move
}

// besideGone reports that no instance of a group beside is left.
func (l Lane) besideGone() bool {
	return l.Beside == nil || l.Beside.Size == 0 && l.Beside.Present == 0
}
