package alarm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/judge/burn"
	"naru/internal/judge/objective"
	"naru/internal/operate/alarm"
	"naru/internal/operate/notify"
	"naru/internal/secret"
)

// world is a store, counts and a receiver, which outlive processes.
type world struct {
	t     *testing.T
	begin time.Time

	mu       sync.Mutex
	promises map[app.ID][]app.Promise
	homes    map[app.ID]alarm.Home
	alarms   []byte // as they are stored
	events   []event.Event
	book     []byte
	log      []notify.Delivery
	broken   error // of the store
	uncount  error // of the counts
	writes   int

	tally *objective.Tally
	good  float64
	total float64
	asked int // of counts

	got  []string // what arrived, and when
	text []string
	down bool
	jump time.Duration // of the clock
}

func newWorld(t *testing.T, all ...app.Objective) *world {
	w := &world{
		t: t, begin: time.Now(), tally: objective.NewTally(), promises: map[app.ID][]app.Promise{},
		homes: map[app.ID]alarm.Home{"shop-id": {Org: "default", Space: "dev", SpaceID: "dev-id", App: "shop"}},
	}
	for _, o := range all {
		w.promises["shop-id"] = append(w.promises["shop-id"], app.Promise{Objective: o, Since: w.begin.Add(-72 * time.Hour), Updated: w.begin})
	}
	// Three days in which all was well, as in any window of an app that is not new.
	for at := w.begin.Add(-72 * time.Hour); !at.After(w.begin); at = at.Add(5 * time.Minute) {
		w.count(at, 3000, 0)
	}
	return w
}

// count adds requests, of which a share is bad.
func (w *world) count(at time.Time, n, bad float64) {
	w.total += n
	w.good += n * (1 - bad)
	for id, all := range w.promises {
		for _, p := range all {
			if err := w.tally.Add(objective.SLI{App: id, Objective: p.Objective}, objective.Sample{At: at, Good: w.good, Total: w.total}); err != nil {
				w.t.Error(err)
			}
		}
	}
}

func profile() app.Objective {
	return app.Objective{Name: "profile", Kind: app.Availability, Target: 0.999}
}

func (w *world) AllPromises(context.Context) (map[app.ID][]app.Promise, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.promises, w.broken
}

func (w *world) Homes(context.Context) (map[app.ID]alarm.Home, error) { return w.homes, nil }

func (w *world) Alarms(context.Context) (out []alarm.Alarm, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.alarms) > 0 {
		err = json.Unmarshal(w.alarms, &out)
	}
	return out, err
}

func (w *world) SetAlarms(ctx context.Context, keep []alarm.Alarm, forget []alarm.Key, evs ...event.Event) error {
	have, err := w.Alarms(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	gone := func(a alarm.Alarm) bool {
		return slices.Contains(forget, a.Key) || slices.ContainsFunc(keep, func(k alarm.Alarm) bool { return k.Key == a.Key })
	}
	if w.alarms, err = json.Marshal(append(slices.DeleteFunc(have, gone), keep...)); err != nil {
		return err
	}
	w.events = append(w.events, evs...)
	w.writes++
	return nil
}

func (w *world) LastChange(_ context.Context, id app.ID, before time.Time) (string, error) {
	return fmt.Sprintf("release v4 of %s, before %s", id, before.Sub(w.begin)), nil
}

func (w *world) Save(_ context.Context, book []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.book = book
	}
	return w.broken
}

func (w *world) Delivered(_ context.Context, d notify.Delivery) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, d)
	return nil
}

func (w *world) Over(ctx context.Context, of objective.SLI, from, to time.Time) (objective.Count, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.uncount != nil {
		return objective.Count{}, w.uncount
	}
	return w.tally.Over(ctx, of, from.Add(-w.jump), to.Add(-w.jump))
}

func (w *world) Each(context.Context, objective.SLI, time.Time, time.Time, time.Duration) ([]objective.Count, error) {
	return nil, errors.New("no slices here")
}

// RoundTrip is the receiver.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var m struct {
		Alerts []struct {
			Status      string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	code := http.StatusOK
	if w.down {
		code = http.StatusBadGateway
	} else {
		line := time.Since(w.begin).Round(time.Second).String()
		for _, a := range m.Alerts {
			line += fmt.Sprintf(" %s %s/%s", a.Status, a.Labels["objective"], a.Labels["severity"])
			w.text = append(w.text, a.Annotations["summary"]+"\n"+a.Annotations["description"])
		}
		w.got = append(w.got, line)
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, nil
}

// traffic is 10 requests a second for a while, of which a share is bad.
func (w *world) traffic(d time.Duration, bad float64) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(9 * time.Second) // never at the moment of a look
		w.mu.Lock()
		w.count(time.Now(), 100, bad)
		w.mu.Unlock()
		time.Sleep(time.Second)
	}
}

// set changes the world while nobody looks.
func (w *world) set(f func()) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// process is one life of naru: it ends by being killed. Where a tick is given it is
// killed just before it looks so many times.
func (w *world) process(f func(a *alarm.Watcher)) {
	w.t.Helper()
	book, err := notify.ReadBook(w.book)
	if err != nil {
		w.t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	hook := notify.NewWebhook(notify.NewHTTPClient(w), secret.New("http://hooks.example.com/x"), secret.Secret{})
	timing := notify.DefaultTiming
	timing.Retry.Jitter = 0
	timing.Wait += time.Second // never at the moment of a look: either could be first
	c := notify.New(notify.Settings{
		Timing: timing, Receivers: map[string]notify.Sender{"team": hook}, Routes: []notify.Route{{Receivers: []string{"team"}, By: []string{"app"}}},
	}, book, w, quiet)
	a := alarm.New(w, w, c, w, alarm.Options{Interval: 15 * time.Second, Least: time.Minute, Clock: func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return time.Now().Round(0).Add(w.jump)
	}}, quiet)
	ctx, kill := context.WithCancel(w.t.Context())
	var done sync.WaitGroup
	for _, run := range []func(context.Context) error{c.Run, a.Run} {
		done.Go(func() {
			if err := run(ctx); err != nil {
				w.t.Error(err)
			}
		})
	}
	f(a)
	synctest.Wait()
	kill()
	done.Wait()
}

func (w *world) happened() []string {
	var out []string
	for _, e := range w.events {
		out = append(out, fmt.Sprintf("%s %s %s %s %s", e.Kind, e.Subject, e.Detail["objective"], e.Detail["severity"], e.Detail["rule"]))
	}
	return out
}

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// An outage: who is called, when, with what, and what is stored and recorded.
func TestAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, profile())
		w.process(func(a *alarm.Watcher) {
			w.traffic(5*time.Minute, 0)
			if w.writes != 0 {
				t.Errorf("%d writes while all was well", w.writes)
			}
			w.traffic(40*time.Minute, 0.2)
			synctest.Wait()
			all, looked := a.Alarms(func(alarm.Alarm) bool { return true })
			if len(all) != 4 || all[0].State != burn.Firing || all[0].Key.Rule != "page-quick" || time.Since(looked) > time.Minute {
				t.Errorf("known are %+v", all)
			}
			w.traffic(50*time.Minute, 0)
		})
		expect(t, "happened", w.happened(), []string{"alert.firing shop profile page page-quick", "alert.firing shop profile ticket ticket-quick", "alert.resolved shop profile page page-quick"})
		expect(t, "told", w.got, []string{"11m1s firing profile/page", "26m46s firing profile/page firing profile/ticket", "1h14m15s firing profile/ticket resolved profile/page"})
		for _, want := range []string{
			"profile of shop: 2 % of 36600 events in 1h were bad, and 20 % in 5m: the budget goes 19.67 times as fast as it may (alarm at 13.44)",
			"budget  97.3 % left (39.2 min of everything failing), target 99.9 %", "before  release v4 of shop-id, before 9m30s",
			"naru slo shop --org default --space dev", "naru why shop --org default --space dev",
		} {
			if !strings.Contains(w.text[0], want) {
				t.Errorf("%q is not in\n%s", want, w.text[0])
			}
		}
	})
}

// Killed before and after each look of an outage, nothing is told twice, nothing
// lost, and every event is there once.
func TestKilledAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, profile())
		w.process(func(*alarm.Watcher) { w.traffic(5*time.Minute, 0) })
		live := func(d time.Duration, bad float64) {
			for end := time.Now().Add(d); time.Now().Before(end); {
				w.process(func(*alarm.Watcher) { w.traffic(20*time.Second, bad) })
			}
		}
		live(40*time.Minute, 0.2)
		live(50*time.Minute, 0)
		expect(t, "happened", w.happened(), []string{"alert.firing shop profile page page-quick", "alert.firing shop profile ticket ticket-quick", "alert.resolved shop profile page page-quick"})
		var told []string
		for _, line := range w.got {
			_, what, _ := strings.Cut(line, " ")
			told = append(told, what)
		}
		expect(t, "told", told, []string{"firing profile/page", "firing profile/page firing profile/ticket", "firing profile/ticket resolved profile/page"})
	})
}

// What was stored and not told, because naru was killed in between, is told.
func TestKilledBetweenStoringAndTelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := alarm.Alarm{
			Key: alarm.Key{App: "shop-id", Objective: "profile", Rule: "page-quick"}, Home: w.homes["shop-id"], Severity: burn.Page,
			Alert: burn.Alert{State: burn.Firing, Since: w.begin, Started: w.begin, Reason: "it burns"}, Begun: w.begin, First: "page-quick",
		}
		if err := w.SetAlarms(t.Context(), []alarm.Alarm{a}, nil); err != nil {
			t.Fatal(err)
		}
		w.promises["shop-id"] = []app.Promise{{Objective: profile()}}
		w.process(func(*alarm.Watcher) { time.Sleep(time.Minute) })
		a.State, a.Since = burn.Resolved, time.Now()
		if err := w.SetAlarms(t.Context(), []alarm.Alarm{a}, nil); err != nil {
			t.Fatal(err)
		}
		w.process(func(*alarm.Watcher) { time.Sleep(6 * time.Minute) })
		expect(t, "told", w.got, []string{"31s firing profile/page", "5m31s resolved profile/page"})
	})
}

// An objective that is taken away, or its app, ends its alerts.
func TestTheObjectiveIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, profile())
		w.process(func(*alarm.Watcher) {
			w.traffic(5*time.Minute, 0)
			w.traffic(40*time.Minute, 0.2)
			w.set(func() { w.promises = map[app.ID][]app.Promise{} })
			time.Sleep(time.Hour)
		})
		expect(t, "happened", w.happened()[2:], []string{"alert.resolved shop profile page page-quick", "alert.resolved shop profile ticket ticket-quick"})
		expect(t, "told", w.got[1:], []string{"26m46s firing profile/page firing profile/ticket", "45m15s resolved profile/page resolved profile/ticket"})
		if all, err := w.Alarms(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("left are %+v, %v", all, err)
		}
	})
}

// Not to be able to look is not to be well: what fires goes on.
func TestCountsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, profile())
		w.process(func(a *alarm.Watcher) {
			w.traffic(5*time.Minute, 0)
			w.traffic(40*time.Minute, 0.2)
			w.set(func() { w.uncount = errors.New("the metrics are damaged") })
			w.traffic(time.Hour, 0)
			all, _ := a.Alarms(func(x alarm.Alarm) bool { return x.State == burn.Firing })
			if len(all) != 4 || all[0].Trouble != "count profile : the metrics are damaged" {
				t.Errorf("known are %+v", all)
			}
			w.set(func() { w.uncount = nil })
			w.traffic(time.Hour, 0)
		})
		expect(t, "happened", w.happened(), []string{"alert.firing shop profile page page-quick", "alert.firing shop profile ticket ticket-quick", "alert.resolved shop profile page page-quick"})
	})
}

// A store that cannot be written to holds everything up and loses nothing.
func TestTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, profile())
		w.process(func(*alarm.Watcher) {
			w.traffic(5*time.Minute, 0)
			w.set(func() { w.broken = errors.New("the disk is full") })
			w.traffic(40*time.Minute, 0.2)
			w.set(func() { w.broken = nil })
			w.traffic(40*time.Minute, 0.2)
		})
		expect(t, "happened", w.happened(), []string{"alert.firing shop profile page page-quick", "alert.firing shop profile ticket ticket-quick"})
		if len(w.got) != 1 || !strings.Contains(w.got[0], "firing profile/page") || !strings.Contains(w.got[0], "firing profile/ticket") {
			t.Errorf("told %v", w.got)
		}
	})
}

// A receiver that is away for an hour is told once what is so then, across a restart
// of naru.
func TestReceiverAwayForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, profile())
		w.down = true
		w.process(func(*alarm.Watcher) { w.traffic(5*time.Minute, 0); w.traffic(20*time.Minute, 0.2) })
		w.process(func(*alarm.Watcher) { w.traffic(40*time.Minute, 0.2) })
		w.down = false
		w.process(func(*alarm.Watcher) { w.traffic(40*time.Minute, 0.2) })
		if len(w.got) != 1 || !strings.HasSuffix(w.got[0], "firing profile/page firing profile/ticket") {
			t.Errorf("told %v", w.got)
		}
		tries := 0
		for i, d := range w.log {
			if d.Error == "" {
				break
			}
			tries++
			if wait := 6 * time.Minute; i > 0 && d.At.Sub(w.log[i-1].At) > wait {
				t.Errorf("try %d came %s after the one before", d.Try, d.At.Sub(w.log[i-1].At))
			}
		}
		if tries < 10 || tries > 25 || w.log[3].Try != 4 {
			t.Errorf("%d tries failed: %+v", tries, w.log)
		}
	})
}

// A clock that jumps ends no alert and begins none: what was lived counts.
func TestTheClockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"ahead": 1000 * time.Hour, "back": -1000 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, profile())
				w.process(func(a *alarm.Watcher) {
					w.traffic(5*time.Minute, 0)
					w.traffic(3*time.Minute, 0.2)
					w.set(func() { w.jump = jump })
					w.traffic(7*time.Minute, 0.2)
					w.traffic(50*time.Minute, 0)
				})
				expect(t, "happened", w.happened(), []string{"alert.firing shop profile page page-quick", "alert.resolved shop profile page page-quick"})
			})
		})
	}
}

// Written before the clock was set back, taken up after: it goes on.
func TestStoredInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, profile())
		w.jump = 1000 * time.Hour
		w.process(func(*alarm.Watcher) { w.traffic(5*time.Minute, 0); w.traffic(40*time.Minute, 0.2) })
		w.jump = 0
		w.process(func(*alarm.Watcher) { w.traffic(50*time.Minute, 0) })
		expect(t, "happened", w.happened(), []string{"alert.firing shop profile page page-quick", "alert.firing shop profile ticket ticket-quick", "alert.resolved shop profile page page-quick"})
		if got := w.got[len(w.got)-1]; !strings.HasSuffix(got, "resolved profile/page") {
			t.Errorf("told %v", w.got)
		}
	})
}

// Who is well costs next to nothing: the long windows are not read, and the slower
// short ones seldom.
func TestLookingAtWhatIsWellIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, profile())
		w.process(func(*alarm.Watcher) { w.traffic(time.Hour, 0) })
		looks := int(time.Hour / (15 * time.Second))
		if w.asked > 2*looks {
			t.Errorf("%d counts in %d looks, want at most two each", w.asked, looks)
		}
	})
}
