package chronicle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"naru/internal/event"
)

// Kinds are the events that are written into logs.
func Kinds() []event.Kind {
	return []event.Kind{
		"rollout.started", "rollout.releasing", "rollout.shifting", "rollout.paused", "rollout.watching", "rollout.done", "rollout.aborting", "rollout.rolledback",
		"rollout.superseded", "rollout.failed", "release.cut", "app.scaled", "app.stopped", "app.restored", "env.changed", "group.weighed",
		"instance.crashed", "instance.unhealthy", "route.mapped", "route.unmapped", "drain.added", "verdict.given", "alert.firing", "alert.resolved", "push.refused", "budget.overridden",
	}
}

// rollouts are the words for where a rollout has come.
var rollouts = map[event.Kind]string{
	"rollout.releasing":  "the release command runs",
	"rollout.shifting":   "instances and traffic move",
	"rollout.paused":     "it waits for somebody: naru rollout APP shows what can be done",
	"rollout.watching":   "all traffic is on the new release, the old one stays ready",
	"rollout.done":       "done",
	"rollout.aborting":   "it goes back",
	"rollout.rolledback": "it went back",
	"rollout.superseded": "it went back, because another one begins",
	"rollout.failed":     "the way back needs a person",
}

// say is an event in one line.
func say(e event.Event) string {
	if e.Kind == "rollout.started" {
		release, _ := number(e.Detail["release"])
		return fmt.Sprintf("rollout of v%d begins (%v), asked by %s", int(release), e.Detail["strategy"], e.Actor)
	}
	if text, ok := rollouts[e.Kind]; ok {
		if weight, ok := number(e.Detail["weight"]); ok && e.Kind == "rollout.shifting" {
			text = fmt.Sprintf("%g %% of the traffic go to the new release", weight)
		}
		if reason, ok := e.Detail["reason"].(string); ok && reason != "" {
			text += ": " + reason
		}
		return "rollout: " + oneLine(text)
	}
	noun, verb, _ := strings.Cut(string(e.Kind), ".")
	text := noun + " " + verb
	if e.Subject != "" {
		text += ": " + e.Subject
	}
	for _, name := range slices.Sorted(maps.Keys(e.Detail)) {
		if slices.Contains([]string{"process", "instance", "index", "rollout"}, name) {
			continue
		}
		text += fmt.Sprintf(" %s=%s", name, plain(e.Detail[name]))
	}
	if e.Actor != event.System {
		text += ", by " + e.Actor
	}
	return oneLine(text)
}

// plain is a value as it can stand behind a = sign.
func plain(v any) string {
	text := fmt.Sprint(v)
	if strings.ContainsAny(text, " \"=") || text == "" {
		return fmt.Sprintf("%q", text)
	}
	return text
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// number is a number of a detail, as it was put there or as JSON gave it back.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	}
	return 0, false
}
