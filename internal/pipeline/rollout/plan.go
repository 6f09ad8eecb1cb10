package rollout

import (
	"naru/internal/run"
)

// Lane is one process type of a rollout: what it had, what it is to have.
type Lane struct {
	Process string
	Routed  bool // visitors reach it, so it moves first and sets the pace
	Want    int  // instances the app is to have of it
	Old     []Side
	New     *Side // nil when the release has no such process
}

// Side is one group of a lane as it is now.
type Side struct {
	Group   run.GroupID
	Size    int    // instances it should have
	Present int    // instances that are not gone yet
	Healthy int    // instances that work and may get traffic
	Trouble string // why an instance of it does not work; "" while there is hope
}

// Resize is a group and the size it is to get.
type Resize struct {
	Group run.GroupID
	To    int
}

// Move is what to do now. With no Resize and neither Finished nor Trouble set,
// there is something to wait for.
type Move struct {
	Resize   []Resize
	Finished bool
	Trouble  string // the new release does not work: go back
}

// Forward plans the next move of a rolling replacement. Routed lanes move
// together, at most maxInFlight instances above what is wanted; the others
// follow one by one when all routed lanes are through. An old instance leaves
// only when as many work without it as are wanted, or as many as worked before.
func Forward(lanes []Lane, maxInFlight int) Move {
	for _, l := range lanes {
		if l.New != nil && l.New.Trouble != "" {
			return Move{Trouble: l.New.Trouble}
		}
	}
	var move Move
	for _, routed := range []bool{true, false} {
		pace := maxInFlight
		if !routed {
			pace = 1
		}
		through := true
		for _, l := range lanes {
			if l.Routed != routed || l.through() {
				continue
			}
			through = false
			move.Resize = append(move.Resize, l.forward(pace)...)
			if !routed && len(move.Resize) > 0 {
				break
			}
		}
		if !through {
			return move
		}
	}
	return Move{Finished: true}
}

// Back plans the next move of the way back: the old groups get their instances
// again, and the new ones leave as the old ones work.
func Back(lanes []Lane) Move {
	var move Move
	finished := true
	for _, l := range lanes {
		move.Resize = append(move.Resize, l.back()...)
		finished = finished && l.back() == nil && l.restored()
	}
	move.Finished = finished
	return move
}

// through reports that the lane has only its new group, complete.
func (l Lane) through() bool {
	for _, o := range l.Old {
		if o.Size > 0 || o.Present > 0 {
			return false
		}
	}
	return l.New == nil || l.New.Size == l.Want && l.New.Healthy >= l.Want
}

// restored reports that nothing of the new group is left and the old ones are
// complete.
func (l Lane) restored() bool {
	if l.New != nil && l.New.Present > 0 {
		return false
	}
	return len(l.Old) == 0 || l.oldHealthy() >= l.Want
}

func (l Lane) forward(pace int) []Resize {
	var moves []Resize
	total, healthy := l.oldSize(), l.oldHealthy()
	if l.New != nil {
		total += l.New.Size
		healthy += l.New.Healthy
		if room := max(l.Want, l.floor()) + pace - total; l.New.Size < l.Want && room > 0 {
			moves = append(moves, Resize{l.New.Group, min(l.Want, l.New.Size+room)})
		} else if l.New.Size > l.Want {
			moves = append(moves, Resize{l.New.Group, l.Want})
		}
	}
	// What works and is not needed may leave; what does not work may leave at
	// once, for nobody gets anything from it.
	spare := max(0, healthy-l.Want)
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

func (l Lane) back() []Resize {
	var moves []Resize
	missing := l.Want - l.oldSize()
	for i, o := range l.Old { // the newest first: it is what visitors had
		switch {
		case i == 0 && missing > 0:
			moves = append(moves, Resize{o.Group, o.Size + missing})
		case i > 0 && o.Size > 0 && l.oldSize()-o.Size >= l.Want:
			moves = append(moves, Resize{o.Group, 0})
		}
	}
	if l.New != nil && l.New.Size > 0 {
		stay := min(l.New.Size, l.New.Healthy, max(0, l.Want-l.oldHealthy()))
		if len(l.Old) == 0 {
			stay = 0 // there is nothing to go back to: a release that does not work is taken away
		}
		if stay < l.New.Size {
			moves = append(moves, Resize{l.New.Group, stay})
		}
	}
	return moves
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

// floor is how many instances the lane already has to carry, when the app was
// scaled down while it is replaced.
func (l Lane) floor() int { return min(l.oldSize(), l.Want) }
