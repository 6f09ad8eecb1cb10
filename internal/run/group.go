package run

import (
	"fmt"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/release"
)

// Group is a server group: one process type of one release at a size on one
// account. Its name is made of app, process and a sequence of its own and is
// never parsed back.
type Group struct {
	ID       GroupID
	App      app.ID
	Space    app.SpaceID
	Process  string
	Name     string // shop-v042, shop--worker-v042
	Sequence int    // per app and process type, from 1, up to MaxSequence and then from 0; the newest group is the youngest
	Release  release.ID
	Size     int  // instances wanted
	Weight   *int // percent of its process type's requests; nil: by its part of the healthy instances that nobody gave a weight
	Retired  bool // its rollout has ended without it: it goes when its last streams end, and nothing is to be done with it
	Created  time.Time
}

// GoesOn reports whether any of an app's groups wants an instance of a process
// type.
func GoesOn(groups []Group, process string) bool {
	return slices.ContainsFunc(groups, func(g Group) bool { return g.Process == process && g.Size > 0 })
}

// MaxSequence is the highest sequence of a group; after it comes 0.
const MaxSequence = 999

// Disabled reports that the group keeps its instances and takes no traffic.
func (g Group) Disabled() bool { return g.Weight != nil && *g.Weight == 0 }

// GroupName is the name of a group: shop-v042 for web, shop--worker-v042 for
// other process types.
func GroupName(slug, process string, sequence int) string {
	if process == app.Web {
		return fmt.Sprintf("%s-v%03d", slug, sequence)
	}
	return fmt.Sprintf("%s--%s-v%03d", slug, process, sequence)
}

// Instance is one copy of a group's process, from the decision to start it to
// its end. A restart is a new instance at the same index.
type Instance struct {
	ID       InstanceID
	Group    GroupID
	Index    int
	State    State
	Addr     string // "ip:port", "" without a port
	Restarts int    // how often this index was restarted, in all
	Crashes  int    // crashes in a row before this one; a calm time forgets them
	Created  time.Time
	Started  time.Time // the process runs since; zero before
	Since    time.Time // in this state since
	Drained  bool      // no gateway sends it anything any more; only then may it be stopped
	LastExit *Exit     // its own when it ended, else that of the one before it at this index
}

// State is where an instance is in its life.
type State string

// The states. Only Healthy instances get traffic. What a driver holds of a
// Crashed instance is removed when the crash is written down.
const (
	Pending   State = "pending"   // decided, nothing done yet
	Starting  State = "starting"  // being started, or runs and is not healthy yet
	Healthy   State = "healthy"   // its check passes
	Unhealthy State = "unhealthy" // runs, its check fails
	Draining  State = "draining"  // gets nothing new, finishes what it has
	Lingering State = "lingering" // nothing but streams is left; holds its index no longer, and nothing waits for it
	Stopping  State = "stopping"  // the stop signal was sent
	Stopped   State = "stopped"   // gone, as wanted
	Crashed   State = "crashed"   // ended by itself, or never became healthy
)

// next are the legal moves.
var next = map[State][]State{
	Pending:   {Starting, Stopped},
	Starting:  {Healthy, Crashed, Stopping},
	Healthy:   {Unhealthy, Draining, Crashed},
	Unhealthy: {Healthy, Draining, Crashed},
	Draining:  {Lingering, Stopping, Crashed},
	Lingering: {Stopping, Crashed},
	Stopping:  {Stopped},
	Crashed:   {Stopped},
	Stopped:   {},
}

// CanBecome reports whether a move is legal.
func (s State) CanBecome(to State) bool {
	for _, n := range next[s] {
		if n == to {
			return true
		}
	}
	return false
}

// Live reports that the instance holds its index: it runs or soon will, and is
// not on its way out.
func (s State) Live() bool {
	return s == Pending || s == Starting || s == Healthy || s == Unhealthy
}

// Leaving reports that the instance is on its way out.
func (s State) Leaving() bool { return s == Draining || s == Lingering || s == Stopping }

// Move returns the instance in another state; an illegal move is a Conflict.
func (i Instance) Move(to State, now time.Time) (Instance, error) {
	if !i.State.CanBecome(to) {
		return i, fault.New(fault.Conflict, "state", "instance %s is %s and cannot become %s", i.ID, i.State, to)
	}
	if to == Crashed && !i.calm(now) {
		i.Crashes++
	} else if to == Crashed {
		i.Crashes = 1
	}
	i.State, i.Since = to, now
	return i, nil
}

// Calm is how long an instance must have run for its earlier crashes to be
// forgotten.
const Calm = 5 * time.Minute

func (i Instance) calm(now time.Time) bool {
	return !i.Started.IsZero() && now.Sub(i.Started) >= Calm
}

// Again is the instance that takes a crashed one's place, under a new id.
func (i Instance) Again(id InstanceID, now time.Time) Instance {
	return Instance{
		ID: id, Group: i.Group, Index: i.Index, State: Pending,
		Restarts: i.Restarts + 1, Crashes: i.Crashes, Created: now, Since: now, LastExit: i.LastExit,
	}
}
