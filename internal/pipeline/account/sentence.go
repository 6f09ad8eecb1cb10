package account

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/judge/budget"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
)

// answer says it.
func (f *facts) answer() Answer {
	out := Answer{State: f.state()}
	say := func(format string, args ...any) { out.Sentences = append(out.Sentences, fmt.Sprintf(format, args...)) }
	try := func(format string, args ...any) { out.Try = append(out.Try, fmt.Sprintf(format, args...)) }
	name := f.app.Name
	if f.newest != nil {
		out.Rollout = f.newest.ID
	}
	switch out.State {
	case Empty:
		f.empty(say, try)
		return out
	case OnTheWay:
		f.onTheWay(say, try)
	case Stuck:
		say("The way back from %s stopped and is left to a person: %s.", nameOf(f.rel), bare(f.newest.Reason))
		try("naru groups %s", name)
		try("naru logs %s", name)
	case Stopped:
		say("%s is stopped, and answers nobody.", name)
		try("naru start %s", name)
	case Crashing:
		say("%d of %d instances of %s (%s) do not run: %s/%d ended with %s%s.", f.want-f.up, f.want, f.running(), name, f.process, f.sick.Index, bare(f.sick.LastExit.Reason), f.lastWords())
		try("naru logs %s", name)
	case Unwell:
		say("%d of %d instances of %s (%s) are healthy; the others are being started%s.", f.up, f.want, f.running(), name, f.sickness())
		try("naru app %s", name)
	case Failing:
		e, _ := f.traffic.Errors()
		say("%s is up (%s), but %s of the requests of the last %s failed (%s of %s).", name, f.running(), share(e), inMinutes(lately), number(f.traffic.Failed), number(f.traffic.Requests))
		try("naru what-changed %s", name)
		try("naru logs %s", name)
	}
	if f.wentBack() && out.State != Stuck && out.State != OnTheWay {
		say("%s", f.back())
		if f.acted(judging.WentBack) && f.newest.Trip == nil {
			for _, command := range f.shown() {
				try("%s", command)
			}
		}
		if f.crash != nil || out.State == WentBack {
			try("naru logs %s --since %s", name, ago(f.now.Sub(f.newest.Created)))
		}
	}
	switch {
	case out.State == WentBack, out.State == Frozen, out.State == Well:
		say("%s", f.well())
	}
	if unsure := f.wentOnUnsure(); unsure != "" {
		say("%s", unsure)
	}
	if f.last != nil {
		say("The last %s (by %s, %s) changed nothing: %s.", f.last.Kind, f.last.Actor, since(f.now.Sub(f.last.Created)), bare(f.last.Error.Message))
		try("%s", f.last.Error.Try)
	}
	f.budget(say, try)
	for _, alert := range f.alerts {
		say("Since %s there is an alert: %s.", clock(alert.At), strings.TrimPrefix(alert.Text, "alert: "))
		break
	}
	const most = 3
	out.Sentences = out.Sentences[:min(len(out.Sentences), most)]
	if len(out.Try) == 0 {
		try("naru what-changed %s", name)
	}
	out.Try = once(out.Try)
	return out
}

// state is the first that holds.
func (f *facts) state() State {
	ro := f.newest
	e, served := f.traffic.Errors()
	switch {
	case f.current == nil && (ro == nil || ro.State.Ended()):
		return Empty
	case ro != nil && !ro.State.Ended() && ro.State != rollout.Watching:
		return OnTheWay
	case ro != nil && ro.State == rollout.Failed:
		return Stuck
	case f.app.State == app.Stopped:
		return Stopped
	case f.up < f.want && f.sick != nil && f.sick.Crashes > 0:
		return Crashing
	case f.up < f.want:
		return Unwell
	case served && e >= failing && f.traffic.Requests >= telling && !f.wentBackJust():
		return Failing
	case f.wentBack():
		return WentBack
	case f.tier == budget.Freeze:
		return Frozen
	}
	return Well
}

// From which share of errors among so many requests an app is called failing.
const (
	failing = 0.05
	telling = 20
)

// wentBack reports that the newest rollout went back to what runs.
func (f *facts) wentBack() bool {
	return f.newest != nil && (f.newest.State == rollout.RolledBack || f.newest.State == rollout.Superseded)
}

// wentBackJust: errors of the time just past are then those of what went back.
func (f *facts) wentBackJust() bool { return f.wentBack() && f.now.Sub(f.newest.Ended) < lately }

func (f *facts) empty(say, try func(string, ...any)) {
	name := f.app.Name
	switch {
	case f.newest != nil && f.newest.State == rollout.Failed:
		say("The first release of %s did not work and could not be taken away: %s.", name, bare(f.newest.Reason))
		try("naru groups %s", name)
	case f.newest != nil && f.last == nil:
		say("No release of %s has worked yet: %s.", name, f.cause())
		try("naru logs %s", name)
	case f.last != nil:
		say("No release of %s has worked yet: the last %s (by %s, %s) failed: %s.", name, f.last.Kind, f.last.Actor, since(f.now.Sub(f.last.Created)), bare(f.last.Error.Message))
		if f.last.Error.Try != "" {
			try("%s", f.last.Error.Try)
		}
	default:
		say("%s has no release yet.", name)
	}
	try("naru push %s", name)
}

func (f *facts) onTheWay(say, try func(string, ...any)) {
	ro, name := f.newest, f.app.Name
	who := fmt.Sprintf("%s (%s, %s)", nameOf(f.rel), by(f.rel), since(f.now.Sub(ro.Created)))
	switch {
	case ro.State == rollout.Aborting:
		say("%s is going back: %s.", who, f.cause())
		try("naru rollout %s --watch", name)
	case ro.State == rollout.Paused:
		say("%s has %d %% of the traffic and waits for a person to go on.", who, ro.Weight())
		try("naru rollout resume %s", name)
		try("naru rollout abort %s", name)
	case ro.State == rollout.Shifting && len(ro.Spec.Steps) > 0 && ro.From != "":
		say("%s is being rolled out (%s): step %d of %d, %d %% of the traffic.", who, ro.Spec.Kind, min(ro.Step, len(ro.Spec.Steps))+1, len(ro.Spec.Steps)+1, ro.Weight())
		try("naru rollout %s --watch", name)
	default:
		say("%s is being rolled out (%s): its instances are started.", who, ro.Spec.Kind)
		try("naru rollout %s --watch", name)
	}
	if judged := f.judgedSoFar(); judged != "" {
		say("%s", judged)
	}
	if f.crash != nil && ro.State != rollout.Aborting {
		say("One of its instances ended with %s%s.", bare(text(f.crash.Detail["reason"])), quoted(f.said))
	}
}

// back says which release went back and why.
func (f *facts) back() string {
	ro := f.newest
	what := fmt.Sprintf("%s (%s, %s) went back after %s", nameOf(f.rel), by(f.rel), since(f.now.Sub(ro.Created)), ro.Ended.Sub(ro.Created).Round(time.Second))
	if ro.State == rollout.Superseded {
		return fmt.Sprintf("%s: %s.", strings.Replace(what, "went back", "gave way", 1), bare(ro.Reason))
	}
	return fmt.Sprintf("%s because %s.", what, f.cause())
}

// cause says why the newest rollout went back, with the numbers that decided it.
func (f *facts) cause() string {
	ro := f.newest
	before := nameOf(f.from)
	if ro.From == "" {
		before = "what ran before"
	}
	crashed := ""
	if f.crash != nil && !strings.HasPrefix(text(f.crash.Detail["reason"]), "not healthy") {
		crashed = fmt.Sprintf("its instances crash under traffic (%s%s)", bare(text(f.crash.Detail["reason"])), quoted(f.said))
	}
	if t := ro.Trip; t != nil {
		return joined(crashed, f.tripped(*t, before))
	}
	_, waited, never := strings.Cut(ro.Reason, ": not healthy after ")
	who, aborted := strings.CutPrefix(ro.Reason, "aborted by ")
	switch {
	case never:
		return "it never became healthy: after " + bare(strings.Replace(waited, ": ", " its health check still said: ", 1))
	case aborted && f.acted(judging.Asked):
		return fmt.Sprintf("%s took it back, and the judge did not know: %s", who, bare(f.given.Verdict.Why()))
	case aborted:
		return who + " took it back"
	case crashed != "" && strings.Contains(ro.Reason, text(f.crash.Detail["reason"])):
		return crashed
	}
	if worse := f.judgedWorse(before); worse != "" && ro.State != rollout.Superseded {
		return joined(crashed, worse)
	}
	return joined(crashed, bare(ro.Reason))
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + ": " + b
}

// tripped says what a gateway saw.
func (f *facts) tripped(t route.Trip, before string) string {
	other := fmt.Sprintf("%d of %d of %s's (%s)", t.Base.Bad, t.Base.Requests, before, share(t.Base.Share()))
	if t.Alone {
		other = fmt.Sprintf("%s are allowed, and %s had no traffic to compare with", share(t.Allowed), before)
	}
	switch t.Measure {
	case route.Health:
		return fmt.Sprintf("its instances do not pass the check that the gateway makes (%s): %d of %d pass, of %s %d of %d", t.Said,
			t.Canary.Requests-t.Canary.Bad, t.Canary.Requests, before, t.Base.Requests-t.Base.Bad, t.Base.Requests)
	case route.Latency:
		return fmt.Sprintf("it is too slow: %d of its %d requests took over %s (%s), and %s", t.Canary.Bad, t.Canary.Requests, t.Slow.Std().Round(time.Millisecond), share(t.Canary.Share()), other)
	}
	text := fmt.Sprintf("%d of its %d requests failed (%s), and %s", t.Canary.Bad, t.Canary.Requests, share(t.Canary.Share()), other)
	if t.Canary.Share() >= lying && f.crash == nil {
		if check := f.check(); check != "" {
			text = fmt.Sprintf("its health check (%s) says that all is well, and yet %s", check, text)
		}
	}
	return text
}

// lying is the share of failed requests from which a health check that passes
// misleads whoever trusts it.
const lying = 0.9

// check names the health check of what the newest rollout brought; "" where there
// is none that says anything.
func (f *facts) check() string {
	web, ok := f.rel.Process(app.Web)
	switch {
	case !ok:
		return ""
	case web.Health.Check == app.CheckHTTP:
		return "GET " + cmp.Or(web.Health.Path, "/")
	case web.Health.Check == app.CheckPort:
		return "that its port is open"
	}
	return ""
}

func (f *facts) lastWords() string {
	if n := len(f.sick.LastExit.LastLines); n > 0 {
		return quoted(f.sick.LastExit.LastLines[n-1])
	}
	return ""
}

func (f *facts) sickness() string {
	if f.sick == nil {
		return ""
	}
	return fmt.Sprintf(" (%s/%d before: %s)", f.process, f.sick.Index, bare(f.sick.LastExit.Reason))
}

// running names what runs.
func (f *facts) running() string {
	if f.current == nil {
		return "its first release"
	}
	return nameOf(*f.current)
}

// well says what runs, since when, and by whom.
func (f *facts) well() string {
	text := fmt.Sprintf("%s is well: %s (%s) runs with %d of %d instances healthy", f.app.Name, f.running(), by(*f.current), f.up, f.want)
	if f.want == 0 {
		text = fmt.Sprintf("%s has no instance, as it was scaled; %s is its release", f.app.Name, f.running())
	}
	if !f.live.IsZero() {
		text += ", live since " + clock(f.live)
	}
	if e, ok := f.traffic.Errors(); ok && !f.wentBackJust() {
		p99, _ := f.traffic.Quantile(0.99)
		text += fmt.Sprintf("; %s of %s requests of the last %s failed, p99 %s", share(e), number(f.traffic.Requests), inMinutes(lately), millis(p99))
	}
	return text + "."
}

// budget says what may be changed, where not everything may.
func (f *facts) budget(say, try func(string, ...any)) {
	if f.tier != budget.Freeze && f.tier != budget.Canary {
		return
	}
	d := budget.Decide(budgetTiers(f.tier, f.standing), f.standing, budget.Change{App: f.app.Name, Kind: budget.Feature})
	if d.Why == "" {
		return
	}
	if f.tier == budget.Freeze {
		say("It is frozen: %s.", bare(d.Why))
		try("naru push %s --reliability-fix", f.app.Name)
		return
	}
	say("New releases go out as canaries only: %s.", bare(d.Why))
	try("naru push %s --strategy canary", f.app.Name)
}

// budgetTiers is the tier for the objective that has least left: the one that the
// tier is of.
func budgetTiers(tier budget.Tier, all []budget.Standing) budget.Tiers {
	out, least := budget.Tiers{}, -1
	for i, s := range all {
		if s.Known && (least < 0 || s.Left < all[least].Left) {
			least = i
		}
	}
	if least >= 0 {
		out[all[least].Objective] = tier
	}
	return out
}

// by says how a release came to be: "push by ada".
func by(r release.Release) string {
	return fmt.Sprintf("%s by %s", cmp.Or(r.Reason, "release"), cmp.Or(r.By, event.System))
}

// bare is a sentence without its full stop, so that ours is the only one.
func bare(text string) string { return strings.TrimRight(strings.TrimSpace(text), ".") }

// mostSaid is how much of an app's last line is passed on.
const mostSaid = 120

func quoted(line string) string {
	line = strings.TrimSpace(line)
	if line == "" {
		return ""
	}
	if utf8.RuneCountInString(line) > mostSaid {
		line = string([]rune(line)[:mostSaid]) + "…"
	}
	return fmt.Sprintf(", its last line: %q", line)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// since says how long ago something was.
func since(d time.Duration) string { return ago(d) + " ago" }

// ago is a time in one unit, rounded up: a command that is given it sees all of it.
func ago(d time.Duration) string {
	up := func(unit time.Duration) int { return int((d + unit - 1) / unit) }
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(up(time.Second), 1))
	case d < time.Hour:
		return fmt.Sprintf("%dm", up(time.Minute))
	}
	return fmt.Sprintf("%dh", up(time.Hour))
}

func inMinutes(d time.Duration) string { return fmt.Sprintf("%d minutes", int(d.Minutes())) }

// once keeps each command once, and none that says nothing.
func once(all []string) []string {
	out, seen := all[:0], map[string]bool{"": true}
	for _, one := range all {
		if !seen[one] {
			out, seen[one] = append(out, one), true
		}
	}
	return out
}
