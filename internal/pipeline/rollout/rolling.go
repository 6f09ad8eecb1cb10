package rollout

// Pace bounds a rolling replacement.
type Pace struct {
	InFlight    int // instances above what is wanted
	Unavailable int // instances below what is wanted that may work
}

// rolling replaces instances few at a time.
func (s Situation) rolling() Move {
	resize, finished := Forward(s.Lanes, Pace{s.Rollout.MaxInFlight, s.Rollout.Spec.MaxUnavailable})
	if finished {
		return Move{To: Done}
	}
	return Move{Resize: resize}
}

// Forward plans the next move of a rolling replacement. Routed lanes move
// together; the others follow one by one when all routed lanes are through. An
// old instance leaves only when as many work without it as are wanted, less what
// the pace allows, or as many as worked before. Without a resize there is
// something to wait for.
func Forward(lanes []Lane, pace Pace) (resize []Resize, finished bool) {
	for _, routed := range []bool{true, false} {
		if !routed {
			pace = Pace{InFlight: 1}
		}
		through := true
		for _, l := range lanes {
			if l.Routed != routed || l.through() {
				continue
			}
			through = false
			resize = append(resize, l.forward(pace)...)
			if !routed && len(resize) > 0 {
				break
			}
		}
		if !through {
			return resize, false
		}
	}
	return nil, true
}

func (l Lane) forward(pace Pace) []Resize {
	var moves []Resize
	total, healthy := l.oldSize(), l.oldHealthy()
	if l.New != nil {
		total += l.New.Size
		healthy += l.New.Healthy
		if room := max(l.Want, l.floor()) + pace.InFlight - total; l.New.Size < l.Want && room > 0 {
			moves = append(moves, Resize{l.New.Group, min(l.Want, l.New.Size+room)})
		} else if l.New.Size > l.Want {
			moves = append(moves, Resize{l.New.Group, l.Want})
		}
	}
	// What works and is not needed may leave; what does not work may leave at
	// once, for nobody gets anything from it.
	spare := max(0, healthy-max(0, l.Want-pace.Unavailable))
	for _, o := range l.Old {
		leave := min(o.Size, spare+max(0, o.Size-o.Healthy))
		if l.New != nil && l.New.Healthy < l.Want && l.oldSize() <= l.Want-l.New.Healthy {
			leave = min(leave, spare) // what is wanted of the old ones heals in its place
		}
		if leave > 0 {
			moves = append(moves, Resize{o.Group, o.Size - leave})
			spare = max(0, spare-leave)
		}
	}
	return moves
}

// floor is how many instances the lane already has to carry, when the app was
// scaled down while it is replaced.
func (l Lane) floor() int { return min(l.oldSize(), l.Want) }

// keeping starts new instances few at a time, which get their part of the
// traffic as they become healthy, and keeps all old ones for the watch.
func (s Situation) keeping() Move {
	var move Move
	grown := true
	for _, l := range s.Lanes {
		if !l.Routed || l.New == nil || l.complete() {
			continue
		}
		grown = false
		if to := min(l.Want, l.New.Healthy+max(1, s.Rollout.MaxInFlight)); to > l.New.Size || l.New.Size > l.Want {
			move.Resize = append(move.Resize, Resize{l.New.Group, to})
		}
	}
	if !grown {
		return move
	}
	return s.promote()
}
