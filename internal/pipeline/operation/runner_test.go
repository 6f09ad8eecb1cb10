package operation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/fault"
	"naru/internal/pipeline/operation"
)

var steps = []string{"source", "build", "release"}

// counting runs all steps, each of which counts its calls and gives a number;
// the result is the sum. during is called inside each step.
func counting(calls map[string]int, during func(ctx context.Context, w *operation.Work, step string) error) operation.Handler {
	return func(ctx context.Context, w *operation.Work) (any, error) {
		sum := 0
		for i, name := range steps {
			n, err := operation.Step(ctx, w, name, func(ctx context.Context) (int, operation.Outcome, error) {
				calls[name]++
				w.Output(ctx, name, "working on "+name)
				return 1 << i, operation.Outcome{Text: name + " is there"}, during(ctx, w, name)
			})
			if err != nil {
				return nil, err
			}
			sum += n
		}
		return sum, nil
	}
}

func nothing(context.Context, *operation.Work, string) error { return nil }

// Killed after each commit in turn, an operation goes on with the first step
// whose end was not stored.
func TestKilledAfterEveryCommit(t *testing.T) {
	for at := int64(1); ; at++ {
		killed := false
		t.Run(fmt.Sprint("commit ", at), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				op := w.ask(t, "shop")
				calls := map[string]int{}
				w.kill.Store(at)
				first := w.start(t, 1, counting(calls, nothing))
				synctest.Wait()
				select {
				case <-first.dead:
					killed = true
				default:
				}
				first.down()
				w.kill.Store(0)
				before := w.find(t, op.ID)
				stored := map[string]bool{}
				for _, l := range w.lines(t, op.ID) {
					stored[l.Step] = stored[l.Step] || l.Status == operation.StepDone
				}
				soFar := fmt.Sprint(calls)
				calls = map[string]int{}
				w.start(t, 1, counting(calls, nothing))
				synctest.Wait()
				end := w.ended(t, op.ID, operation.Done)
				if string(end.Result) != "7" {
					t.Errorf("result = %s", end.Result)
				}
				for _, name := range steps {
					want := 1
					if stored[name] || before.State.Ended() {
						want = 0
					}
					if calls[name] != want {
						t.Errorf("%s was called %d times after the restart (before: %s), want %d", name, calls[name], soFar, want)
					}
				}
				done := 0
				for _, l := range w.lines(t, op.ID) {
					if l.Status == operation.StepDone {
						done++
					}
				}
				if done != len(steps) {
					t.Errorf("%d steps ended, want %d", done, len(steps))
				}
			})
		})
		if t.Failed() || !killed {
			if at < 6 {
				t.Errorf("only %d commits were tried", at-1)
			}
			return
		}
	}
}

// Stopped within each step in turn, that step alone is done again.
func TestStoppedWithinEveryStep(t *testing.T) {
	for _, at := range steps {
		t.Run(at, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				op := w.ask(t, "shop")
				calls := map[string]int{}
				first := w.start(t, 1, counting(calls, func(ctx context.Context, _ *operation.Work, step string) error {
					if step == at {
						<-ctx.Done()
						return ctx.Err()
					}
					return nil
				}))
				synctest.Wait()
				first.down()
				w.ended(t, op.ID, operation.Running)
				w.start(t, 1, counting(calls, nothing))
				synctest.Wait()
				if end := w.ended(t, op.ID, operation.Done); end.Attempts != 2 {
					t.Errorf("%d attempts, want 2", end.Attempts)
				}
				for _, name := range steps {
					want := 1
					if name == at {
						want = 2
					}
					if calls[name] != want {
						t.Errorf("%s was called %d times, want %d", name, calls[name], want)
					}
				}
				for _, l := range w.lines(t, op.ID) {
					if l.Status == operation.StepFailed {
						t.Errorf("a stop is told as a failure of %s", l.Step)
					}
				}
			})
		})
	}
}

// What ends the process every time is given up.
func TestGivenUpAfterManyAttempts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		op := w.ask(t, "shop")
		_, _, err := w.TakeOperation(t.Context())
		must(t, err)
		for range operation.MaxAttempts - 1 {
			_, err := w.RetakeOperations(t.Context())
			must(t, err)
		}
		w.start(t, 1, func(context.Context, *operation.Work) (any, error) { t.Error("carried out once more"); return nil, nil })
		synctest.Wait()
		if end := w.ended(t, op.ID, operation.Failed); end.Error.Message != "given up after 100 attempts" {
			t.Errorf("error = %v", end.Error)
		}
	})
}

// The same key gives the same operation, before, while and after it is worked on.
func TestSameKeyIsCarriedOutOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		calls := map[string]int{}
		free := make(chan struct{})
		var first operation.Operation
		again := func() operation.Operation {
			op := w.apps["shop"]
			op.ID, op.Key = operation.ID(fmt.Sprint("try-", time.Now().UnixNano())), "key-1"
			op, err := w.AddOperation(t.Context(), op)
			must(t, err)
			if first.ID == "" {
				first = op
			} else if op.ID != first.ID {
				t.Errorf("operation %s, want %s again", op.ID, first.ID)
			}
			return op
		}
		again()
		time.Sleep(time.Millisecond) // of the bubble: another id
		again()
		r := w.start(t, 4, counting(calls, func(context.Context, *operation.Work, string) error { <-free; return nil }))
		synctest.Wait()
		if op := again(); op.State != operation.Running {
			t.Errorf("meanwhile it is %s", op.State)
		}
		r.Wake()
		close(free)
		synctest.Wait()
		if op := again(); op.State != operation.Done || string(op.Result) != "7" {
			t.Errorf("afterwards it is %s with %s", op.State, op.Result)
		}
		r.Wake()
		synctest.Wait()
		if calls["source"] != 1 {
			t.Errorf("carried out %d times", calls["source"])
		}
	})
}

// Operations of one app wait for each other, in the order they were asked for;
// those of another do not wait, as long as there is a slot.
func TestOneAtATimeForAnApp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first, second, third := w.ask(t, "shop"), w.ask(t, "shop"), w.ask(t, "shop")
		other := w.ask(t, "blog")
		begun := make(chan operation.ID, 10)
		free := map[operation.ID]chan struct{}{}
		for _, op := range []operation.Operation{first, second, third, other} {
			free[op.ID] = make(chan struct{})
		}
		w.start(t, 4, func(_ context.Context, k *operation.Work) (any, error) {
			begun <- k.ID
			<-free[k.ID]
			return nil, nil
		})
		synctest.Wait()
		got := []operation.ID{<-begun, <-begun}
		if !slices.Contains(got, first.ID) || !slices.Contains(got, other.ID) || len(begun) != 0 {
			t.Fatalf("begun %v and %d more, want the first of each app", got, len(begun))
		}
		for i, op := range []operation.Operation{first, second, third} {
			close(free[op.ID])
			synctest.Wait()
			w.ended(t, op.ID, operation.Done)
			if i < 2 {
				if next := []operation.ID{second.ID, third.ID}[i]; len(begun) != 1 || <-begun != next {
					t.Fatalf("after operation %d: not just the next one has begun", i+1)
				}
			}
		}
		w.ended(t, other.ID, operation.Running)
		close(free[other.ID])
	})
}

// No more operations than slots are carried out.
func TestSlotsBoundWhatRuns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one, two := w.ask(t, "shop"), w.ask(t, "blog")
		free := make(chan struct{})
		w.start(t, 1, func(context.Context, *operation.Work) (any, error) { <-free; return nil, nil })
		synctest.Wait()
		w.ended(t, one.ID, operation.Running)
		w.ended(t, two.ID, operation.Queued)
		close(free)
		synctest.Wait()
		w.ended(t, two.ID, operation.Done)
	})
}

// cancel is what the API does.
func (w *world) cancel(t *testing.T, r life, id operation.ID) {
	t.Helper()
	_, err := w.CancelOperation(t.Context(), operation.Ask{Actor: "bob"}, id)
	must(t, err)
	r.Cancel(id)
	synctest.Wait()
}

func TestCancel(t *testing.T) {
	// untilCanceled waits within a step; what it answers is up to the handler.
	untilCanceled := func(answer error) operation.Handler {
		return func(ctx context.Context, w *operation.Work) (any, error) {
			return operation.Step(ctx, w, "build", func(ctx context.Context) (string, operation.Outcome, error) {
				cut, stop := w.Cancelable(ctx)
				defer stop()
				<-cut.Done()
				return "built", operation.Outcome{}, answer
			})
		}
	}
	for _, c := range []struct {
		name   string
		answer error
		want   operation.State
	}{
		{"gives up", context.Canceled, operation.Canceled},
		{"fails to put things back", errors.New("disk is gone"), operation.Canceled},
		{"has finished all the same", nil, operation.Done},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				op := w.ask(t, "shop")
				r := w.start(t, 1, untilCanceled(c.answer))
				synctest.Wait()
				w.ended(t, op.ID, operation.Running)
				w.cancel(t, r, op.ID)
				w.ended(t, op.ID, c.want)
			})
		})
	}
	t.Run("queued", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.ask(t, "shop")
			waits := w.ask(t, "shop")
			r := w.start(t, 2, func(ctx context.Context, k *operation.Work) (any, error) {
				if k.ID == waits.ID {
					t.Error("carried out what was canceled")
				}
				<-ctx.Done()
				return nil, ctx.Err()
			})
			synctest.Wait()
			w.cancel(t, r, waits.ID)
			w.ended(t, waits.ID, operation.Canceled)
		})
	})
	t.Run("wish survives a restart", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			op := w.ask(t, "shop")
			first := w.start(t, 1, func(ctx context.Context, _ *operation.Work) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
			synctest.Wait()
			_, err := w.CancelOperation(t.Context(), operation.Ask{Actor: "bob"}, op.ID)
			must(t, err)
			first.down() // before it was told
			w.start(t, 1, func(context.Context, *operation.Work) (any, error) {
				t.Error("carried out what was canceled")
				return nil, nil
			})
			synctest.Wait()
			w.ended(t, op.ID, operation.Canceled)
		})
	})
	t.Run("taken up again, waiting for a slot", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			one, two := w.ask(t, "shop"), w.ask(t, "blog")
			first := w.start(t, 2, func(ctx context.Context, _ *operation.Work) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
			synctest.Wait()
			first.down()
			free := make(chan struct{})
			second := w.start(t, 1, func(_ context.Context, k *operation.Work) (any, error) {
				if k.ID == two.ID {
					t.Error("carried out what was canceled")
				}
				<-free
				return nil, nil
			})
			synctest.Wait()
			w.cancel(t, second, two.ID)
			close(free)
			synctest.Wait()
			w.ended(t, one.ID, operation.Done)
			w.ended(t, two.ID, operation.Canceled)
		})
	})
}

// The end of an operation is stored once the store works again, with every line
// that could not be stored before.
func TestEndWaitsForTheStore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		op := w.ask(t, "shop")
		calls := 0
		w.start(t, 1, func(ctx context.Context, k *operation.Work) (any, error) {
			calls++
			k.Info(ctx, "build", "before")
			w.failWith(errStore)
			for n := range 10 {
				k.Output(ctx, "build", fmt.Sprint(n))
				time.Sleep(300 * time.Millisecond) // of the bubble, so that it is tried to store them
			}
			return "result", nil
		})
		synctest.Wait()
		time.Sleep(time.Minute) // of the bubble
		w.ended(t, op.ID, operation.Running)
		w.failWith(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if end := w.ended(t, op.ID, operation.Done); string(end.Result) != `"result"` || calls != 1 {
			t.Errorf("result %s after %d calls", end.Result, calls)
		}
		if lines := w.lines(t, op.ID); len(lines) != 11 || lines[0].Text != "before" || lines[10].Text != "9" {
			t.Errorf("%d lines: %+v", len(lines), lines)
		}
		next := w.ask(t, "shop")
		w.start(t, 1, func(context.Context, *operation.Work) (any, error) { return nil, nil })
		synctest.Wait()
		w.ended(t, next.ID, operation.Done)
	})
}

// A step whose end cannot be stored fails the operation, and loses no line.
func TestStepThatCannotBeStored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		op := w.ask(t, "shop")
		w.start(t, 1, counting(map[string]int{}, func(ctx context.Context, k *operation.Work, step string) error {
			if step == "build" {
				w.failWith(errStore)
				k.Output(ctx, step, "the line that tells why")
				time.AfterFunc(time.Minute, func() { w.failWith(nil) })
			}
			return nil
		}))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		w.ended(t, op.ID, operation.Failed)
		lines := w.lines(t, op.ID)
		if !slices.ContainsFunc(lines, func(l operation.Progress) bool { return l.Text == "the line that tells why" }) {
			t.Errorf("a line is lost: %+v", lines)
		}
	})
}

// A runner that cannot take operations tries until it can.
func TestTakingWaitsForTheStore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		op := w.ask(t, "shop")
		w.failWith(errStore)
		w.start(t, 1, counting(map[string]int{}, nothing))
		time.Sleep(time.Minute)
		w.ended(t, op.ID, operation.Queued)
		w.failWith(nil)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		w.ended(t, op.ID, operation.Done)
	})
}

// Handlers that go wrong fail their own operation and nothing else.
func TestHandlersThatGoWrong(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		bad, unknown, good := w.ask(t, "shop"), w.apps["shop"], w.ask(t, "blog")
		unknown.ID, unknown.Kind = "unknown", "brew"
		_, err := w.AddOperation(t.Context(), unknown)
		must(t, err)
		w.start(t, 1, func(_ context.Context, k *operation.Work) (any, error) {
			if k.ID == bad.ID {
				panic("out of coffee")
			}
			return nil, nil
		})
		synctest.Wait()
		if end := w.ended(t, bad.ID, operation.Failed); end.Error.Kind != fault.Internal {
			t.Errorf("error = %+v", end.Error)
		}
		if end := w.ended(t, unknown.ID, operation.Failed); end.Error.Kind != fault.Unsupported {
			t.Errorf("error = %+v", end.Error)
		}
		w.ended(t, good.ID, operation.Done)
	})
}
