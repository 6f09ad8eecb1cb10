package operation

import (
	"fmt"
	"testing"
)

func TestThinned(t *testing.T) {
	lines := []Progress{{Status: StepStarted, Text: "build"}}
	for n := range 1000 {
		lines = append(lines, Progress{Status: StepLog, Text: fmt.Sprint(n)})
	}
	lines = append(lines, Progress{Status: StepFailed, Text: "no room"})
	got := thinned(lines)
	if len(got) != 103 || got[0].Text != "build" || got[1].Text != "(900 lines of output could not be stored)" ||
		got[2].Text != "900" || got[101].Text != "999" || got[102].Text != "no room" {
		t.Errorf("thinned: %d lines, %q %q %q ... %q", len(got), got[0].Text, got[1].Text, got[2].Text, got[len(got)-1].Text)
	}
	if again := thinned(got); len(again) < 101 {
		t.Errorf("thinned twice: %d lines", len(again))
	}
	few := lines[:50]
	if got := thinned(few); len(got) != len(few) {
		t.Errorf("%d lines of %d are left", len(got), len(few))
	}
}
