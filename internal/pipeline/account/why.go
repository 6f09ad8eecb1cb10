package account

import (
	"context"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/budget"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
)

// State is what an app is in, in a word.
type State string

// The states, as Why sorts them: the first that holds.
const (
	Empty    State = "empty"     // it has no release yet
	OnTheWay State = "rollout"   // a rollout is at work, or waits for a person
	Stuck    State = "stuck"     // a way back stopped and is left to a person
	Stopped  State = "stopped"   //
	Crashing State = "crashing"  // instances of what runs end by themselves
	Unwell   State = "unwell"    // instances of what runs are not healthy, or do not exist yet
	Failing  State = "failing"   // healthy, and visitors get errors
	WentBack State = "went back" // well, and the newest release went back
	Frozen   State = "frozen"    // well, and its error budget allows no new features
	Well     State = "well"      //
)

// Answer is why an app is in the state it is in.
type Answer struct {
	State     State
	Sentences []string // one to three, what matters most first
	Try       []string // the next commands
	Rollout   rollout.ID
}

// Lines finds what an app said; *logs.Book does.
type Lines interface {
	Tail(ctx context.Context, q logs.Query) (logs.Page, error)
}

// lately is the time whose requests say how an app does now.
const lately = 5 * time.Minute

// facts are what an answer is made of.
type facts struct {
	app      app.App
	now      time.Time
	current  *release.Release // what runs
	live     time.Time        // since when; zero: not known
	newest   *rollout.Rollout
	rel      release.Release      // that the newest rollout brings
	from     release.Release      // what was before
	given    *judging.Given       // the last that was said of the newest rollout's judged steps
	want, up int                  // instances of what runs
	sick     *run.Instance        // of what runs
	process  string               // of sick
	others   map[string]bool      // names of groups that the newest rollout did not make
	crash    *event.Event         // the last of the newest rollout's instances
	said     string               // the last line before that
	traffic  Traffic              // lately
	last     *operation.Operation // failed, after the newest rollout
	tier     budget.Tier
	standing []budget.Standing
	alerts   []Change // that fire
}

// Why says why an app is in the state it is in. lines may be nil: who asks may
// not read what the app says.
func (t *Teller) Why(ctx context.Context, a app.App, lines Lines) (Answer, error) {
	f, err := t.facts(ctx, a, lines)
	if err != nil {
		return Answer{}, err
	}
	return f.answer(), nil
}

func (t *Teller) facts(ctx context.Context, a app.App, lines Lines) (facts, error) {
	f := facts{app: a, now: t.now(), tier: budget.Free, others: map[string]bool{}}
	if rel, err := t.store.CurrentRelease(ctx, a.ID); err == nil {
		f.current = &rel
	} else if !fault.Is(err, fault.NotFound) {
		return f, err
	}
	rollouts, err := t.store.Rollouts(ctx, a.ID, 100)
	if err != nil {
		return f, err
	}
	name := t.numbers(ctx)
	if len(rollouts) > 0 {
		f.newest = &rollouts[0]
		f.rel, f.from = name(f.newest.Release), name(f.newest.From)
		given, err := t.store.Verdicts(ctx, f.newest.ID)
		if err != nil {
			return f, err
		}
		if n := len(given); n > 0 {
			f.given = &given[n-1]
		}
	}
	for _, ro := range rollouts {
		if f.current != nil && ro.Release == f.current.ID && (ro.State == rollout.Done || ro.State == rollout.Watching) {
			f.live = ro.Moved
			break
		}
	}
	if err := t.instances(ctx, &f); err != nil {
		return f, err
	}
	if err := t.happened(ctx, &f, lines); err != nil {
		return f, err
	}
	operations, err := t.store.Operations(ctx, operation.Filter{App: a.ID, Limit: 1})
	if err != nil {
		return f, err
	}
	if len(operations) > 0 && operations[0].Error != nil && (f.newest == nil || string(operations[0].ID) != string(f.newest.ID) && operations[0].Created.After(f.newest.Created)) {
		f.last = &operations[0]
	}
	if t.budgets != nil {
		if f.tier, f.standing, err = t.budgets.Standing(ctx, a); err != nil {
			return f, err
		}
	}
	var notes []string
	c, err := t.course(ctx, a, f.now.Add(-lately), f.now, &notes)
	f.traffic = c.Between(c.From, f.now)
	return f, err
}

// instances counts those of what runs.
func (t *Teller) instances(ctx context.Context, f *facts) error {
	groups, err := t.store.Groups(ctx, f.app.ID)
	if err != nil {
		return err
	}
	have, err := t.store.Instances(ctx, f.app.ID)
	if err != nil {
		return err
	}
	for _, g := range groups {
		f.others[g.Name] = f.newest == nil || !slices.Contains(f.newest.New, g.ID)
		underway := f.newest != nil && !f.newest.State.Ended() && f.newest.State != rollout.Watching && slices.Contains(f.newest.New, g.ID)
		if g.Retired || underway {
			continue
		}
		f.want += g.Size
		for i := range have {
			switch in := &have[i]; {
			case in.Group != g.ID:
			case in.State == run.Healthy:
				f.up++
			case f.sick == nil && in.LastExit != nil && (in.State == run.Crashed || in.Crashes > 0 || in.Restarts > 0):
				f.sick, f.process = in, g.Process
			}
		}
	}
	return nil
}

// happened reads the crashes of the newest rollout, the last line that was said
// before, and the alerts that fire.
func (t *Teller) happened(ctx context.Context, f *facts, lines Lines) error {
	since := f.now.Add(-7 * 24 * time.Hour)
	if f.newest != nil {
		since = earlier(since, f.newest.Created)
	}
	events, _, err := t.events(ctx, f.app.Space, f.app.ID, since)
	if err != nil {
		return err
	}
	for _, c := range incidents(events) {
		if c.Until.IsZero() {
			f.alerts = append(f.alerts, c)
		}
	}
	if f.newest == nil {
		return nil
	}
	until := f.newest.Ended
	if until.IsZero() {
		until = f.now
	}
	// A group's events have its name, and groups that went back are gone: those that
	// are there were not made by the rollout, unless it says so.
	for _, ev := range events {
		within := !ev.Time.Before(f.newest.Created) && !ev.Time.After(until)
		if ev.Kind == "instance.crashed" && within && !f.others[text(ev.Detail["group"])] {
			f.crash = &ev
		}
	}
	if f.crash == nil || lines == nil {
		return nil
	}
	index, ok := f.crash.Detail["index"].(float64)
	if !ok {
		return nil
	}
	place := int(index)
	page, err := lines.Tail(ctx, logs.Query{
		App: f.app.ID, Source: "APP", Process: text(f.crash.Detail["process"]), Index: &place,
		Since: f.newest.Created, Until: f.crash.Time.Add(time.Second), Limit: 50, Bytes: 1 << 20,
	})
	if err != nil {
		return err
	}
	for _, line := range page.Lines {
		if line.Instance == text(f.crash.Detail["instance"]) && strings.TrimSpace(line.Text) != "" {
			f.said = line.Text
		}
	}
	return nil
}
