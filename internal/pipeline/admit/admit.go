// Package admit decides whether what people want to run fits the machine: an
// instance is promised its memory before it is started, and what cannot be kept
// is not promised.
package admit

import (
	"naru/internal/app"
)

// Limits say how much memory may be promised. The zero value promises without
// looking.
type Limits struct {
	MachineMiB     int     // what the machine has; 0: not known
	ReservePercent int     // of it that nobody is promised
	BuildsMiB      int     // what all builds together may take
	Overcommit     float64 // what is left may be promised so many times; 0: any number of times
}

// Off reports that anything is promised.
func (l Limits) Off() bool { return l.MachineMiB <= 0 || l.Overcommit <= 0 }

// RoomMiB is what instances and tasks may be promised together.
func (l Limits) RoomMiB() int {
	left := l.MachineMiB*(100-l.ReservePercent)/100 - l.BuildsMiB
	return int(float64(max(0, left)) * l.Overcommit)
}

// Claim is what an app, or one of its tasks, is promised.
type Claim struct {
	App   app.ID
	Space app.SpaceID
	Parts []Part
	// Extra is what a rollout under way may take beyond, for instances that run
	// beside those they replace.
	Extra int
	Task  bool // it ends, and is never replaced
}

// Part is a number of equal instances.
type Part struct {
	Process    string
	Count, MiB int
}

// MiB is the sum of the parts.
func (c Claim) MiB() (sum int) {
	for _, p := range c.Parts {
		sum += p.Count * p.MiB
	}
	return sum
}

// Change is what somebody wants: the claim of an app as it was and as it is to
// be. It is not among the others.
type Change struct {
	Was, Want Claim
	// Beside is the memory of the instances that a rollout may have beside those
	// wanted, by their number: Beside(1) for one at a time. Nil without a rollout.
	Beside func(inFlight int) int
	// InFlight is how many of them the rollout would like to have.
	InFlight int
}

// Answer says whether a change can be made, and if not, what stands against it.
type Answer struct {
	Fits     bool
	InFlight int  // of a rollout, when it fits: no more than were asked for
	Later    bool // it fits as soon as the rollouts of others are through
	Free     int  // MiB that are neither promised nor kept
	Kept     int  // MiB that are kept for replacing instances of others
	Own      int  // MiB that must be kept for this claim's instances, where that is more than Kept; else 0
	Room     int  // MiB in all
}

// Decide is the whole rule. All claims fit into the room, and beside them either
// what rollouts under way take, or the largest instance of all once more: so
// that every app can be replaced, one instance at a time, whatever runs. What
// does not grow is never refused: it may shrink, and it may be replaced one by
// one when nobody else is.
func Decide(l Limits, others []Claim, c Change) Answer {
	if l.Off() {
		return Answer{Fits: true, InFlight: c.InFlight}
	}
	taken, extra, largest := 0, 0, 0
	for _, o := range others {
		taken += o.MiB()
		extra += o.Extra
		largest = max(largest, largestOf(o))
	}
	own := largestOf(c.Want)
	want, room := c.Want.MiB(), l.RoomMiB()
	fits := func(extra int) bool { return taken+want+max(extra, largest, own) <= room }
	grows := want > c.Was.MiB()
	a := Answer{Room: room, Kept: max(extra, largest)}
	a.Free = max(0, room-taken-a.Kept)
	if own > a.Kept {
		a.Own = own
	}
	if c.Beside == nil {
		a.Fits = !grows || fits(extra)
		a.Later = !a.Fits && fits(0)
		return a
	}
	for n := c.InFlight; n >= 1; n-- {
		if fits(extra + c.Beside(n)) {
			a.Fits, a.InFlight = true, n
			return a
		}
	}
	alone := fits(c.Beside(1)) || !grows
	a.Fits, a.Later = alone && extra == 0, alone && extra > 0
	if a.Fits {
		a.InFlight = 1
	}
	return a
}

// largestOf is the largest instance of a claim that will be replaced some day.
func largestOf(c Claim) (mib int) {
	if c.Task {
		return 0
	}
	for _, p := range c.Parts {
		if p.Count > 0 {
			mib = max(mib, p.MiB)
		}
	}
	return mib
}
