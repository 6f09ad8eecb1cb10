package rollout

import (
	"fmt"
	"strings"
	"time"

	"naru/internal/app"
)

// back plans the next move of the way back: the old groups have the traffic as
// soon as they can carry it, get their instances again, and the new ones leave as
// the old ones work. When that takes too long, the rest is left to a person.
func (s Situation) back() Move {
	ro := s.Rollout
	resize, finished := Back(s.Lanes)
	if ro.Spec.Kind == app.Recreate {
		resize, finished = backAlone(s.Lanes)
	}
	switch {
	case finished && ro.Superseded:
		return Move{To: Superseded, Reason: ro.Reason}
	case finished:
		return Move{To: RolledBack, Reason: ro.Reason}
	}
	left := ro.Moved.Add(s.Patience).Sub(s.Now)
	if ro.Moved.IsZero() { // stored by a version that did not note it
		left = s.Patience
	}
	if left <= 0 {
		return Move{To: Failed, Reason: fmt.Sprintf("%s; after %s of going back: %s", ro.Reason, s.Patience.Round(time.Second), Standing(s.Lanes))}
	}
	var weigh []Weigh
	for _, l := range s.Lanes {
		healthy := l.oldHealthy()
		// What a gateway saw is worse than too few instances.
		enough := healthy >= l.Want || ro.Trip != nil
		if l.New != nil && l.Routed && healthy > 0 && enough && l.New.Weight != 0 {
			weigh = append(weigh, Weigh{l.New.Group, 0})
		}
		if l.Beside != nil && l.Beside.Weight != 0 && healthy > 0 {
			weigh = append(weigh, Weigh{l.Beside.Group, 0})
		}
	}
	if len(weigh) > 0 {
		return Move{Weigh: weigh}
	}
	return Move{Resize: resize, Wait: left}
}

// Back plans the next resize of the way back.
func Back(lanes []Lane) (resize []Resize, finished bool) {
	finished = true
	for _, l := range lanes {
		moves := l.back()
		resize = append(resize, moves...)
		finished = finished && moves == nil && l.restored()
	}
	return resize, finished
}

// backAlone is the way back of what must not run twice: the new instances are
// gone before the old ones start.
func backAlone(lanes []Lane) (resize []Resize, finished bool) {
	gone := true
	for _, l := range lanes {
		if l.New != nil && l.New.Size > 0 {
			resize = append(resize, Resize{l.New.Group, 0})
		}
		gone = gone && (l.New == nil || l.New.Size == 0 && l.New.Present == 0)
	}
	if !gone {
		return resize, false
	}
	return Back(lanes)
}

// restored reports that nothing of the new group is left and the old ones are
// complete.
func (l Lane) restored() bool {
	if l.New != nil && l.New.Present > 0 || !l.besideGone() {
		return false
	}
	return len(l.Old) == 0 || l.oldHealthy() >= l.Want
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
	if b := l.Beside; b != nil && b.Size > 0 && b.Weight == 0 {
		moves = append(moves, Resize{b.Group, 0})
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

// Standing says in words what runs: "web: old 1 of 3 healthy, new 2 of 2".
func Standing(lanes []Lane) string {
	var parts []string
	for _, l := range lanes {
		healthy, size := 0, 0
		for _, o := range l.Old {
			healthy += o.Healthy
			size += o.Size
		}
		text := fmt.Sprintf("%s: old %d of %d healthy", l.Process, healthy, size)
		if l.New != nil {
			text += fmt.Sprintf(", new %d of %d", l.New.Healthy, l.New.Size)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
