package promise_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/judge/objective"
	"naru/internal/observe/metrics"
	"naru/internal/pipeline/promise"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

const day = 24 * time.Hour

// rig is the service over a real store, with a clock and counts that its test keeps.
type rig struct {
	*promise.Service
	store  *store.Store
	app    app.App
	now    time.Time
	counts *counts
}

// counts are steady: ten events a minute, of which all are bad in some time.
type counts struct {
	bad   objective.Span
	asked int
}

func (c *counts) Over(_ context.Context, _ objective.SLI, from, to time.Time) (objective.Count, error) {
	c.asked++
	n := 10 * to.Sub(from).Minutes()
	bad := 10 * c.bad.Within(objective.Span{From: from, To: to}).Length().Minutes()
	return objective.Count{Good: n - bad, Total: n}, nil
}

func (c *counts) Each(context.Context, objective.SLI, time.Time, time.Time, time.Duration) ([]objective.Count, error) {
	return nil, errors.New("no slices here")
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), counts: &counts{}}
	r.store = storetest.Open(t, store.Options{Clock: func() time.Time { return r.now }})
	_, space, err := r.store.Bootstrap(t.Context())
	must(t, err)
	begun := r.now
	r.now = begun.Add(-60 * day)
	r.app, err = r.store.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: space.ID, Name: "shop", Slug: "shop", State: app.Started})
	must(t, err)
	r.now = begun
	queries := metrics.New(metrics.Options{}, slog.New(slog.DiscardHandler))
	r.Service = promise.New(r.store, r.counts, queries.CheckQuery, promise.Limits{Journeys: 5, Retention: 35 * day}, func() time.Time { return r.now })
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) reports(t *testing.T) []objective.Report {
	t.Helper()
	all, err := r.Reports(t.Context(), r.app.ID, r.now)
	must(t, err)
	return all
}

var all = app.Objective{Name: "all", Kind: app.Availability, Target: 0.999}

// What went on with an app is named in its ledger: announced maintenance before
// alerts that had somebody get up, before rollouts.
func TestCausesComeFromWhatHappened(t *testing.T) {
	r := start(t)
	ctx := t.Context()
	must(t, r.Declare(ctx, r.app.ID, []app.Objective{all}, nil, "ada"))
	now := r.now
	ago := func(d time.Duration) { r.now = now.Add(-d) }
	happens := func(kind event.Kind, severity string, since time.Time) {
		must(t, r.store.AppendEvents(ctx, event.Event{
			Kind: kind, Actor: event.System, App: string(r.app.ID), Subject: "shop",
			Detail: map[string]any{"objective": "all", "severity": severity, "since": since.Format(time.RFC3339)},
		}))
	}
	ago(100 * time.Minute)
	_, _, err := r.Announce(ctx, app.Maintenance{App: r.app.ID, From: now.Add(-90 * time.Minute), To: now.Add(-80 * time.Minute), Reason: "new database", By: "ada"})
	must(t, err)
	ago(70 * time.Minute)
	happens("alert.firing", "ticket", now.Add(-75*time.Minute)) // nobody got up
	ago(60 * time.Minute)
	happens("alert.firing", "page", now.Add(-65*time.Minute))
	happens("alert.firing", "page", now.Add(-60*time.Minute)) // of another rule
	ago(50 * time.Minute)
	happens("alert.resolved", "page", now)
	ago(40 * time.Minute)
	rel, err := r.store.CutRelease(ctx, r.app.ID, func(number int, now time.Time) (release.Release, error) {
		return release.Release{ID: release.ID(id.New()), App: r.app.ID, Number: number, Created: now}, nil
	})
	must(t, err)
	ro, err := r.store.StartRollout(ctx, rollout.Rollout{ID: rollout.ID(id.New()), App: r.app.ID, Release: rel.ID, Spec: app.Strategy{Kind: app.Rolling}.Filled(), MaxInFlight: 1, State: rollout.Preparing})
	must(t, err)
	ago(30 * time.Minute)
	for _, to := range []rollout.State{rollout.Aborting, rollout.RolledBack} {
		_, err = r.store.MoveRollout(ctx, ro.ID, to, "")
		must(t, err)
	}
	ago(20 * time.Minute)
	happens("alert.firing", "page", r.now) // goes on
	ago(0)
	r.counts.bad = objective.Span{From: now.Add(-90 * time.Minute), To: now.Add(-10 * time.Minute)}
	got := []string{}
	for _, d := range r.reports(t)[0].Ledger {
		got = append(got, d.String())
	}
	// 80 minutes of 40.32: 10 of maintenance, 15 and 10 of alerts, 10 of the rollout.
	want := []string{
		"maintenance new database: 24.8 % of the budget (10 min)", "incident alert of all: 62 % of the budget (25 min)",
		"rollout v1: 24.8 % of the budget (10 min)", "unexplained: 86.8 % of the budget (35 min)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the ledger is\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Reports are made once for all who ask within some seconds, and anew when what is
// promised has changed.
func TestReportsAreShared(t *testing.T) {
	r := start(t)
	must(t, r.Declare(t.Context(), r.app.ID, []app.Objective{all}, nil, "ada"))
	if got := r.reports(t); len(got) != 1 || !got[0].Known || got[0].Left != 1 {
		t.Fatalf("reports %+v", got)
	}
	asked := r.counts.asked
	r.now = r.now.Add(4 * time.Second)
	if r.reports(t); r.counts.asked != asked {
		t.Errorf("asked %d times more within seconds", r.counts.asked-asked)
	}
	r.now = r.now.Add(2 * time.Second)
	if r.reports(t); r.counts.asked == asked {
		t.Error("reports of six seconds ago were given")
	}
	r.now = r.now.Add(-time.Hour) // the clock was set back
	if got := r.reports(t); !got[0].Now.Equal(r.now) {
		t.Errorf("reports of %s at %s", got[0].Now, r.now)
	}
	other := all
	other.Name = "another"
	_, err := r.Apply(t.Context(), r.app.ID, []app.Objective{other}, false, "ada")
	must(t, err)
	if got := r.reports(t); len(got) != 2 {
		t.Errorf("%d reports after one was applied", len(got))
	}
	if owners, err := r.Owners(t.Context()); err != nil || len(owners) != 1 || owners[0] != r.app.ID {
		t.Errorf("owners %v, %v", owners, err)
	}
	must(t, r.store.DeleteApp(t.Context(), r.app.ID))
	r.now = r.now.Add(time.Hour)
	if _, err := r.Reports(t.Context(), r.app.ID, r.now); !fault.Is(err, fault.NotFound) {
		t.Errorf("of an app that is gone: %v", err)
	}
}

// What was not counted before it was asked for is no time without traffic.
func TestJourneysAreKnownSinceTheyAreCounted(t *testing.T) {
	r := start(t)
	ctx := t.Context()
	journey := app.Objective{Name: "profile", Kind: app.Availability, Target: 0.999, Journeys: []app.Journey{{Path: "/profile/{user}"}}}
	must(t, r.Declare(ctx, r.app.ID, []app.Objective{all, journey}, nil, "ada"))
	r.now = r.now.Add(3 * day)
	got := r.reports(t)
	if got[0].Observed != 28*day || got[1].Observed != 3*day {
		t.Errorf("watched for %s and %s", got[0].Observed, got[1].Observed)
	}
	journey.Target = 0.99
	must(t, r.Declare(ctx, r.app.ID, []app.Objective{all, journey}, nil, "ada"))
	if got := r.reports(t); got[1].Observed != 3*day || got[1].Target != 0.99 {
		t.Errorf("with another target watched for %s", got[1].Observed)
	}
	journey.Bad = []string{"5xx", "429"}
	must(t, r.Declare(ctx, r.app.ID, []app.Objective{all, journey}, nil, "ada"))
	r.now = r.now.Add(day)
	if got := r.reports(t); got[1].Observed != day {
		t.Errorf("with another status watched for %s", got[1].Observed)
	}
}

// A push cannot take away the probe that an applied objective needs, nor its name.
func TestDeclaringBesideWhatIsApplied(t *testing.T) {
	r := start(t)
	ctx := t.Context()
	probe := app.Probe{Name: "order", Path: "/order"}
	must(t, r.Declare(ctx, r.app.ID, nil, []app.Probe{probe}, "ada"))
	order := app.Objective{Name: "order", Kind: app.EndToEnd, Target: 0.9, Probe: "order"}
	_, err := r.Apply(ctx, r.app.ID, []app.Objective{order}, false, "ada")
	must(t, err)
	for name, tc := range map[string]struct {
		objectives []app.Objective
		probes     []app.Probe
		field      string
	}{
		"without its probe": {nil, nil, "probes"},
		"with its name":     {[]app.Objective{all, {Name: "order", Kind: app.Availability, Target: 0.9}}, []app.Probe{probe}, "objectives[1].name"},
	} {
		for what, err := range map[string]error{
			"check": r.Check(ctx, r.app.ID, tc.objectives, tc.probes), "declare": r.Declare(ctx, r.app.ID, tc.objectives, tc.probes, "ada"),
		} {
			if f := fault.Of(err); f.Kind != fault.Conflict || f.Field != tc.field || f.Try == "" {
				t.Errorf("%s %s: %+v", what, name, f)
			}
		}
	}
	must(t, r.Check(ctx, "", []app.Objective{order}, []app.Probe{probe})) // an app that is not there yet
	if probes, err := r.Probes(ctx, r.app.ID); err != nil || len(probes) != 1 {
		t.Errorf("probes %v, %v", probes, err)
	}
	if promises, err := r.Promises(ctx, r.app.ID); err != nil || len(promises) != 1 {
		t.Errorf("promises %v, %v", promises, err)
	}
}
