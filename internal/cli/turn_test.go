package cli

import (
	"testing"

	"naru/internal/client"
)

func TestWhatAPushWaitsFor(t *testing.T) {
	for state, want := range map[string]string{
		"paused":   ": v6 is paused until naru rollout resume shop; abort takes it back",
		"aborting": ": v6 goes back",
		"shifting": ": v6 rolls, see naru rollout shop",
		"done":     "", // it only ends
	} {
		if got := awaited(client.Rollout{Release: 6, State: state}, "shop"); got != want {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
	}
}
