package account

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/dora"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

// Delivered is how often and how well something was delivered over a time.
type Delivered struct {
	dora.Report
	dora.Trouble       // what incidents did meanwhile
	Weekly       []int // deployments that went live, week by week, the latest last
	Apps         int   // that were looked at
}

// LeastDora is the shortest time that figures are given of: they are medians of
// weeks.
const LeastDora = 7 * 24 * time.Hour

// LongestDora is the longest: rollouts are kept for a year.
const LongestDora = 365 * 24 * time.Hour

// Delivered works out the figures of some apps, which are all of scope.
func (t *Teller) Delivered(ctx context.Context, scope dora.Scope, apps []app.App, since time.Duration) (Delivered, error) {
	if since < LeastDora || since > LongestDora {
		return Delivered{}, fault.New(fault.Invalid, "since", "%s is not a time from 7 days to 365 days", since).WithTry("--since 90d")
	}
	to := t.now()
	from := to.Add(-since)
	var deployments []dora.Deployment
	var incidents []dora.Incident
	for _, a := range apps {
		of := dora.Scope{Org: scope.Org, Space: string(a.Space), App: string(a.ID)}
		some, more, err := t.delivered(ctx, a, of, from)
		if err != nil {
			return Delivered{}, err
		}
		deployments, incidents = append(deployments, some...), append(incidents, more...)
	}
	out := Delivered{Report: dora.Figures(scope, from, to, deployments, incidents), Trouble: dora.TroubleOf(scope, from, to, incidents), Apps: len(apps)}
	out.Weekly = weekly(deployments, from, to)
	return out, nil
}

// delivered reads the deployments and incidents of one app. What was before from
// tells which commits are new, and what incidents came of.
func (t *Teller) delivered(ctx context.Context, a app.App, of dora.Scope, from time.Time) ([]dora.Deployment, []dora.Incident, error) {
	rollouts, err := t.store.Rollouts(ctx, a.ID, 0)
	if err != nil {
		return nil, nil, err
	}
	events, _, err := t.events(ctx, a.Space, a.ID, from.Add(-dora.CauseWindow))
	if err != nil {
		return nil, nil, err
	}
	name := t.numbers(ctx)
	commit := func(r release.Release) (id string, at time.Time) {
		if r.Snapshot == "" {
			return "", time.Time{}
		}
		snap, err := t.store.SnapshotByDigest(ctx, a.Space, r.Snapshot)
		if err != nil || snap.Origin.Committed == 0 || snap.Origin.Dirty {
			return "", time.Time{} // not kept any more, or no commit: its lead time is not known
		}
		return snap.Origin.Commit, time.Unix(snap.Origin.Committed, 0).UTC()
	}
	deployments := deploymentsOf(of, rollouts, lives(events), name, commit)
	return deployments, incidentsOf(of, rollouts, deployments, events), nil
}

// lives is when all users had the release of a rollout, by its id.
func lives(events []event.Event) map[rollout.ID]time.Time {
	out := map[rollout.ID]time.Time{}
	for _, ev := range events {
		if ev.Kind != "rollout.watching" && ev.Kind != "rollout.done" {
			continue
		}
		id := rollout.ID(text(ev.Detail["rollout"]))
		if _, known := out[id]; !known {
			out[id] = ev.Time
		}
	}
	return out
}

// deploymentsOf are the rollouts that brought something new to users: those of a
// push. A restart or another setting is none; a rollback ends the one that it takes
// back.
func deploymentsOf(of dora.Scope, rollouts []rollout.Rollout, live map[rollout.ID]time.Time, name func(release.ID) release.Release, commit func(release.Release) (string, time.Time)) []dora.Deployment {
	rollouts = slices.Clone(rollouts)
	slices.SortStableFunc(rollouts, func(a, b rollout.Rollout) int { return a.Created.Compare(b.Created) })
	var out []dora.Deployment
	seen := map[string]bool{}
	for _, ro := range rollouts {
		rel := name(ro.Release)
		at, was := live[ro.ID]
		if !was && (ro.State == rollout.Done || ro.State == rollout.Watching) {
			at, was = cmp.Or(ro.Ended, ro.Moved), true // its events are not kept any more
		}
		if strings.HasPrefix(rel.Reason, "rollback") {
			if n := len(out); was && n > 0 && out[n-1].Live && out[n-1].Back.IsZero() {
				out[n-1].Back = at
			}
			continue
		}
		if rel.Reason != "push" && rel.Reason != release.ReliabilityFix || ro.From == ro.Release {
			continue
		}
		served := was || ro.Trip != nil || !ro.Reached.IsZero()
		if !served || ro.State == rollout.Superseded || !ro.State.Ended() && !was {
			continue
		}
		d := dora.Deployment{ID: string(ro.ID), Of: of, At: at, Live: was, Rework: rel.Reason == release.ReliabilityFix}
		if !was {
			d.At = ro.Ended
		}
		if was && ro.State == rollout.RolledBack {
			d.Back = ro.Ended
		}
		if id, made := commit(rel); id != "" && !seen[id] {
			if seen[id] = was; was { // one that went back may come again
				d.Commits = []time.Time{made}
			}
		}
		out = append(out, d)
	}
	return out
}

// incidentsOf are alerts that page, those of one app that overlap as one, and what
// users saw of deployments that went back.
func incidentsOf(of dora.Scope, rollouts []rollout.Rollout, deployments []dora.Deployment, events []event.Event) []dora.Incident {
	counted := map[string]bool{}
	for _, d := range deployments {
		counted[d.ID] = true
	}
	out := pages(of, events)
	for _, ro := range rollouts {
		if !counted[string(ro.ID)] || ro.State != rollout.RolledBack {
			continue
		}
		opened := ro.Reached
		if ro.Trip != nil {
			opened = ro.Trip.Time
		}
		if opened.IsZero() || opened.After(ro.Ended) {
			continue
		}
		out = append(out, dora.Incident{Of: of, Opened: opened, Restored: ro.Ended, Change: string(ro.ID)})
	}
	return out
}

// pages are the times in which at least one alert paged.
func pages(of dora.Scope, events []event.Event) []dora.Incident {
	var out []dora.Incident
	firing := map[string]bool{}
	for _, ev := range events {
		if text(ev.Detail["severity"]) != "page" {
			continue
		}
		key := alertKey(ev)
		switch ev.Kind {
		case "alert.firing":
			if len(firing) == 0 {
				out = append(out, dora.Incident{Of: of, Opened: ev.Time})
			}
			firing[key] = true
		case "alert.resolved":
			if !firing[key] {
				continue
			}
			if delete(firing, key); len(firing) == 0 {
				out[len(out)-1].Restored = ev.Time
			}
		}
	}
	return out
}

// weekly counts deployments that went live, week by week back from the end.
func weekly(deployments []dora.Deployment, from, to time.Time) []int {
	const week = 7 * 24 * time.Hour
	out := make([]int, int(to.Sub(from)/week))
	for _, d := range deployments {
		if !d.Live || d.At.Before(from) || !d.At.Before(to) {
			continue
		}
		if ago := int((to.Sub(d.At) - 1) / week); ago < len(out) {
			out[len(out)-1-ago]++
		}
	}
	return out
}

// AppsOf lists all apps of a space.
func (t *Teller) AppsOf(ctx context.Context, space app.SpaceID) ([]app.App, error) {
	const page = 200
	var out []app.App
	after := ""
	for {
		some, err := t.store.AppsAfter(ctx, space, after, page)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
		if len(some) < page {
			return out, nil
		}
		after = some[len(some)-1].Name
	}
}
