package doctor

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"naru/internal/observe/forward"
)

func TestTheReceiverOfMetricsIsLookedAt(t *testing.T) {
	const url = "http://receiver/write"
	for name, c := range map[string]struct {
		url   string
		saved any
		want  Level
		words string
	}{
		"none":        {"", nil, Skipped, "not sent on"},
		"new":         {url, nil, OK, "nothing was sent yet"},
		"another":     {url, forward.Saved{URL: "http://other", State: forward.State{Failing: time.Now()}}, OK, "nothing was sent yet"},
		"well":        {url, forward.Saved{URL: url, State: forward.State{Sent: 12}}, OK, "12 samples"},
		"away":        {url, forward.Saved{URL: url, State: forward.State{Failing: time.Unix(0, 0), Error: "connection refused"}}, Warn, "since 1970-01-01T00:00:00Z for their receiver: connection refused"},
		"away long":   {url, forward.Saved{URL: url, State: forward.State{Passed: time.Hour}}, Warn, "metrics of 1h0m0s were gone"},
		"refused":     {url, forward.Saved{URL: url, State: forward.State{Sent: 9, Dropped: 1, Error: "out of order"}}, Warn, "refused 1 samples of 10: out of order"},
		"broken file": {url, "nonsense", Warn, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			env := healthy(t)
			env.Config.Metrics.RemoteWrite.URL = c.url
			if c.saved != nil {
				raw, err := json.Marshal(c.saved)
				must(t, err)
				must(t, os.WriteFile(env.Config.RemoteWritePath(), raw, 0o600))
			}
			got := checkRemoteWrite(t.Context(), env)
			if got.Level != c.want || !strings.Contains(got.Cause, c.words) || (c.want == Warn) != (got.Try != "") {
				t.Errorf("%+v", got)
			}
		})
	}
}
