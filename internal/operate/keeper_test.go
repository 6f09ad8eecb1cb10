package operate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/store"
)

func TestAGroupGetsItsInstances(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, r *rig) {
		r.want("0 healthy", "1 healthy", "2 healthy")
		if got := r.running(); !slices.Equal(got, []int{0, 1, 2}) {
			t.Errorf("running are %v", got)
		}
	})
}

func TestARestartWaitsLongerAfterEachCrash(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		first := r.at(0)
		for n, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
			was := r.at(0)
			r.driver.Exit(was.ID, 3)
			r.after(wait - time.Millisecond)
			r.want("0 crashed")
			if i := r.at(0); i.LastExit == nil || i.LastExit.Code != 3 || !strings.Contains(i.LastExit.Reason, "exit 3") || i.Crashes != n+1 {
				t.Fatalf("crash %d is kept as %+v, %+v", n+1, i, i.LastExit)
			}
			if got := r.running(); len(got) > 0 {
				t.Fatalf("running are %v before the wait was over", got)
			}
			r.after(2 * time.Millisecond)
			r.want("0 healthy")
			now := r.at(0)
			if now.ID == was.ID || now.Restarts != n+1 || now.LastExit == nil || now.LastExit.Code != 3 {
				t.Fatalf("restart %d is %+v", n+1, now)
			}
		}
		if _, known := r.driver.Spec(first.ID); known {
			t.Error("the first instance was never buried")
		}
	})
}

func TestCrashesAreForgottenAfterACalmTime(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		for range 3 {
			r.driver.Exit(r.at(0).ID, 1)
			r.after(6 * time.Second)
		}
		r.want("0 healthy")
		r.after(run.Calm)
		r.driver.Exit(r.at(0).ID, 1)
		r.after(time.Second - time.Millisecond)
		if i := r.at(0); i.Crashes != 1 {
			t.Errorf("after a calm time it has crashed %d times in a row", i.Crashes)
		}
		r.after(2 * time.Millisecond)
		r.want("0 healthy")
	})
}

func TestTheReasonOfACrash(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(r *rig, id run.InstanceID)
		says string
	}{
		"a code":        {func(r *rig, id run.InstanceID) { r.driver.Exit(id, 7) }, "exit 7"},
		"out of memory": {func(r *rig, id run.InstanceID) { r.driver.OOM(id) }, "out of memory"},
		"removed behind our back": {func(r *rig, id run.InstanceID) {
			must(r.t, r.driver.Remove(r.t.Context(), id))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(t *testing.T, r *rig) {
				c.end(r, r.at(0).ID)
				synctest.Wait()
				r.want("0 crashed")
				if i := r.at(0); i.LastExit == nil || !strings.Contains(i.LastExit.Reason, c.says) || i.LastExit.Reason == "" {
					t.Errorf("its end is %+v", i.LastExit)
				}
			})
		})
	}
}

func TestACrashWhileNobodyLookedIsCountedOnce(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		was := r.at(0)
		r.stop()
		r.driver.Exit(was.ID, 9)
		r.start()
		r.want("0 crashed")
		if i := r.at(0); i.ID != was.ID || i.Crashes != 1 || i.LastExit == nil || i.LastExit.Code != 9 {
			t.Errorf("kept as %+v, %+v", i, i.LastExit)
		}
		r.stop()
		r.start() // once more, before the restart
		r.after(time.Second + time.Millisecond)
		r.want("0 healthy")
		if i := r.at(0); i.Crashes != 1 || i.Restarts != 1 {
			t.Errorf("restarted as %+v", i)
		}
		crashes, err := r.Events(t.Context(), store.EventFilter{App: r.app.ID, Kinds: []event.Kind{"instance.crashed"}})
		if err != nil || len(crashes) != 1 {
			t.Errorf("events of the crash: %+v, %v", crashes, err)
		}
	})
}

func TestAKeeperFindsWhatRuns(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, r *rig) {
		before := r.instances()
		r.stop()
		if got := r.running(); !slices.Equal(got, []int{0, 1}) {
			t.Fatalf("running are %v without a keeper", got)
		}
		r.start()
		r.after(time.Minute)
		for n, i := range r.instances() {
			if i.ID != before[n].ID || i.State != run.Healthy {
				t.Errorf("%+v became %+v", before[n], i)
			}
		}
	})
}

func TestAStartThatWasOnlyDecidedIsDone(t *testing.T) {
	for _, state := range []run.State{run.Pending, run.Starting} {
		t.Run(string(state), func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, r *rig) {
				r.stop()
				i := run.Instance{ID: "decided", Group: r.group.ID, State: state, Created: time.Now(), Since: time.Now()}
				must(t, r.AddInstances(t.Context(), i))
				r.resize(1)
				r.start()
				r.want("0 healthy")
				if got := r.at(0); got.ID != "decided" || got.Started.IsZero() {
					t.Errorf("started as %+v", got)
				}
			})
		})
	}
}

func TestWhatNobodyWantsIsSwept(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.stop()
		spec, _, err := r.Spec(t.Context(), r.group, run.Instance{ID: "leftover", Index: 5})
		must(t, err)
		_, err = r.driver.Start(t.Context(), spec)
		must(t, err)
		r.start()
		if got := r.running(); !slices.Equal(got, []int{0}) {
			t.Errorf("running are %v", got)
		}
	})
}

// A commit is a sync of the disk, and wakes everybody up.
func TestStartsShareTheCommitOfTheirIntent(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		before := r.commits.Load()
		r.resize(9)
		if got := r.commits.Load() - before; got > 1+1+8*2 {
			t.Errorf("%d commits, want one for the size, one for all intents, and two an instance: it runs, it is healthy", got)
		}
		if got := r.running(); len(got) != 9 {
			t.Errorf("running are %v", got)
		}
	})
}

func TestWhatCannotStart(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		says string
	}{
		"for the release's fault": {fault.New(fault.Failed, "command", "there is no such program"), 126, "there is no such program"},
		"for the machine's fault": {errors.New("the disk is full"), -1, "could not start: the disk is full"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, r *rig) {
				r.driver.FailNext("start", c.err)
				r.resize(1)
				r.want("0 crashed")
				if x := r.at(0).LastExit; x == nil || x.Code != c.code || x.Reason != c.says {
					t.Errorf("its end is %+v", x)
				}
				r.after(time.Second + time.Millisecond)
				r.want("0 healthy")
			})
		})
	}
}
