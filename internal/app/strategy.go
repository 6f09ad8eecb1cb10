package app

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/fault"
)

// StrategyKind names how what runs is replaced.
type StrategyKind string

// The strategies.
const (
	Rolling    StrategyKind = "rolling"    // instances few at a time, traffic with them
	BlueGreen  StrategyKind = "bluegreen"  // all new ones beside the old, then all traffic at once; the old ones stay ready for a while
	Canary     StrategyKind = "canary"     // traffic in steps
	Rings      StrategyKind = "rings"      // matched requests first, then steps
	Highlander StrategyKind = "highlander" // like bluegreen, and the old ones leave at once
	Recreate   StrategyKind = "recreate"   // the old ones leave before the new ones start: for what must not run twice
)

// Strategies lists all kinds.
func Strategies() []StrategyKind {
	return []StrategyKind{Rolling, BlueGreen, Canary, Rings, Highlander, Recreate}
}

// What happens to a rollout that is on its way when a push comes.
const (
	Queue     = "queue"     // the push waits for its end
	Supersede = "supersede" // it goes back, then the push begins
)

// Strategy says how what runs is replaced. Zero fields take defaults.
type Strategy struct {
	Kind           StrategyKind `json:"kind,omitempty"`
	MaxInFlight    int          `json:"max_in_flight,omitempty"`   // rolling: new instances that may be on their way at once; 0: a quarter
	MaxUnavailable int          `json:"max_unavailable,omitempty"` // rolling: how many instances fewer than wanted may work meanwhile
	Steps          []Step       `json:"steps,omitempty"`           // canary and rings, before the last one of 100 %
	Watch          *Duration    `json:"watch,omitempty"`           // how long the old instances stay ready after all traffic moved; nil: 5m for those that have them, 0 for rolling
	Match          string       `json:"match,omitempty"`           // rings: "header:NAME=VALUE" or "cookie:NAME=VALUE"
	Second         string       `json:"second,omitempty"`          // queue or supersede
	Guard          Guarding     `json:"guard,omitzero"`
	Judge          Judging      `json:"judge,omitzero"`
}

// Guarding tunes the emergency brake of a rollout; zero fields take the gateway's
// defaults.
type Guarding struct {
	Off      bool    `json:"off,omitempty"`
	Alarm    float64 `json:"alarm,omitempty"`    // false alarms per rollout
	Ratio    float64 `json:"ratio,omitempty"`    // times as bad as the baseline that is no reason
	Slow     float64 `json:"slow,omitempty"`     // times 90 % of the baseline's time that is slow; below 0: latency is not watched
	Requests int     `json:"requests,omitempty"` // least requests before it may act
}

// Step is a share of traffic and what has to happen before the next one. Its text
// form is "10%", "10%/5m", "10%/hold" or "10%/judge".
type Step struct {
	Weight int      `json:"weight"`          // percent, 0 to 99; 0 only where requests are matched
	Pause  Duration `json:"pause,omitempty"` // until the next step
	Hold   bool     `json:"hold,omitempty"`  // until a person resumes
	Judge  bool     `json:"judge,omitempty"` // until a verdict is given
}

// Judged counts the steps that wait for a verdict.
func (s Strategy) Judged() (n int) {
	for _, step := range s.Steps {
		if step.Judge {
			n++
		}
	}
	return n
}

// DefaultPause is the pause of a step that names none.
const DefaultPause = Duration(time.Minute)

// DefaultWatch is how long old instances stay ready where nobody says otherwise.
const DefaultWatch = Duration(5 * time.Minute)

// String is the step's text form.
func (s Step) String() string {
	switch {
	case s.Hold:
		return fmt.Sprintf("%d%%/hold", s.Weight)
	case s.Judge:
		return fmt.Sprintf("%d%%/judge", s.Weight)
	case s.Pause == DefaultPause:
		return fmt.Sprintf("%d%%", s.Weight)
	}
	return fmt.Sprintf("%d%%/%s", s.Weight, s.Pause)
}

func parseStep(text string) (Step, error) {
	weight, pause, paused := strings.Cut(strings.TrimSpace(text), "/")
	n, err := strconv.Atoi(strings.TrimSuffix(weight, "%"))
	if err != nil || n < 0 || n > 99 {
		return Step{}, fmt.Errorf("%q is not a share of traffic from 0%% to 99%%", weight)
	}
	s := Step{Weight: n, Pause: DefaultPause}
	switch {
	case pause == "hold":
		s.Hold, s.Pause = true, 0
	case pause == "judge":
		s.Judge, s.Pause = true, 0
	case paused:
		err = s.Pause.UnmarshalText([]byte(pause))
	}
	return s, err
}

// ParseSteps reads "1%,10%/5m,50%/hold".
func ParseSteps(text string) ([]Step, error) {
	var steps []Step
	for part := range strings.SplitSeq(text, ",") {
		s, err := parseStep(part)
		if err != nil {
			return nil, fault.New(fault.Invalid, "steps", "%s", err).WithTry("write them like 1%%,10%%/5m,50%%/hold")
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// MaxSteps bounds the steps of a strategy.
const MaxSteps = 100

// Check refuses a strategy that cannot be carried out; field is the prefix of
// what the errors name.
func (s Strategy) Check(field string) error {
	var errs []error
	bad := func(key, try, format string, args ...any) {
		errs = append(errs, fault.New(fault.Invalid, field+key, format, args...).WithTry("%s", try))
	}
	if s.Kind != "" && !slices.Contains(Strategies(), s.Kind) {
		bad(".kind", fmt.Sprintf("one of %v", Strategies()), "%q is not a strategy", s.Kind)
	}
	if s.MaxInFlight < 0 || s.MaxUnavailable < 0 {
		bad(".max_in_flight", "0 or more", "a number of instances cannot be negative")
	}
	if len(s.Steps) > MaxSteps {
		bad(".steps", "leave some out", "%d steps are more than %d", len(s.Steps), MaxSteps)
	}
	for i, step := range s.Steps {
		switch {
		case i > 0 && step.Weight <= s.Steps[i-1].Weight:
			bad(".steps", "1%,10%,50%", "%s does not rise above %s", step, s.Steps[i-1])
		case step.Weight == 0 && s.Kind != Rings:
			bad(".steps", "--strategy rings --match header:NAME=VALUE", "a step of 0%% is for rings: it gets matched requests only")
		}
	}
	if s.Kind == Rings && s.Match == "" {
		bad(".match", "--match header:X-Internal=yes", "rings begin with the requests that match something, and it says nothing")
	} else if s.Kind == Rings {
		if _, _, _, err := ParseMatch(s.Match); err != nil {
			errs = append(errs, fault.Wrap(fault.Invalid, field+".match", err))
		}
	}
	if s.Second != "" && s.Second != Queue && s.Second != Supersede {
		bad(".second", "queue or supersede", "%q is not what may happen to a push during a rollout", s.Second)
	}
	if g := s.Guard; g.Alarm < 0 || g.Alarm >= 1 || g.Ratio != 0 && g.Ratio < 1 || g.Requests < 0 || g.Slow > 0 && g.Slow < 1 {
		bad(".guard", "alarm 0.01, ratio 1.5, slow 2, requests 10", "a value is out of its bounds")
	}
	s.Judge.Check(func(key, try, format string, args ...any) { bad(".judge"+key, try, format, args...) })
	return errors.Join(errs...)
}

// ParseMatch reads "header:NAME=VALUE" or "cookie:NAME=VALUE".
func ParseMatch(text string) (kind, name, value string, err error) {
	kind, rest, _ := strings.Cut(text, ":")
	name, value, _ = strings.Cut(rest, "=")
	if kind != "header" && kind != "cookie" || name == "" || strings.ContainsAny(name, " \t\r\n;,:") || strings.ContainsAny(value, "\r\n\x00") {
		return "", "", "", fault.New(fault.Invalid, "match", "%q does not say which requests are meant", text).
			WithTry("header:X-Internal=yes or cookie:ring=internal")
	}
	return kind, name, value, nil
}

// Over returns the strategy with what it does not say taken from another one.
// Parameters of another kind of strategy are not taken.
func (s Strategy) Over(base Strategy) Strategy {
	if s.Kind == "" {
		s.Kind = base.Kind
	}
	if s.Second == "" {
		s.Second = base.Second
	}
	if s.Guard == (Guarding{}) {
		s.Guard = base.Guard
	}
	s.Judge = s.Judge.over(base.Judge)
	if s.Kind != base.Kind {
		return s
	}
	s.MaxInFlight = first(s.MaxInFlight, base.MaxInFlight)
	s.MaxUnavailable = first(s.MaxUnavailable, base.MaxUnavailable)
	s.Match = first(s.Match, base.Match)
	if s.Steps == nil {
		s.Steps = base.Steps
	}
	if s.Watch == nil {
		s.Watch = base.Watch
	}
	return s
}

// Filled returns the strategy with its defaults in place of what it leaves open.
func (s Strategy) Filled() Strategy {
	s.Kind, s.Second, s.Judge = first(s.Kind, Rolling), first(s.Second, Queue), s.Judge.Filled()
	if s.Watch == nil {
		watch := DefaultWatch
		if !s.Doubles() {
			watch = 0
		}
		s.Watch = &watch
	}
	if len(s.Steps) == 0 {
		switch s.Kind {
		case Canary:
			s.Steps = []Step{{Weight: 1, Pause: DefaultPause}, {Weight: 10, Judge: true}, {Weight: 50, Pause: DefaultPause}}
		case Rings:
			s.Steps = []Step{{Weight: 0, Hold: true}, {Weight: 1, Pause: DefaultPause}}
		}
	}
	if s.Kind != Canary && s.Kind != Rings {
		s.Steps = nil
	}
	if s.Kind == Highlander || s.Kind == Recreate {
		none := Duration(0)
		s.Watch = &none
	}
	return s
}

// Doubles reports that all new instances run beside all old ones for a while.
func (s Strategy) Doubles() bool {
	switch s.Kind {
	case BlueGreen, Canary, Rings, Highlander:
		return true
	case Recreate:
		return false
	}
	return s.Watch != nil && *s.Watch > 0
}

// String says the strategy in a few words: "canary 1%,10%,50%".
func (s Strategy) String() string {
	text := string(s.Kind)
	if len(s.Steps) > 0 {
		parts := make([]string, len(s.Steps))
		for i, step := range s.Steps {
			parts[i] = step.String()
		}
		text += " " + strings.Join(parts, ",")
	}
	return text
}
