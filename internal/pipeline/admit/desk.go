package admit

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"naru/internal/app"
	"naru/internal/disk"
	"naru/internal/fault"
	"naru/internal/pipeline/quota"
	"naru/internal/pipeline/rollout"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/run"
)

// Store is what is asked about everything that runs or is to run. Within a
// transaction of the caller it answers as of that transaction.
type Store interface {
	AllGroups(ctx context.Context) ([]run.Group, error)
	OpenRollouts(ctx context.Context) ([]rollout.Rollout, error)
	OpenTasks(ctx context.Context) ([]task.Task, error)
	// ProcessesOf leaves out releases that are gone.
	ProcessesOf(ctx context.Context, releases ...release.ID) (map[release.ID][]app.Process, error)
	AppsByID(ctx context.Context, apps ...app.ID) ([]app.App, error)
	// QuotasIn returns the quotas that limit anything in a space.
	QuotasIn(ctx context.Context, space app.SpaceID) ([]quota.Held, error)
}

// Desk is where changes are asked for. Its methods are called in the transaction
// that makes the change, so that two changes never get the same room.
type Desk struct {
	store  Store
	limits Limits
	disk   disk.Reserve
	log    int // bytes per second that an instance may write to its log; 0: any number

	mu    sync.Mutex // guards known
	known map[release.ID]map[string]int
}

// NewDesk makes a desk; what grows is refused on a disk without its reserve, and
// beyond a quota. logRate is how many bytes per second an instance may write to
// its log, 0 for any number.
func NewDesk(store Store, limits Limits, d disk.Reserve, logRate int) *Desk {
	return &Desk{store: store, limits: limits, disk: d, log: logRate, known: map[release.ID]map[string]int{}}
}

// Busy says that a change fits as soon as the rollouts of other apps are
// through: ask again then.
type Busy struct{ refusal *fault.Error }

// Error says what is waited for.
func (b *Busy) Error() string { return "rollouts of other apps have the room: " + b.refusal.Message }

// Unwrap returns it as a refusal.
func (b *Busy) Unwrap() error { return b.refusal }

// Resize asks for an app at other sizes, of the groups it has.
func (d *Desk) Resize(ctx context.Context, a app.App) error {
	held, idle, err := d.idle(ctx, a.Space)
	if err != nil || idle {
		return err
	}
	s, err := d.read(ctx)
	if err != nil {
		return err
	}
	was := s.claim(a.ID)
	want := Claim{App: a.ID, Space: a.Space}
	for _, p := range was.Parts {
		want.Parts = append(want.Parts, Part{p.Process, a.Wanted(p.Process), p.MiB})
	}
	_, err = d.answer(ctx, s, a, held, Change{Was: was, Want: want})
	return err
}

// idle reports that nobody looks at what runs in a space: no limit of the machine,
// and no quota.
func (d *Desk) idle(ctx context.Context, space app.SpaceID) (held []quota.Held, idle bool, err error) {
	held, err = d.store.QuotasIn(ctx, space)
	return held, len(held) == 0 && d.limits.Off() && d.disk.Percent == 0, err
}

// Rollout asks for the replacement of what an app has by processes, with so many
// instances in flight; it returns how many there may be. Without an error there
// is room for one at least.
func (d *Desk) Rollout(ctx context.Context, a app.App, processes []app.Process, inFlight int) (int, error) {
	held, idle, err := d.idle(ctx, a.Space)
	if err != nil || idle {
		return inFlight, err
	}
	s, err := d.read(ctx)
	if err != nil {
		return 0, err
	}
	was := s.claim(a.ID)
	want, beside := replacement(a, was, processes)
	return d.answer(ctx, s, a, held, Change{Was: was, Want: want, Beside: beside, InFlight: inFlight})
}

// Task asks for a one-off task of an app.
func (d *Desk) Task(ctx context.Context, t task.Task) error {
	apps, err := d.store.AppsByID(ctx, t.App)
	if err != nil || len(apps) == 0 {
		return err
	}
	held, idle, err := d.idle(ctx, apps[0].Space)
	if err != nil || idle {
		return err
	}
	s, err := d.read(ctx, t.Release)
	if err != nil {
		return err
	}
	_, err = d.answer(ctx, s, apps[0], held, Change{Want: s.task(t)})
	return err
}

// Promised is how much instances and tasks were promised, and how much there is
// to promise; ok is false where nobody looks.
func (d *Desk) Promised(ctx context.Context) (taken, room int, ok bool, err error) {
	if d.limits.Off() {
		return 0, 0, false, nil
	}
	s, err := d.read(ctx)
	if err != nil {
		return 0, 0, false, err
	}
	for _, c := range s.all() {
		taken += c.MiB()
	}
	return taken, d.limits.RoomMiB(), true, nil
}

// answer decides, and puts a refusal into words.
func (d *Desk) answer(ctx context.Context, s standing, a app.App, held []quota.Held, c Change) (inFlight int, err error) {
	grows := c.Want.MiB() > c.Was.MiB()
	if grows {
		if err := d.disk.Check("new instances"); err != nil {
			return 0, err
		}
	}
	others := slices.DeleteFunc(s.all(), func(o Claim) bool { return o.App == a.ID && !o.Task && !c.Want.Task })
	if len(held) > 0 {
		if err := d.within(ctx, held, others, a, c); err != nil {
			return 0, err
		}
	}
	got := Decide(d.limits, others, c)
	if got.Fits {
		return got.InFlight, nil
	}
	names, err := d.names(ctx, a.Space, others)
	if err != nil {
		return 0, err
	}
	refusal := refuse(a, c, got, others, names)
	if got.Later {
		return 0, &Busy{refusal}
	}
	return 0, refusal
}

// names are the names of apps of a space, by id: others are not spoken of.
func (d *Desk) names(ctx context.Context, space app.SpaceID, claims []Claim) (map[app.ID]string, error) {
	var ids []app.ID
	for _, c := range largestFirst(claims) {
		if c.Space == space && len(ids) < maxNamed {
			ids = append(ids, c.App)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	apps, err := d.store.AppsByID(ctx, ids...)
	if err != nil {
		return nil, err
	}
	names := map[app.ID]string{}
	for _, a := range apps {
		names[a.ID] = a.Name
	}
	return names, nil
}

// memory returns what the processes of releases may take, in MiB by type. What a
// release says never changes, so it is read once.
func (d *Desk) memory(ctx context.Context, releases map[release.ID]bool) (map[release.ID]map[string]int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := make(map[release.ID]map[string]int, len(releases)) // of those that are asked for: the rest is forgotten
	var missing []release.ID
	for id := range releases {
		if have, ok := d.known[id]; ok {
			next[id] = have
		} else {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		read, err := d.store.ProcessesOf(ctx, missing...)
		if err != nil {
			return nil, fmt.Errorf("look what is promised: %w", err)
		}
		for id, processes := range read {
			next[id] = map[string]int{}
			for _, p := range processes {
				next[id][p.Type] = p.MemoryMiB
			}
		}
	}
	d.known = next
	return next, nil
}
