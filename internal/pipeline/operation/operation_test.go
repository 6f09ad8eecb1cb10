package operation

import "testing"

func TestEndedStatesStayEnded(t *testing.T) {
	all := []State{Queued, Running, Done, Failed, Canceled}
	for _, s := range []State{Done, Failed, Canceled} {
		if !s.Ended() {
			t.Errorf("%s is not ended", s)
		}
		for _, to := range all {
			if s.CanBecome(to) {
				t.Errorf("%s can become %s", s, to)
			}
		}
	}
	if !Running.CanBecome(Running) {
		t.Error("a running operation cannot be taken up again")
	}
	if Queued.CanBecome(Done) {
		t.Error("an operation can be done without having run")
	}
}
