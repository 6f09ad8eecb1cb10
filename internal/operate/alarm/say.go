package alarm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"naru/internal/event"
	"naru/internal/judge/burn"
	"naru/internal/judge/objective"
	"naru/internal/operate/notify"
)

// group is what people are told as one: the rules of one severity of an objective.
type group struct {
	key      Key // without the rule
	severity burn.Severity
}

func groupOf(a Alarm) group { return group{Key{App: a.App, Objective: a.Objective}, a.Severity} }

// grouped sorts alarms into groups, the quickest rule first.
func grouped(alarms map[Key]Alarm) map[group][]Alarm {
	out := map[group][]Alarm{}
	all := make([]Alarm, 0, len(alarms))
	for _, a := range alarms {
		all = append(all, a)
	}
	for _, a := range sorted(all) {
		out[groupOf(a)] = append(out[groupOf(a)], a)
	}
	return out
}

// inOrder are the groups, in an order that does not change.
func inOrder(all map[group][]Alarm) []group {
	return slices.SortedFunc(maps.Keys(all), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.key.App, b.key.App), cmp.Compare(a.key.Objective, b.key.Objective), cmp.Compare(a.severity, b.severity))
	})
}

// speaking is the alarm that speaks for its group: the quickest that fires, else
// the one that ended last; false where nothing fires nor has just ended.
func speaking(all []Alarm) (Alarm, bool) {
	var last Alarm
	for _, a := range all {
		switch {
		case a.State == burn.Firing:
			return a, true
		case a.State == burn.Resolved && (last.State == "" || a.Since.After(last.Since)):
			last = a
		}
	}
	return last, last.State != ""
}

// messages are what is to be told of the alarms as they are.
func messages(alarms map[Key]Alarm) []notify.Alert {
	var out []notify.Alert
	all := grouped(alarms)
	for _, g := range inOrder(all) {
		if a, ok := speaking(all[g]); ok {
			out = append(out, message(a, all[g]))
		}
	}
	return out
}

// message is one alarm in words.
func message(a Alarm, all []Alarm) notify.Alert {
	m := notify.Alert{
		Labels: map[string]string{
			notify.LabelName: a.Objective, notify.LabelSeverity: string(a.Severity), notify.LabelOrg: a.Home.Org, notify.LabelSpace: a.Home.Space,
			notify.LabelApp: a.Home.App, notify.LabelObjective: a.Objective,
		},
		Summary: fmt.Sprintf("%s of %s: %s", a.Objective, a.Home.App, a.Reason),
		Started: a.Begun,
	}
	if a.State == burn.Resolved {
		m.Ended = a.Since
	}
	var lines []string
	for _, other := range all {
		if other.Key != a.Key && other.State == burn.Firing {
			lines = append(lines, "also    "+other.Reason)
		}
	}
	if a.Budget.Known {
		lines = append(lines, fmt.Sprintf("budget  %s left (%s of everything failing), target %s", objective.Percent(a.Budget.Left), objective.Minutes(a.Budget.Time), objective.Percent(a.Bounds.Target)))
	}
	if a.Change != "" {
		lines = append(lines, "before  "+a.Change)
	}
	place := " --org " + a.Home.Org + " --space " + a.Home.Space
	lines = append(lines, "try     naru slo "+a.Home.App+place, "        naru why "+a.Home.App+place)
	m.Detail = strings.Join(lines, "\n")
	return m
}

// happened are the events between two states of all alarms: a group began to fire,
// or ended.
func happened(before, after map[Key]Alarm) []event.Event {
	was, is := grouped(before), grouped(after)
	var out []event.Event
	for _, g := range inOrder(is) {
		a, speaks := speaking(is[g])
		old, spoke := speaking(was[g])
		fired, fires := spoke && old.State == burn.Firing, speaks && a.State == burn.Firing
		kind := event.Kind("alert.firing")
		switch {
		case fires == fired:
			continue
		case !fires:
			kind = "alert.resolved"
		}
		detail := map[string]any{
			"objective": a.Objective, "severity": string(a.Severity), "rule": a.First, "since": a.Begun.UTC().Format(time.RFC3339), "text": a.Reason,
		}
		if a.Budget.Known {
			detail["left"] = a.Budget.Left
		}
		out = append(out, event.Event{Kind: kind, Actor: event.System, Space: string(a.Home.SpaceID), App: string(a.App), Subject: a.Home.App, Detail: detail})
	}
	return out
}

// gone is the end of an alarm whose objective, rule or app is not there any more;
// false where its end was told and it can be forgotten.
func gone(a Alarm, now time.Time) (Alarm, bool) {
	if a.State != burn.Firing {
		return a, false
	}
	a.State, a.Since, a.Seen = burn.Resolved, now, now
	a.Reason = "the objective is not there any more, or its app is not"
	return a, true
}
