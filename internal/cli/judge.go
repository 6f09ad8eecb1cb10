package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) judge() *cobra.Command {
	var q client.JudgeRequest
	var from, to, baselineFrom string
	var metrics []string
	var step time.Duration
	command := &cobra.Command{
		Use: "judge APP", Short: "Judge two releases, or groups, over a time that is past", Args: exactly("APP"),
		Example: "  naru judge my-shop\n" +
			"  naru judge my-shop --baseline v3 --canary v4 --since 2h --until 1h\n" +
			"  naru judge my-shop --metric 'queue=sum(queue_depth),direction=up,effect=1.2,critical'",
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			now := time.Now()
			for _, one := range []struct {
				flag, text string
				to         **time.Time
			}{{"--since", from, &q.From}, {"--until", to, &q.To}, {"--baseline-since", baselineFrom, &q.BaselineFrom}} {
				if *one.to, err = moment(one.flag, one.text, now); err != nil {
					return err
				}
			}
			for _, text := range metrics {
				m, err := judgedMetric(text)
				if err != nil {
					return err
				}
				q.Metrics = append(q.Metrics, m)
			}
			if step > 0 {
				d := client.Duration(step)
				q.Step = &d
			}
			v, err := in.Judge(cc.Context(), q)
			if err != nil {
				return err
			}
			return c.showVerdict(v)
		},
	}
	f := command.Flags()
	f.StringVar(&q.Canary, "canary", "", "release (v4) or name of a group (default: what the newest rollout brought)")
	f.StringVar(&q.Baseline, "baseline", "", "what it is compared with (default: what that took the place of)")
	f.StringVar(&from, "since", "", "begin: a time such as 2026-11-21T16:00:00Z, or how long ago, such as 2h (default: an hour before the end; without both, when both had requests during their newest rollout)")
	f.StringVar(&to, "until", "", "end, in the same forms (default: now)")
	f.StringVar(&baselineFrom, "baseline-since", "", "begin of the baseline's time, where it is another one")
	f.StringArrayVar(&metrics, "metric", nil, "one of your own: NAME=PROMQL[,direction=up|down][,weight=N][,effect=TIMES][,critical]")
	f.BoolVar(&q.Only, "only", false, "judge by --metric alone")
	f.Float64Var(&q.Pass, "pass", 0, "score from which it passes (default 90)")
	f.Float64Var(&q.Marginal, "marginal", 0, "score from which it is marginal, which is unsure (default 75)")
	f.IntVar(&q.Minimum, "minimum", 0, "least samples of a side (default 10)")
	f.BoolVar(&q.Correct, "correct", false, "let all metrics together err no more often than one would")
	f.DurationVar(&step, "step", 0, "time between two samples (default: four intervals of the metrics)")
	return command
}

// moment reads a time, or how long ago it was; "" is none.
func moment(flag, text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // none was named
	}
	if ago, err := app.ParseDays(text); err == nil {
		at := now.Add(-ago)
		return &at, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fault.New(fault.Invalid, flag, "%q is neither a time nor how long ago it was", text).WithTry("%s 2h, or %s 2026-11-21T16:00:00Z", flag, flag)
	}
	return &at, nil
}

// judgedMetric reads "NAME=PROMQL,direction=up,critical". PromQL has commas of its
// own: what follows the last words that are not ours is left to it.
func judgedMetric(text string) (m client.JudgedMetric, err error) {
	bad := func(format string, args ...any) (client.JudgedMetric, error) {
		return m, fault.New(fault.Invalid, "--metric", format, args...).WithTry("--metric 'queue=sum(queue_depth),direction=up,weight=2,effect=1.2,critical'")
	}
	name, rest, ok := strings.Cut(text, "=")
	m.Name = strings.TrimSpace(name)
	if !ok || m.Name == "" || strings.TrimSpace(rest) == "" {
		return bad("%q is not NAME=PROMQL", text)
	}
	for {
		at := strings.LastIndexByte(rest, ',')
		if at < 0 {
			break
		}
		key, value, _ := strings.Cut(strings.TrimSpace(rest[at+1:]), "=")
		switch key {
		case "direction":
			m.Direction = value
		case "weight":
			m.Weight, err = strconv.ParseFloat(value, 64)
		case "effect":
			m.Effect, err = strconv.ParseFloat(value, 64)
		case "critical":
			if value != "" && value != "true" && value != "false" {
				return bad("critical=%s: it is there, or it is not", value)
			}
			m.Critical = value != "false"
		default:
			at = -1
		}
		if err != nil {
			return bad("%s=%s is not a number", key, value)
		}
		if at < 0 {
			break
		}
		rest = rest[:at]
	}
	m.Query = strings.TrimSpace(rest)
	return m, nil
}

// showVerdict shows a verdict with a line for each metric.
func (c *cmd) showVerdict(v client.Verdict) error {
	if c.screen.json {
		return c.screen.data(v)
	}
	c.screen.say("%s", c.screen.verdict(v))
	for _, r := range v.Reasons {
		if r.Metric == "score" && !strings.Contains(v.Text, r.Text) {
			c.screen.say("%s", tame(r.Text))
		}
	}
	c.screen.say("canary %s, baseline %s, %s to %s", v.Canary, v.Baseline, v.From.Local().Format(time.DateTime), v.To.Local().Format(time.DateTime))
	c.screen.say("")
	var rows []client.VerdictReason
	for _, r := range v.Reasons {
		if r.Metric != "score" {
			rows = append(rows, r)
		}
	}
	err := list(c.screen, rows, "no metric", []string{"METRIC", "STATE", "CANARY", "BASELINE", "OF", "WHY"}, func(r client.VerdictReason) []string {
		return []string{r.Metric, strings.TrimPrefix(r.Code, r.Metric+"."), digits(r.Canary.Value), digits(r.Baseline.Value), fmt.Sprintf("%d / %d", r.Canary.Of, r.Baseline.Of), strings.TrimPrefix(r.Text, r.Metric+": ")}
	})
	for i, command := range further(v) {
		if i == 0 {
			c.screen.say("")
		}
		c.screen.say("  %s", tame(command))
	}
	return err
}

// further are the commands that show more of what made a verdict bad.
func further(v client.Verdict) (out []string) {
	for _, r := range v.Reasons {
		if r.State != "worse" {
			continue
		}
		for _, l := range r.Links {
			if (l.Rel == "logs" || l.Rel == "traces") && !slices.Contains(out, l.Target) {
				out = append(out, l.Target)
			}
		}
	}
	return out
}

// verdict is the sentence of a verdict.
func (s *Screen) verdict(v client.Verdict) string {
	switch v.Outcome {
	case "pass":
		return s.paint(good, tame(v.Text))
	case "fail":
		return s.paint(bad, tame(v.Text))
	}
	return tame(v.Text)
}

// because is why a rollout ended as it did.
func because(r client.Rollout) string {
	switch {
	case r.Verdict == nil:
		return r.Reason
	case r.Reason == "" || strings.HasSuffix(r.Verdict.Text, r.Reason):
		return r.Verdict.Text
	}
	return r.Reason
}

// judgingOf is a manifest's judge as a push says it; nil where it says nothing.
func judgingOf(j app.Judging) *client.Judging {
	if j.Unsure == "" && j.Longest == 0 && j.Baseline == "" && j.Mirror == nil && len(j.Metrics) == 0 {
		return nil
	}
	out := &client.Judging{Unsure: j.Unsure, Baseline: j.Baseline, Mirror: j.Mirror}
	if j.Longest != 0 {
		longest := client.Duration(j.Longest)
		out.Longest = &longest
	}
	for _, m := range j.Metrics {
		out.Metrics = append(out.Metrics, client.JudgedMetric{
			Name: m.Name, Query: m.Query, Direction: m.Direction, Weight: m.Weight, Critical: m.Critical, Effect: m.Effect,
		})
	}
	return out
}
