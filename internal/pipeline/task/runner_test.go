package task_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/run/launch"
	"naru/internal/run/runtest"
	"naru/internal/secret"
	"naru/internal/store"
)

var ada = operation.Ask{Actor: "ada"}

// world is what outlives a control plane: a store on disk and what runs. It
// lives in a bubble of testing/synctest.
type world struct {
	*store.Store
	driver  *driver
	release release.Release
}

// driver is the one in memory, which may take its time to start.
type driver struct {
	*runtest.Fake
	starting func(ctx context.Context) // what a start waits for; nil: nothing
}

func (d *driver) Start(ctx context.Context, spec run.Spec) (run.Status, error) {
	if d.starting != nil {
		d.starting(ctx)
	}
	return d.Fake.Start(context.WithoutCancel(ctx), spec)
}

// Open gives the secrets of the release.
func (w *world) Open(context.Context, app.ID, []string) (map[string]secret.Secret, error) {
	return map[string]secret.Secret{"TOKEN": secret.New("of the vault")}, nil
}

func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), store.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, st.Close()) }) // after what lives on it
		w := &world{Store: st, driver: &driver{Fake: runtest.NewDriver()}}
		_, space, err := st.Bootstrap(t.Context())
		must(t, err)
		happened := event.Event{Kind: "test.made", Actor: "ada", Subject: "shop"}
		shop, err := st.CreateApp(t.Context(), app.App{
			ID: app.ID(id.New()), Space: space.ID, Name: "shop", Slug: "shop", State: app.Started, Draft: app.Config{Env: map[string]string{"COLOUR": "blue"}},
		}, happened)
		must(t, err)
		img := artifact.Image{
			ID: artifact.ID(id.New()), App: shop.ID, Processes: []app.Process{{Type: app.Web, MemoryMiB: 300}},
			Ref: artifact.Ref{Repository: "default/dev/shop", Digest: "sha256:" + strings.Repeat("a", 64)},
		}
		w.release, err = st.CutRelease(t.Context(), shop.ID, func(number int, now time.Time) (release.Release, error) {
			return release.Cut(shop, img, number, "push", "ada", now)
		}, happened)
		must(t, err)
		test(t, w)
	})
}

// life is one control plane's runner of tasks.
type life struct {
	*task.Runner
	down func() // ends it and waits until nothing of it works any more
}

func (w *world) up(t *testing.T) life {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	specs := launch.New(w.Store, w, launch.Registry{Host: "registry.test"}, launch.Bounds{LogBytesPerSecond: 2048, LogSpoolMiB: 2})
	r := task.NewRunner(w.Store, w.driver, specs, task.Limits{Timeout: time.Hour, Attach: time.Minute}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	down := sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(down)
	synctest.Wait()
	return life{r, down}
}

// begin starts a task that says what the test app shall do.
func (w *world) begin(t *testing.T, r life, in task.New) task.Task {
	t.Helper()
	in.Release = w.release
	k, err := r.Start(t.Context(), ada, w.release.App, in)
	must(t, err)
	synctest.Wait()
	return k
}

// is fails the test unless a task is in a state, for a reason.
func (w *world) is(t *testing.T, id task.ID, want task.State, code int, reason string) task.Task {
	t.Helper()
	k, err := w.Task(context.Background(), id)
	must(t, err)
	if k.State != want || k.ExitCode != code || k.Reason != reason {
		t.Fatalf("task is %s with %d (%q), want %s with %d (%q)", k.State, k.ExitCode, k.Reason, want, code, reason)
	}
	if k.State.Ended() == k.Ended.IsZero() {
		t.Errorf("task is %s and ended at %s", k.State, k.Ended)
	}
	return k
}

// nothingRuns fails the test when an instance is left.
func (w *world) nothingRuns(t *testing.T) {
	t.Helper()
	left, err := w.driver.List(context.Background())
	if err != nil || len(left) != 0 {
		t.Errorf("%d instances are left (%v)", len(left), err)
	}
}

// told lists the events of tasks, oldest first.
func (w *world) told(t *testing.T) (kinds []string) {
	t.Helper()
	all, err := w.Events(context.Background(), store.EventFilter{})
	must(t, err)
	for _, e := range all {
		if strings.HasPrefix(string(e.Kind), "task.") {
			kinds = append(kinds, string(e.Kind))
			if e.Subject != "shop" || e.Detail["name"] == nil {
				t.Errorf("%s is about %q: %v", e.Kind, e.Subject, e.Detail)
			}
		}
	}
	return kinds
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name, behave string
		want         task.State
		code         int
		reason       string
	}{
		{"well", "exit 0", task.Succeeded, 0, ""},
		{"badly", "exit 7", task.Failed, 7, "exit 7"},
		{"with its last lines", "crash", task.Failed, 3, "exit 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				k := w.begin(t, w.up(t), task.New{Command: append([]string{runtest.TestApp}, strings.Fields(c.behave)...)})
				w.is(t, k.ID, c.want, c.code, c.reason)
				w.nothingRuns(t)
				if told := strings.Join(w.told(t), " "); told != "task.created task.ended" {
					t.Errorf("events: %s", told)
				}
			})
		})
	}
}

func TestOutOfMemory(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		k := w.begin(t, w.up(t), task.New{Command: []string{"/forever"}, MemoryMiB: 64})
		w.driver.OOM(k.Instance)
		synctest.Wait()
		w.is(t, k.ID, task.Failed, 137, run.Reason(137, 9, true, 64))
		w.nothingRuns(t)
	})
}

// What cannot start fails and says why.
func TestWhatCannotStart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.up(t)
		k := w.begin(t, r, task.New{Command: []string{"/missing/program"}})
		w.is(t, k.ID, task.Failed, 0, "there is no /missing/program in the image")
		for name, command := range map[string][]string{"ok": {"a\x00b"}, "n\x00": {"true"}} {
			if _, err := r.Start(t.Context(), ada, w.release.App, task.New{Release: w.release, Name: name, Command: command}); !fault.Is(err, fault.Invalid) {
				t.Errorf("%q as %q: %v", command, name, err)
			}
		}
		if _, err := r.Start(t.Context(), ada, w.release.App, task.New{Release: w.release}); !fault.Is(err, fault.Invalid) {
			t.Errorf("without a command: %v", err)
		}
	})
}

func TestTimeout(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		k := w.begin(t, w.up(t), task.New{Command: []string{"/forever"}})
		time.Sleep(time.Hour - time.Second) // of the bubble
		w.is(t, k.ID, task.Running, 0, "")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.is(t, k.ID, task.Failed, -1, "still ran after 1h0m0s")
		w.nothingRuns(t)
	})
}

// An image that does not come in time ends the task, too.
func TestTimeoutWhileItStarts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.driver.starting = func(ctx context.Context) { <-ctx.Done() }
		w.driver.FailNext("start", context.DeadlineExceeded)
		k := w.begin(t, w.up(t), task.New{Command: []string{"/forever"}})
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		w.is(t, k.ID, task.Failed, -1, "was not started within 1h0m0s")
		w.nothingRuns(t)
	})
}

func TestCancel(t *testing.T) {
	for _, c := range []struct {
		name string
		in   task.New
	}{
		{"while it runs", task.New{Command: []string{"/forever"}}},
		{"while it waits for somebody to attach", task.New{Command: []string{"/forever"}, Attach: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.up(t)
				k := w.begin(t, r, c.in)
				_, err := r.Cancel(t.Context(), operation.Ask{Actor: "bob"}, k.ID)
				must(t, err)
				synctest.Wait()
				w.is(t, k.ID, task.Canceled, 0, "canceled by bob")
				w.nothingRuns(t)
				if told := strings.Join(w.told(t), " "); told != "task.created task.canceled" {
					t.Errorf("events: %s", told)
				}
				if _, err := r.Cancel(t.Context(), ada, k.ID); !fault.Is(err, fault.Conflict) {
					t.Errorf("canceled twice: %v", err)
				}
			})
		})
	}
}

// A task that is canceled while its instance comes up leaves none behind.
func TestCancelWhileItStarts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.driver.starting = func(ctx context.Context) { <-ctx.Done(); time.Sleep(time.Second) } // and comes up all the same
		r := w.up(t)
		k := w.begin(t, r, task.New{Command: []string{"/forever"}})
		_, err := r.Cancel(t.Context(), ada, k.ID)
		must(t, err)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.is(t, k.ID, task.Canceled, 0, "canceled by ada")
		w.nothingRuns(t)
	})
}

// The control plane goes and comes back while a task runs, or after it ended.
func TestFoundAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.up(t)
		runs, ends := w.begin(t, first, task.New{Command: []string{"/forever"}}), w.begin(t, first, task.New{Command: []string{"/forever"}})
		lost := w.begin(t, first, task.New{Command: []string{"/forever"}})
		first.down()
		w.is(t, runs.ID, task.Running, 0, "")
		w.driver.Exit(ends.Instance, 4)
		must(t, w.driver.Remove(t.Context(), lost.Instance)) // as a reboot does
		time.Sleep(40 * time.Minute)
		w.up(t)
		w.is(t, runs.ID, task.Running, 0, "")
		w.is(t, ends.ID, task.Failed, 4, "exit 4")
		w.is(t, lost.ID, task.Failed, -1, "ended unseen")
		time.Sleep(21 * time.Minute) // an hour since it began
		synctest.Wait()
		w.is(t, runs.ID, task.Failed, -1, "still ran after 1h0m0s")
		w.nothingRuns(t)
	})
}

// What was asked for and not begun when the process went is begun by the next.
func TestPendingIsBegunAfterARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		specs := launch.New(w.Store, w, launch.Registry{Host: "registry.test"}, launch.Bounds{})
		idle := life{Runner: task.NewRunner(w.Store, w.driver, specs, task.Limits{Timeout: time.Hour}, slog.New(slog.DiscardHandler))}
		k := w.begin(t, idle, task.New{Command: []string{runtest.TestApp, "exit", "0"}})
		w.is(t, k.ID, task.Pending, 0, "")
		w.up(t)
		w.is(t, k.ID, task.Succeeded, 0, "")
	})
}

// A task gets the release's environment and its secrets, the limits it asked
// for, else those of web, and the platform's bound on output.
func TestEnvironmentAndLimits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.up(t)
		asked := w.begin(t, r, task.New{Command: []string{"/forever"}, MemoryMiB: 64, DiskMiB: 32})
		other := w.begin(t, r, task.New{Command: []string{"/forever"}})
		spec, ok := w.driver.Spec(asked.Instance)
		if !ok || spec.Env["COLOUR"].Reveal() != "blue" || spec.Env["TOKEN"].Reveal() != "of the vault" {
			t.Errorf("environment: %d entries, %v", len(spec.Env), ok)
		}
		if l := spec.Limits; l.MemoryMiB != 64 || l.DiskMiB != 32 || l.LogBytesPerSecond != 2048 || l.LogSpoolMiB != 2 {
			t.Errorf("limits: %+v", l)
		}
		if !spec.Task || spec.Port != 0 || spec.Group != "" || spec.Process != "task" || spec.IO != nil {
			t.Errorf("started as %+v", spec)
		}
		if spec, _ := w.driver.Spec(other.Instance); spec.Limits.MemoryMiB != 300 {
			t.Errorf("limits of web: %+v", spec.Limits)
		}
		if asked.Number != 1 || other.Number != 2 || asked.Name != "forever" {
			t.Errorf("tasks %d %q and %d", asked.Number, asked.Name, other.Number)
		}
		w.driver.Exit(asked.Instance, 0)
		w.driver.Exit(other.Instance, 0)
		synctest.Wait()
	})
}

func TestAttach(t *testing.T) {
	echo := task.New{Command: []string{runtest.TestApp, "echo"}, Attach: true}
	t.Run("input and output", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.up(t)
			k := w.begin(t, r, echo)
			w.is(t, k.ID, task.Pending, 0, "")
			var out bytes.Buffer
			code, err := r.Attach(t.Context(), k.ID, run.IO{Stdin: strings.NewReader("hello"), Stdout: &out, Stderr: &out})
			if err != nil || code != 0 || out.String() != "hello" {
				t.Errorf("exit code %d, %v, output %q", code, err, &out)
			}
			w.is(t, k.ID, task.Succeeded, 0, "")
			if _, err := r.Attach(t.Context(), k.ID, run.IO{}); !fault.Is(err, fault.Conflict) {
				t.Errorf("attached to what has ended: %v", err)
			}
		})
	})
	t.Run("nobody comes", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			k := w.begin(t, w.up(t), echo)
			time.Sleep(59 * time.Second)
			w.is(t, k.ID, task.Pending, 0, "")
			time.Sleep(2 * time.Second)
			synctest.Wait()
			w.is(t, k.ID, task.Failed, 0, "nobody attached to it")
		})
	})
	// leave attaches and leaves after a while.
	leave := func(t *testing.T, w *world, r life, id task.ID) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := r.Attach(ctx, id, run.IO{}); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		w.nothingRuns(t)
	}
	forever := task.New{Command: []string{"/forever"}, Attach: true}
	t.Run("leaves", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.up(t)
			k := w.begin(t, r, forever)
			time.AfterFunc(time.Second, func() {
				if _, err := r.Attach(t.Context(), k.ID, run.IO{}); !fault.Is(err, fault.Conflict) {
					t.Errorf("two are attached: %v", err)
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Second, cancel)
			if _, err := r.Attach(ctx, k.ID, run.IO{}); !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v", err)
			}
			w.is(t, k.ID, task.Failed, -1, "whoever was attached left")
			w.nothingRuns(t)
		})
	})
	t.Run("leaves while it starts", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.driver.starting = func(ctx context.Context) { <-ctx.Done() }
			w.driver.FailNext("start", context.Canceled)
			r := w.up(t)
			k := w.begin(t, r, forever)
			leave(t, w, r, k.ID)
			if now, err := w.Task(t.Context(), k.ID); err != nil || now.State != task.Failed {
				t.Errorf("task is %s, %v", now.State, err)
			}
		})
	})
	t.Run("the control plane goes", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			// The connection of who is attached ends with the process, of which
			// nothing is left to write that down.
			k := w.begin(t, w.up(t), forever)
			_, err := w.UpdateTask(t.Context(), k.ID, func(k *task.Task, now time.Time) error {
				k.State, k.Started = task.Running, now
				return nil
			})
			must(t, err)
			w.up(t)
			w.is(t, k.ID, task.Failed, 0, "the connection to it was lost")
		})
	})
}

// A command of a release runs once, however often it is asked for.
func TestOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.up(t)
		in := task.New{Name: "release", Command: []string{"/forever"}, Release: w.release}
		var begun []task.Task
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := first.Once(ctx, w.Store, ada, w.release, in, func(k task.Task) { begun = append(begun, k) })
			ended <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		first.down()
		second := w.up(t)
		got := make(chan task.Task, 1)
		go func() {
			k, err := second.Once(t.Context(), w.Store, ada, w.release, in, func(k task.Task) { begun = append(begun, k) })
			if err != nil {
				t.Error(err)
			}
			got <- k
		}()
		synctest.Wait()
		if len(begun) != 2 || begun[0].ID != begun[1].ID {
			t.Fatalf("begun: %+v", begun)
		}
		w.driver.Exit(begun[0].Instance, 0)
		if k := <-got; k.State != task.Succeeded || k.Number != 1 {
			t.Errorf("task %d is %s", k.Number, k.State)
		}
	})
}

// A cancel is the end of an attached task too, and is told once.
func TestCancelWhileSomebodyIsAttached(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.up(t)
		k := w.begin(t, r, task.New{Command: []string{"/forever"}, Attach: true})
		left := make(chan error, 1)
		go func() {
			_, err := r.Attach(t.Context(), k.ID, run.IO{})
			left <- err
		}()
		synctest.Wait()
		_, err := r.Cancel(t.Context(), ada, k.ID)
		must(t, err)
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who was attached got %v", err)
		}
		w.is(t, k.ID, task.Canceled, 0, "canceled by ada")
		w.nothingRuns(t)
		if told := strings.Join(w.told(t), " "); told != "task.created task.canceled" {
			t.Errorf("events: %s", told)
		}
	})
}
