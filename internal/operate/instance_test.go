package operate_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/run"
)

func TestScaleDownTakesTheHighestIndex(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, r *rig) {
		before := r.instances()
		r.resize(2)
		r.want("0 healthy", "1 healthy")
		for n, i := range r.instances() {
			if i.ID != before[n].ID {
				t.Errorf("index %d was replaced", n)
			}
		}
		if got := r.running(); !slices.Equal(got, []int{0, 1}) {
			t.Errorf("running are %v", got)
		}
	})
}

func TestTheLowestFreeIndexIsReused(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, r *rig) {
		gone := r.at(1)
		r.driver.Exit(gone.ID, 1)
		synctest.Wait()
		r.want("0 healthy", "1 crashed", "2 healthy")
		r.after(time.Second + time.Millisecond)
		r.want("0 healthy", "1 healthy", "2 healthy")
		if r.at(1).ID == gone.ID {
			t.Error("the crashed instance was started again under its old id")
		}
		r.resize(4)
		r.want("0 healthy", "1 healthy", "2 healthy", "3 healthy")
	})
}

func TestNothingIsStoppedBeforeItIsDrained(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, r *rig) {
		r.router.busy = make(chan struct{})
		leaving := r.at(1)
		r.resize(1)
		r.after(30 * time.Second)
		r.want("0 healthy", "1 draining")
		if got := r.running(); !slices.Equal(got, []int{0, 1}) {
			t.Fatalf("running are %v while requests are in flight", got)
		}
		close(r.router.busy)
		synctest.Wait()
		r.want("0 healthy")
		if got := r.running(); !slices.Equal(got, []int{0}) {
			t.Errorf("running are %v", got)
		}
		if i, err := r.Instance(t.Context(), leaving.ID); err != nil || !i.Drained || i.State != run.Stopped {
			t.Errorf("it ended as %+v, %v", i, err)
		}
		if !slices.Equal(r.router.idle, []run.InstanceID{leaving.ID}) {
			t.Errorf("asked whether %v are idle", r.router.idle)
		}
	})
}

func TestRequestsThatNeverEndHoldUpAStopForSoLong(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.router.busy = make(chan struct{})
		r.resize(0)
		r.after(time.Minute - time.Millisecond)
		r.want("0 draining")
		r.after(2 * time.Millisecond)
		r.want()
	})
}

func TestADrainGoesOnInTheNextKeeper(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.router.busy = make(chan struct{})
		r.resize(0)
		r.want("0 draining")
		r.stop()
		r.start()
		r.want("0 draining")
		close(r.router.busy)
		synctest.Wait()
		r.want()
		if got := r.running(); len(got) > 0 {
			t.Errorf("running are %v", got)
		}
	})
}

func TestACrashedInstanceThatIsNotWantedIsForgotten(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, r *rig) {
		crashed := r.at(1)
		r.driver.Exit(crashed.ID, 1)
		synctest.Wait()
		r.resize(1)
		r.want("0 healthy")
		r.after(time.Minute)
		r.want("0 healthy")
	})
}

// What only streams are left of is in nobody's way: its index is free, and its
// stop waits for the longer deadline, also in the next keeper.
func TestStreamsHaveADeadlineOfTheirOwn(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, r *rig) {
		r.router.busy, r.router.streams = make(chan struct{}), make(chan struct{})
		leaving := r.at(1)
		r.resize(1)
		r.after(10 * time.Second)
		r.want("0 healthy", "1 draining")
		close(r.router.busy)
		synctest.Wait()
		r.want("0 healthy", "1 lingering")
		r.after(2 * time.Minute)
		r.stop()
		r.start()
		r.want("0 healthy", "1 lingering")
		r.resize(2)
		if got := r.states(); len(got) != 3 || !slices.Contains(got, "1 healthy") || !slices.Contains(got, "1 lingering") {
			t.Fatalf("instances are %q, want a new one beside the one that lingers", got)
		}
		r.after(3*time.Minute - time.Millisecond)
		if i, err := r.Instance(t.Context(), leaving.ID); err != nil || i.State != run.Lingering {
			t.Fatalf("before the deadline it is %s, %v", i.State, err)
		}
		r.after(2 * time.Millisecond)
		r.want("0 healthy", "1 healthy")
		if i, err := r.Instance(t.Context(), leaving.ID); err != nil || i.State != run.Stopped {
			t.Errorf("after the deadline it is %s, %v", i.State, err)
		}
	})
}

func TestStreamsThatEndAreNotWaitedFor(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, r *rig) {
		r.router.streams = make(chan struct{})
		r.resize(1)
		r.after(time.Second)
		r.want("0 healthy", "1 lingering")
		close(r.router.streams)
		synctest.Wait()
		r.want("0 healthy")
	})
}

// An app that is stopped goes on nowhere: nobody could come back to it.
func TestAStoppedAppsStreamsHaveTheOrdinaryDeadline(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, r *rig) {
		r.router.streams = make(chan struct{})
		r.resize(1)
		r.after(30 * time.Second)
		r.want("0 healthy", "1 lingering")
		r.resize(0)
		r.want("0 draining", "1 lingering")
		r.after(30*time.Second + time.Millisecond)
		r.want("0 draining")
		r.after(30 * time.Second)
		r.want()
	})
}
