package account

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"naru/internal/event"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

// Kind is what sort of change something was.
type Kind string

// The kinds. Those that say so are causes: the others are what came of them.
const (
	Release     Kind = "release"     // cause: another image, or a rollback
	Config      Kind = "config"      // cause: settings, environment
	Scale       Kind = "scale"       // cause: another number of instances
	Restart     Kind = "restart"     // cause: started, stopped, restarted
	Routing     Kind = "route"       // cause: routes and weights
	Maintenance Kind = "maintenance" // cause: announced
	Back        Kind = "back"        // a rollout went back
	Trip        Kind = "trip"        // a gateway took traffic away
	Verdict     Kind = "verdict"     // a step of a rollout was judged
	Crash       Kind = "crash"       // instances ended by themselves
	Incident    Kind = "incident"    // an alert
	Budget      Kind = "budget"      // what may be changed became more or less
)

// causes are the kinds that may be why an app became worse, with how much they are
// suspected when nothing else tells them apart.
var causes = map[Kind]float64{Release: 1, Config: 0.9, Routing: 0.8, Maintenance: 0.8, Scale: 0.7, Restart: 0.6}

// Change is one thing that happened, and how the app did before and after it.
type Change struct {
	At     time.Time
	Until  time.Time // zero: it has no length, or goes on
	Kind   Kind
	Actor  string
	Text   string // "v3 with canary 20%/20s, 100%"
	End    string // how it ended: "live after 3s"; "": it has no end, or has not ended
	Before Traffic
	After  Traffic
	Worse  float64 // how much speaks for it having made the app worse, about in standard deviations; 0: nothing
	Why    string  // what became worse, with the numbers
}

// changesOf makes changes of events and rollouts, in the order of time. name finds
// releases.
func changesOf(events []event.Event, rollouts []rollout.Rollout, since time.Time, name func(release.ID) release.Release) []Change {
	var out []Change
	by := map[string]string{} // who began the rollouts that events name
	for _, ev := range events {
		if ev.Kind == "rollout.started" {
			by[ev.Time.Format(time.RFC3339Nano)] = ev.Actor
		}
	}
	for _, ro := range rollouts {
		if !ro.Ended.IsZero() && ro.Ended.Before(since) {
			continue
		}
		out = append(out, ofRollout(ro, name, by)...)
	}
	out = append(out, ofEvents(events)...)
	out = append(out, crashes(events)...)
	out = append(out, incidents(events)...)
	out = slices.DeleteFunc(out, func(c Change) bool { return c.At.Before(since) && (c.Until.IsZero() || c.Until.Before(since)) })
	slices.SortStableFunc(out, func(a, b Change) int { return a.At.Compare(b.At) })
	return out
}

// ofRollout is a rollout's begin, the trip of its guard, and its way back.
func ofRollout(ro rollout.Rollout, name func(release.ID) release.Release, by map[string]string) []Change {
	rel := name(ro.Release)
	begin := Change{At: ro.Created, Until: ro.Ended, Kind: kindOf(rel.Reason), Actor: cmp.Or(rel.By, by[ro.Created.Format(time.RFC3339Nano)], event.System)}
	begin.Text = nameOf(rel)
	if ro.From == ro.Release {
		begin.Text, begin.Kind = begin.Text+" once more", Restart
	} else if rel.Reason != "" && rel.Reason != "push" {
		begin.Text += " (" + rel.Reason + ")"
	}
	if ro.From != "" {
		begin.Text += ", " + ro.Spec.String()
	}
	took := ro.Ended.Sub(ro.Created).Round(100 * time.Millisecond)
	switch ro.State {
	case rollout.Done:
		begin.End = "live"
	case rollout.Watching:
		begin.End = "live, watched"
	case rollout.RolledBack:
		begin.End = fmt.Sprintf("went back after %s", took)
	case rollout.Superseded:
		begin.End = fmt.Sprintf("gave way to another after %s", took)
	case rollout.Failed:
		begin.End = fmt.Sprintf("stuck after %s", took)
	}
	out := []Change{begin}
	if t := ro.Trip; t != nil {
		out = append(out, Change{At: t.Time, Kind: Trip, Actor: event.System, Text: fmt.Sprintf("%s lost its traffic: %s", nameOf(rel), t.Reason())})
	}
	switch {
	case ro.State == rollout.RolledBack && ro.From == "":
		out = append(out, Change{At: ro.Ended, Kind: Back, Actor: event.System, Text: fmt.Sprintf("%s was taken away: %s", nameOf(rel), ro.Reason)})
	case ro.State == rollout.RolledBack, ro.State == rollout.Superseded:
		out = append(out, Change{At: ro.Ended, Kind: Back, Actor: event.System, Text: fmt.Sprintf("%s again in place of %s: %s", nameOf(name(ro.From)), nameOf(rel), ro.Reason)})
	case ro.State == rollout.Failed:
		out = append(out, Change{At: ro.Ended, Kind: Back, Actor: event.System, Text: fmt.Sprintf("the way back from %s stopped: %s", nameOf(rel), ro.Reason)})
	}
	return out
}

// kindOf is what the reason of a release says that it changes.
func kindOf(reason string) Kind {
	switch word, _, _ := strings.Cut(reason, " "); word {
	case "restart", "start":
		return Restart
	case "set-env", "unset-env":
		return Config
	}
	return Release
}

// ofEvents is what is told by one event each.
func ofEvents(events []event.Event) []Change {
	var out []Change
	for _, ev := range events {
		c := Change{At: ev.Time, Actor: ev.Actor}
		switch ev.Kind {
		case "env.changed":
			c.Kind, c.Text = Config, "environment: "+words(ev.Detail["names"])
		case "app.configured":
			c.Kind, c.Text = Config, "settings of "+words(ev.Detail["processes"])
		case "app.scaled":
			var parts []string
			for _, process := range slices.Sorted(maps.Keys(ev.Detail)) {
				parts = append(parts, fmt.Sprintf("%s to %v", process, ev.Detail[process]))
			}
			c.Kind, c.Text = Scale, "scaled "+strings.Join(parts, ", ")
		case "app.stopped":
			c.Kind, c.Text = Restart, "stopped"
		case "route.mapped":
			c.Kind, c.Text = Routing, ev.Subject+" mapped"
		case "route.unmapped":
			c.Kind, c.Text = Routing, ev.Subject+" unmapped"
		case "route.changed":
			c.Kind, c.Text = Routing, ev.Subject+": "+words(ev.Detail["keys"])
		case "group.weighed":
			if ev.Actor == event.System {
				continue // a step of a rollout
			}
			c.Kind, c.Text = Routing, fmt.Sprintf("%s has weight %v", ev.Subject, ev.Detail["weight"])
		case "maintenance.announced":
			c.Kind, c.Text = Maintenance, "maintenance announced: "+cmp.Or(text(ev.Detail["reason"]), ev.Subject)
		case "maintenance.cancelled":
			c.Kind, c.Text = Maintenance, "maintenance cancelled"
		case "budget.tier":
			c.Kind, c.Text = Budget, fmt.Sprintf("%s: from %s to %s", text(ev.Detail["objective"]), text(ev.Detail["from"]), text(ev.Detail["to"]))
			if left, ok := ev.Detail["left"].(float64); ok {
				c.Text += fmt.Sprintf(", %s of its budget left", share(left))
			}
		case "budget.overridden":
			c.Kind, c.Text = Budget, "the error budget overridden: "+text(ev.Detail["reason"])
			if ev.Detail["ended"] == true {
				c.Text = "the override of the error budget ended"
			}
		case "budget.passed":
			c.Kind, c.Text = Budget, "passed by "+text(ev.Detail["by"])+": "+text(ev.Detail["why"])
		case "verdict.given":
			c.Kind, c.Text = Verdict, judgedAs(text(ev.Detail["outcome"]), text(ev.Detail["act"]))+": "+text(ev.Detail["text"])
		case "push.refused":
			c.Kind, c.Text = Budget, "a push was refused: "+text(ev.Detail["why"])
		default:
			continue
		}
		out = append(out, c)
	}
	return out
}

// judgedAs says what a verdict was, and what was done about it.
func judgedAs(outcome, act string) string {
	switch judging.Act(act) {
	case judging.WentBack:
		return "judged worse than before, so it goes back"
	case judging.WentOn:
		return "not known to be harmless, and goes on as its policy says"
	case judging.Asked:
		return "not known to be harmless, so a person is asked"
	case judging.Passed:
		return "judged as good as before"
	}
	return "judged: " + outcome
}

// together is how near crashes of one group are told as one.
const together = time.Minute

// crashes are the ends of instances; of a group that crashes again and again they
// are one.
func crashes(events []event.Event) []Change {
	var out []Change
	type spell struct{ place, n int }
	open := map[string]*spell{}
	for _, ev := range events {
		if ev.Kind != "instance.crashed" {
			continue
		}
		group := text(ev.Detail["group"])
		why := cmp.Or(text(ev.Detail["reason"]), "nobody saw why")
		if s := open[group]; s != nil && ev.Time.Sub(out[s.place].Until) <= together {
			s.n++
			out[s.place].Until = ev.Time
			out[s.place].Text = fmt.Sprintf("%s crashed %d times: %s", group, s.n, why)
			continue
		}
		open[group] = &spell{place: len(out), n: 1}
		out = append(out, Change{At: ev.Time, Until: ev.Time, Kind: Crash, Actor: event.System, Text: fmt.Sprintf("%s crashed: %s", ev.Subject, why)})
	}
	return out
}

// incidents are alerts from their first firing to their end. One is known by its
// objective and rule.
func incidents(events []event.Event) []Change {
	var out []Change
	open := map[string]int{}
	for _, ev := range events {
		key := alertKey(ev)
		i, going := open[key]
		switch {
		case ev.Kind == "alert.firing" && !going:
			open[key] = len(out)
			out = append(out, Change{At: ev.Time, Kind: Incident, Actor: event.System, Text: "alert: " + strings.TrimSpace(text(ev.Detail["objective"])+" "+text(ev.Detail["rule"]))})
		case ev.Kind == "alert.resolved" && going:
			out[i].Until, out[i].End = ev.Time, "resolved after "+ev.Time.Sub(out[i].At).Round(time.Second).String()
			delete(open, key)
		}
	}
	return out
}

// alertKey is the same for the firing and the end of an alert.
func alertKey(ev event.Event) string {
	return strings.Join([]string{ev.App, text(ev.Detail["objective"]), text(ev.Detail["severity"]), text(ev.Detail["rule"])}, "\x00")
}

// text reads a value of an event's detail.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// words reads a list of an event's detail.
func words(v any) string {
	var out []string
	switch list := v.(type) {
	case []any:
		for _, one := range list {
			out = append(out, fmt.Sprint(one))
		}
	case []string:
		out = list
	}
	const most = 5
	if len(out) > most {
		out = append(out[:most:most], fmt.Sprintf("and %d more", len(out)-most))
	}
	return strings.Join(out, ", ")
}
