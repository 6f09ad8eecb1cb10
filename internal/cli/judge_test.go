package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"naru/internal/client"
	"naru/internal/fault"
)

func TestMetricsOfOnesOwnAreRead(t *testing.T) {
	for text, want := range map[string]client.JudgedMetric{
		"queue=queue_depth":                  {Name: "queue", Query: "queue_depth"},
		"q=sum by (a, b) (x{c=\"d,e\"})":     {Name: "q", Query: "sum by (a, b) (x{c=\"d,e\"})"},
		"q=max(x, y),direction=up":           {Name: "q", Query: "max(x, y)", Direction: "up"},
		"q=x,weight=2.5,critical,effect=1.2": {Name: "q", Query: "x", Weight: 2.5, Critical: true, Effect: 1.2},
		"q=x{effect=\"1\"} , direction=down": {Name: "q", Query: "x{effect=\"1\"}", Direction: "down"},
		"q=quantile(0.5, x),critical=false":  {Name: "q", Query: "quantile(0.5, x)"},
	} {
		got, err := judgedMetric(text)
		if err != nil || got != want {
			t.Errorf("%q is read as %+v (%v), want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "queue", "=x", "q=", "q=x,weight=much", "q=x,effect=", "q=x,critical=perhaps"} {
		if got, err := judgedMetric(text); err == nil {
			t.Errorf("%q is read as %+v, want it refused", text, got)
		}
	}
}

// Whether requests may be copied is the manifest's to say, and a flag's to change.
func TestMirrorIsSaidOrNot(t *testing.T) {
	for name, tc := range map[string]struct {
		args     []string
		manifest string // JSON
		want     string
	}{
		"nothing is said":           {nil, `{"unsure":"ask"}`, `{"unsure":"ask"}`},
		"the manifest says so":      {[]string{"--longest", "1m"}, `{"mirror":true}`, `{"longest":"1m0s","mirror":true}`},
		"the flag does":             {[]string{"--mirror"}, `{"unsure":"ask"}`, `{"unsure":"ask","mirror":true}`},
		"the flag says the reverse": {[]string{"--mirror=false"}, `{"mirror":true}`, `{"mirror":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			var f strategyFlags
			set := pflag.NewFlagSet("push", pflag.ContinueOnError)
			f.register(set)
			if err := set.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			p := client.Push{Strategy: &client.Strategy{Judge: &client.Judging{}}}
			if err := json.Unmarshal([]byte(tc.manifest), p.Strategy.Judge); err != nil {
				t.Fatal(err)
			}
			if err := f.over(&p); err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(p.Strategy.Judge); err != nil || string(got) != tc.want {
				t.Errorf("%s (%v), want %s", got, err, tc.want)
			}
		})
	}
	var f strategyFlags
	set := pflag.NewFlagSet("push", pflag.ContinueOnError)
	f.register(set)
	if err := set.Parse([]string{"--mirror=perhaps"}); err == nil {
		t.Error("perhaps is neither")
	}
}

func TestMoments(t *testing.T) {
	now := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{"2h": now.Add(-2 * time.Hour), "7d": now.AddDate(0, 0, -7), "2026-11-20T10:00:00Z": time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), "0s": now} {
		if got, err := moment("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v (%v), want %s", text, got, err, want)
		}
	}
	if got, err := moment("--since", "", now); err != nil || got != nil {
		t.Errorf("nothing is %v (%v)", got, err)
	}
	for _, text := range []string{"yesterday", "-2h", "2026-11-20"} {
		if got, err := moment("--since", text, now); err == nil {
			t.Errorf("%q is %v, want it refused", text, got)
		}
	}
}

// What is known so far is shown as often as the blocks that were compared have
// doubled, and a verdict once.
func TestWatchShowsWhatIsKnown(t *testing.T) {
	c := &cmd{screen: &Screen{}}
	r := client.Rollout{Release: 2, From: 1, Strategy: "canary", State: "shifting", Steps: []string{"10%/judge"}, Weight: 10}
	var so soFar
	last, lines := "", 0
	for blocks := range 100 {
		r.Verdict = &client.Verdict{Outcome: "unsure", Text: "not known yet: " + time.Duration(blocks).String(), Blocks: blocks}
		if text := c.watchLine(r, &so); text != last {
			last, lines = text, lines+1
		}
	}
	if lines < 4 || lines > 9 {
		t.Errorf("%d lines for 100 blocks, want one for each doubling", lines)
	}
	r.Verdict = &client.Verdict{Outcome: "pass", Act: "passed", Text: "as good as before", Blocks: 101}
	if text := c.watchLine(r, &so); text == last {
		t.Error("the verdict is not shown")
	}
}

func TestSpans(t *testing.T) {
	now := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	at := now.Add(-26 * time.Hour).Format(time.RFC3339)
	for name, tc := range map[string]struct {
		since, until string
		from, to     time.Time
		bad          bool
	}{
		"none":                  {},
		"how long ago":          {"2h", "1h", now.Add(-2 * time.Hour), now.Add(-time.Hour), false},
		"a time":                {at, "", now.Add(-26 * time.Hour), time.Time{}, false},
		"a time and how long":   {at, "25h", now.Add(-26 * time.Hour), now.Add(-25 * time.Hour), false},
		"the end alone":         {"", "30m", time.Time{}, now.Add(-30 * time.Minute), false},
		"the wrong way round":   {"1h", "2h", time.Time{}, time.Time{}, true},
		"neither":               {"yesterday", "", time.Time{}, time.Time{}, true},
		"an end that is no end": {"", "-5m", time.Time{}, time.Time{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			from, to, err := spanOf(tc.since, tc.until, now)
			if tc.bad {
				if f := fault.Of(err); f.Kind != fault.Invalid || f.Try == "" {
					t.Errorf("%v, want it refused with a way out", err)
				}
				return
			}
			if err != nil || !from.Equal(tc.from) || !to.Equal(tc.to) {
				t.Errorf("%s to %s (%v), want %s to %s", from, to, err, tc.from, tc.to)
			}
		})
	}
}

// A verdict ends with the commands that show more of what is worse.
func TestVerdictsLeadFurther(t *testing.T) {
	v := client.Verdict{Outcome: "fail", Reasons: []client.VerdictReason{
		{Metric: "errors", State: "worse", Links: []client.VerdictLink{{Rel: "metrics", Target: "up"}, {Rel: "logs", Target: "naru logs shop"}, {Rel: "traces", Target: "naru traces shop"}}},
		{Metric: "restarts", State: "worse", Links: []client.VerdictLink{{Rel: "logs", Target: "naru logs shop"}}},
		{Metric: "cpu", State: "not_worse", Links: []client.VerdictLink{{Rel: "logs", Target: "naru logs other"}}},
	}}
	if got := strings.Join(further(v), "; "); got != "naru logs shop; naru traces shop" {
		t.Errorf("%q", got)
	}
}
