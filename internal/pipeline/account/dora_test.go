package account

import (
	"fmt"
	"testing"
	"time"

	"naru/internal/event"
	"naru/internal/judge/dora"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
)

// What was delivered, read from rollouts and events, is what one finds by hand.
func TestDeploymentsAndIncidents(t *testing.T) {
	of := dora.Scope{Org: "o", Space: "s", App: "shop"}
	at := func(h float64) time.Time { return noon.Add(time.Duration(h * float64(time.Hour))) }
	name := map[release.ID]release.Release{}
	ro := func(id, reason string, begin float64, state rollout.State, change func(*rollout.Rollout)) rollout.Rollout {
		name[release.ID(id)] = release.Release{ID: release.ID(id), Number: 1, Reason: reason, Snapshot: id}
		r := rollout.Rollout{ID: rollout.ID(id), Release: release.ID(id), From: "before", State: state, Created: at(begin), Moved: at(begin + 0.5), Ended: at(begin + 0.5)}
		if change != nil {
			change(&r)
		}
		return r
	}
	trip := func(h float64) func(*rollout.Rollout) {
		return func(r *rollout.Rollout) { r.Trip = &route.Trip{Time: at(h)} }
	}
	rollouts := []rollout.Rollout{
		ro("good", "push", 0, rollout.Done, nil),
		ro("setting", "set-env A", 1, rollout.Done, nil),         // nothing new
		ro("again", "restart", 2, rollout.Done, nil),             // nothing new
		ro("unborn", "push", 3, rollout.RolledBack, nil),         // nobody was served by it
		ro("bad", "push", 4, rollout.RolledBack, trip(4.25)),     // a quarter of an hour
		ro("regretted", "push", 5, rollout.Done, nil),            // taken back by a person
		ro("undo", "rollback to v1", 7, rollout.Done, nil),       // live at 7.5
		ro("fix", release.ReliabilityFix, 8, rollout.Done, nil),  // unplanned
		ro("watched", "push", 9, rollout.RolledBack, trip(9.75)), // live at 9.25, back at 10
		ro("latest", "push", 11, rollout.Shifting, func(r *rollout.Rollout) { r.Ended = time.Time{} }),
	}
	rollouts[8].Ended = at(10)
	moved := func(h float64, kind event.Kind, id string) event.Event {
		return event.Event{Time: at(h), Kind: kind, Detail: map[string]any{"rollout": id}}
	}
	alert := func(h float64, kind event.Kind, severity, rule string) event.Event {
		return event.Event{Time: at(h), Kind: kind, App: "shop", Detail: map[string]any{"objective": "home", "severity": severity, "rule": rule}}
	}
	events := []event.Event{
		moved(0.25, "rollout.watching", "good"), moved(0.5, "rollout.done", "good"), moved(9.25, "rollout.watching", "watched"),
		alert(20, "alert.firing", "page", "quick"), alert(20.5, "alert.firing", "page", "slow"), alert(20.75, "alert.firing", "ticket", "slow"),
		alert(21, "alert.resolved", "page", "quick"), alert(22, "alert.resolved", "page", "slow"), alert(23, "alert.firing", "page", "quick"),
	}
	commits := map[string]time.Time{"good": at(-2), "bad": at(3), "regretted": at(3), "fix": at(7.9)}
	got := deploymentsOf(of, rollouts, lives(events), func(id release.ID) release.Release { return name[id] }, func(r release.Release) (string, time.Time) {
		if made, ok := commits[r.Snapshot]; ok {
			return "commit of " + made.String(), made // bad and regretted have the same
		}
		return "", time.Time{}
	})
	want := []dora.Deployment{
		{ID: "good", Of: of, At: at(0.25), Live: true, Commits: []time.Time{at(-2)}},
		{ID: "bad", Of: of, At: at(4.5)},
		{ID: "regretted", Of: of, At: at(5.5), Live: true, Back: at(7.5), Commits: []time.Time{at(3)}},
		{ID: "fix", Of: of, At: at(8.5), Live: true, Rework: true, Commits: []time.Time{at(7.9)}},
		{ID: "watched", Of: of, At: at(9.25), Live: true, Back: at(10)},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("deployments\n%v\nwant\n%v", got, want)
	}
	incidents := incidentsOf(of, rollouts, got, events)
	wantIncidents := []dora.Incident{
		{Of: of, Opened: at(20), Restored: at(22)}, {Of: of, Opened: at(23)},
		{Of: of, Opened: at(4.25), Restored: at(4.5), Change: "bad"}, {Of: of, Opened: at(9.75), Restored: at(10), Change: "watched"},
	}
	if fmt.Sprint(incidents) != fmt.Sprint(wantIncidents) {
		t.Errorf("incidents\n%v\nwant\n%v", incidents, wantIncidents)
	}
	r := dora.Figures(of, at(-24), at(24*13), got, incidents)
	// Live: good, regretted, fix, watched, all on one of the days of one of two weeks.
	if r.Frequency.N != 4 || r.Frequency.Weeks != 2 || r.Frequency.DaysPerWeek != 0.5 {
		t.Errorf("frequency %+v", r.Frequency)
	}
	// Lead times: 2.25 h, 2.5 h, 0.6 h.
	if r.LeadTime.N != 3 || r.LeadTime.Median != 135*time.Minute {
		t.Errorf("lead time %+v", r.LeadTime)
	}
	// Failed: bad, regretted and watched, to which the alerts are put down as well.
	if r.Failures.N != 3 || r.Failures.Of != 5 || r.Rework.N != 1 || r.Rework.Of != 5 {
		t.Errorf("failures %+v, rework %+v", r.Failures, r.Rework)
	}
	// Incidents that ended: 2 h, 15 min, 15 min.
	if r.Restore.N != 3 || r.Restore.Median != 15*time.Minute || r.Open != 1 {
		t.Errorf("restore %+v, %d open", r.Restore, r.Open)
	}
	if got := weekly(got, at(-24), at(24*13)); fmt.Sprint(got) != "[4 0]" {
		t.Errorf("week by week %v", got)
	}
}
