package cli

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
)

// strategyFlags are what a person may say about how what runs is replaced.
type strategyFlags struct {
	kind, steps, match, second  string
	maxInFlight, maxUnavailable int
	watch                       time.Duration
	noGuard                     bool
	unsure, baseline            string
	longest                     time.Duration
	mirror                      choice
}

func (f *strategyFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.kind, "strategy", "", "how what runs is replaced: rolling, bluegreen, canary, rings, highlander, recreate")
	fl.StringVar(&f.steps, "steps", "", "canary and rings: shares of traffic, 1%,10%/5m,20%/judge,50%/hold (a pause of its own, until a verdict, until naru rollout resume)")
	fl.StringVar(&f.match, "match", "", "rings: whose requests come first, header:NAME=VALUE or cookie:NAME=VALUE")
	fl.StringVar(&f.second, "second", "", "what to do with a rollout that is on its way: queue behind it, or supersede it")
	fl.IntVar(&f.maxInFlight, "max-in-flight", 0, "rolling: new instances on their way at once (default: a quarter)")
	fl.IntVar(&f.maxUnavailable, "max-unavailable", 0, "rolling: instances fewer than wanted that may work meanwhile")
	fl.DurationVar(&f.watch, "keep-old", -1, "how long the old instances stay ready after all traffic moved")
	fl.StringVar(&f.unsure, "unsure", "", "what a judged step does that stays unsure: promote, ask or wait")
	fl.DurationVar(&f.longest, "longest", 0, "how long a judged step waits for a verdict before that")
	fl.StringVar(&f.baseline, "baseline", "", "what a judged step compares with: running, or fresh (a group of what ran before, as large as the canary)")
	fl.VarPF(&f.mirror, "mirror", "", "GET and HEAD change nothing in this app: while a step is judged, send copies of them to both sides").NoOptDefVal = "true"
	fl.BoolVar(&f.noGuard, "no-guard", false, "do not let the gateway take traffic away from a worse release by itself")
}

// choice is a flag that is true, false or not said.
type choice string

func (c *choice) String() string { return string(*c) }

// Type is that of flags that need no value.
func (*choice) Type() string { return "bool" }

// Set reads a value.
func (c *choice) Set(text string) error {
	yes, err := strconv.ParseBool(text)
	*c = choice(strconv.FormatBool(yes))
	return err
}

// over lays the flags over what a manifest says. Another kind of strategy leaves
// nothing of the manifest's.
func (f strategyFlags) over(p *client.Push) error {
	if f == (strategyFlags{watch: -1}) {
		return nil
	}
	s := client.Strategy{}
	if p.Strategy != nil {
		s.Judge = p.Strategy.Judge
	}
	if p.Strategy != nil && (f.kind == "" || f.kind == p.Strategy.Kind) {
		s = *p.Strategy
	}
	s.Keep = false
	for to, from := range map[*string]string{&s.Kind: f.kind, &s.Match: f.match, &s.Second: f.second} {
		if from != "" {
			*to = from
		}
	}
	switch kind := app.StrategyKind(f.kind); {
	case f.steps != "" && kind != "" && kind != app.Canary && kind != app.Rings:
		return fault.New(fault.Invalid, "--steps", "%s has no steps", kind).WithTry("--strategy canary --steps %s", f.steps)
	case f.match != "" && kind != "" && kind != app.Rings:
		return fault.New(fault.Invalid, "--match", "%s sends nobody ahead", kind).WithTry("--strategy rings --match %s", f.match)
	}
	if f.steps != "" {
		if _, err := app.ParseSteps(f.steps); err != nil {
			return err
		}
		s.Steps = strings.Split(f.steps, ",")
	}
	if f.maxInFlight > 0 {
		s.MaxInFlight = f.maxInFlight
	}
	if f.maxUnavailable > 0 {
		s.MaxUnavailable = f.maxUnavailable
	}
	if f.watch >= 0 {
		watch := client.Duration(f.watch)
		s.Watch = &watch
	}
	if f.unsure != "" || f.baseline != "" || f.longest != 0 || f.mirror != "" {
		how := client.Judging{}
		if s.Judge != nil {
			how = *s.Judge
		}
		how.Unsure, how.Baseline = cmp.Or(f.unsure, how.Unsure), cmp.Or(f.baseline, how.Baseline)
		if f.mirror != "" {
			yes := f.mirror == "true"
			how.Mirror = &yes
		}
		if f.longest != 0 {
			longest := client.Duration(f.longest)
			how.Longest = &longest
		}
		s.Judge = &how
	}
	s.NoGuard = s.NoGuard || f.noGuard
	p.Strategy = &s
	return nil
}

// strategyOf is a manifest's strategy as a push says it.
func strategyOf(s app.Strategy) *client.Strategy {
	out := &client.Strategy{
		Kind: string(s.Kind), MaxInFlight: s.MaxInFlight, MaxUnavailable: s.MaxUnavailable, Match: s.Match, Second: s.Second, NoGuard: s.Guard.Off,
	}
	for _, step := range s.Steps {
		out.Steps = append(out.Steps, step.String())
	}
	if s.Watch != nil {
		watch := client.Duration(*s.Watch)
		out.Watch = &watch
	}
	out.Judge = judgingOf(s.Judge)
	return out
}
