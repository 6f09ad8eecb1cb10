package promise

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"naru/internal/judge/objective"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

// What is spent while no rollout moves anything is told apart by the release that
// ran, also by one that ran before the first rollout that is known, and one that
// came back.
func TestTheUnexplainedNamesWhatRan(t *testing.T) {
	end := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	begin := end.Add(-10 * time.Hour)
	moved := func(to, from release.ID, state rollout.State, after, took time.Duration) rollout.Rollout {
		return rollout.Rollout{Release: to, From: from, State: state, Created: begin.Add(after), Ended: begin.Add(after + took)}
	}
	name := func(id release.ID) string { return "v" + string(id) }
	for title, tc := range map[string]struct {
		rollouts []rollout.Rollout // newest first
		want     []string
	}{
		"nothing yet": {nil, nil},
		"the first":   {[]rollout.Rollout{moved("1", "", rollout.Done, time.Hour, time.Minute)}, []string{"while v1 ran 1h1m0s 10h0m0s"}},
		"another":     {[]rollout.Rollout{moved("2", "1", rollout.Done, 5*time.Hour, time.Minute), moved("1", "", rollout.Done, time.Hour, time.Minute)}, []string{"while v1 ran 1h1m0s 5h0m0s", "while v2 ran 5h1m0s 10h0m0s"}},
		"one that went back changes nothing": {
			[]rollout.Rollout{moved("2", "1", rollout.RolledBack, 5*time.Hour, time.Minute), moved("1", "", rollout.Done, time.Hour, time.Minute)}, []string{"while v1 ran 1h1m0s 10h0m0s"},
		},
		"what ran before": {[]rollout.Rollout{moved("9", "8", rollout.Done, 5*time.Hour, time.Hour)}, []string{"while v8 ran 0s 5h0m0s", "while v9 ran 6h0m0s 10h0m0s"}},
		"what ran before, and nothing else took its place": {[]rollout.Rollout{moved("9", "8", rollout.RolledBack, 5*time.Hour, time.Hour)}, []string{"while v8 ran 0s 10h0m0s"}},
		"on its way": {[]rollout.Rollout{{Release: "2", From: "1", State: rollout.Watching, Created: begin.Add(9 * time.Hour)}, moved("1", "", rollout.Done, time.Hour, time.Minute)}, []string{"while v1 ran 1h1m0s 10h0m0s"}},
		"a restart":  {[]rollout.Rollout{moved("1", "1", rollout.Done, 5*time.Hour, time.Minute), moved("1", "", rollout.Done, time.Hour, time.Minute)}, []string{"while v1 ran 1h1m0s 5h0m0s", "while v1 ran 5h1m0s 10h0m0s"}},
	} {
		t.Run(title, func(t *testing.T) {
			var got []string
			for _, c := range ran(tc.rollouts, name, begin, end) {
				if c.Kind != objective.Unexplained {
					t.Errorf("%s is a %s", c.Name, c.Kind)
				}
				got = append(got, fmt.Sprintf("%s %s %s", c.Name, c.From.Sub(begin), c.To.Sub(begin)))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
