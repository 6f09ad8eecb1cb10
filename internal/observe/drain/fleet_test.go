package drain_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/backoff"
	"naru/internal/fault"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
)

// kept are drains and how far they are, as a store has them.
type kept struct {
	mu      sync.Mutex
	courses []drain.Course
	saves   int
	dead    bool // nothing is kept any more
}

func (k *kept) Courses(context.Context) ([]drain.Course, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.courses), nil
}

func (k *kept) KeepDrained(_ context.Context, states []drain.Kept) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return errors.New("killed")
	}
	k.saves++
	for _, s := range states {
		for i, c := range k.courses {
			if c.ID == s.Drain && c.Of == s.App {
				k.courses[i].State = s.State
			}
		}
	}
	return nil
}

func (k *kept) change(do func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	do()
}

// inbox is a receiver.
type inbox struct {
	mu     sync.Mutex
	texts  []string
	tries  int
	closed int
	fails  func() error // nil: it takes
}

func (b *inbox) Send(_ context.Context, from drain.Source, lines []logs.Line) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries++
	if b.fails != nil {
		if err := b.fails(); err != nil {
			return err
		}
	}
	for _, l := range lines {
		b.texts = append(b.texts, from.App+": "+l.Text)
	}
	return nil
}

func (b *inbox) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

func (b *inbox) got() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.texts)
}

// sea is a log, a fleet on it, and what it needs, in a bubble of synctest.
type sea struct {
	t     *testing.T
	book  *logs.Book
	store *kept
	box   *inbox
	told  []string
}

func newSea(t *testing.T, courses ...drain.Course) *sea {
	book, err := logs.Open(t.TempDir(), logs.Limits{Days: 3}, time.Now, slog.New(slog.DiscardHandler))
	must(t, err)
	return &sea{t: t, book: book, store: &kept{courses: courses}, box: &inbox{}}
}

// sail runs a fleet; stop ends it.
func (s *sea) sail() (fleet *drain.Fleet, stop func()) {
	fleet = drain.NewFleet(drain.FleetParts{
		Store: s.store, Book: s.book, Open: func(context.Context, drain.Declared) (drain.Sender, error) { return s.box, nil },
		Tell: func(ctx context.Context, a app.ID, text string) error {
			s.told = append(s.told, text)
			return s.book.Append(ctx, []logs.Line{{Time: time.Now(), App: a, Source: logs.Platform, Stream: "stderr", Text: text}}, nil)
		},
		Limits: drain.Limits{Lines: 10, Bytes: 1 << 20, Retry: backoff.Policy{First: time.Second, Max: 30 * time.Second}},
		Clock:  time.Now, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error)
	go func() { done <- fleet.Run(ctx) }()
	return fleet, func() {
		cancel()
		must(s.t, <-done)
	}
}

func (s *sea) say(a app.ID, texts ...string) {
	for _, text := range texts {
		must(s.t, s.book.Append(s.t.Context(), []logs.Line{{Time: time.Now(), App: a, Source: logs.App, Stream: "stdout", Text: text}}, nil))
	}
}

func of(d drain.ID, a app.ID) drain.Course {
	return drain.Course{Declared: drain.Declared{ID: d, Name: string(d)}, Of: a, From: drain.Source{App: string(a)}, State: begin()}
}

// TestAnHourWithoutReceiver: each line said meanwhile arrives once, in its order,
// and the app's log says what was.
func TestAnHourWithoutReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSea(t, of("d", "shop"))
		defer func() { must(t, s.book.Close()) }()
		down := time.Now().Add(time.Minute)
		s.box.fails = func() error {
			if now := time.Now(); now.After(down) && now.Before(down.Add(time.Hour)) {
				return errors.New("connection refused")
			}
			return nil
		}
		fleet, stop := s.sail()
		var want []string
		for n := range 400 { // ten seconds each
			s.say("shop", fmt.Sprint("line ", n))
			want = append(want, fmt.Sprint("shop: line ", n))
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if n == 100 {
				if at := fleet.States("d")["shop"]; at.Failing.IsZero() || at.Error != "connection refused" || at.Dropped != 0 || at.Sent > 8 {
					t.Errorf("in the middle: %+v", at)
				}
			}
		}
		stop()
		var got, notices []string
		for _, text := range s.box.got() {
			if strings.Contains(text, "log drain d") {
				notices = append(notices, text)
			} else {
				got = append(got, text)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d lines arrived of %d: %q", len(got), len(want), got)
		}
		if len(notices) != 2 || !strings.Contains(notices[0], "does not get through since 2000-01-01T00:0") || !strings.Contains(notices[0], "connection refused") || !strings.Contains(notices[1], "again") {
			t.Errorf("told %q", notices)
		}
		if s.box.tries > 400+150+10 {
			t.Errorf("%d tries", s.box.tries)
		}
		if at := s.store.courses[0].State; at.Sent != 402 || at.Dropped != 0 || !at.Failing.IsZero() || at.Error != "" {
			t.Errorf("kept %+v", at)
		}
	})
}

// TestKilled has a fleet that keeps nothing from some time on, as if it had been
// killed: the next one repeats what was not kept, and leaves out nothing.
func TestKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSea(t, of("d", "shop"))
		defer func() { must(t, s.book.Close()) }()
		_, stop := s.sail()
		s.say("shop", "one", "two")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		s.store.change(func() { s.store.dead = true })
		s.say("shop", "three", "four")
		time.Sleep(3 * time.Second)
		stop()
		s.store.change(func() { s.store.dead = false })
		s.say("shop", "five")
		_, stop = s.sail()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		stop()
		if got, want := strings.Join(s.box.got(), " "), "shop: one shop: two shop: three shop: four shop: three shop: four shop: five"; got != want {
			t.Errorf("got %s", got)
		}
		if s.store.courses[0].State.Cursor.ID != 5 || s.box.closed != 2 {
			t.Errorf("kept %+v, closed %d times", s.store.courses[0].State, s.box.closed)
		}
	})
}

// TestRefusalsAreToldOnce has a receiver that refuses everything for good,
// so also what the log says about it.
func TestRefusalsAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSea(t, of("d", "shop"))
		defer func() { must(t, s.book.Close()) }()
		s.box.fails = func() error { return fault.New(fault.Invalid, "", "the receiver refused the lines: 400") }
		_, stop := s.sail()
		s.say("shop", "a", "b", "c")
		time.Sleep(time.Hour)
		synctest.Wait()
		s.say("shop", "d")
		time.Sleep(time.Hour)
		stop()
		if len(s.told) != 2 || !strings.Contains(s.told[0], "3 lines were left out (the receiver refused the lines: 400)") || !strings.Contains(s.told[1], " 1 lines") {
			t.Errorf("told %q", s.told)
		}
		if at := s.store.courses[0].State; at.Dropped != 6 || at.Sent != 0 { // and the two that were told
			t.Errorf("kept %+v", at)
		}
	})
}

// TestDrainsComeAndGo: of a space whose apps change, and one that is deleted.
func TestDrainsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSea(t, of("d", "shop"))
		defer func() { must(t, s.book.Close()) }()
		fleet, stop := s.sail()
		pause := func() {
			time.Sleep(6 * time.Second)
			synctest.Wait()
		}
		s.say("shop", "1")
		pause()
		later := of("d", "later")
		later.State = drain.State{} // nothing was kept of it
		s.say("later", "the first")
		s.store.change(func() { s.store.courses = append(s.store.courses, later) })
		pause()
		s.store.change(func() { s.store.courses[0].From.App = "renamed" })
		pause()
		s.say("shop", "2")
		pause()
		s.store.change(func() { s.store.courses = s.store.courses[1:] })
		fleet.Wake()
		pause()
		s.say("shop", "3")
		s.say("later", "4")
		pause()
		if len(fleet.States("d")) != 1 {
			t.Errorf("states are %v", fleet.States("d"))
		}
		s.store.change(func() { s.store.courses = nil })
		pause()
		s.say("later", "5")
		pause()
		stop()
		if got, want := strings.Join(s.box.got(), " "), "shop: 1 later: the first renamed: 2 later: 4"; got != want || s.box.closed != 1 {
			t.Errorf("got %s, closed %d times", got, s.box.closed)
		}
	})
}

// TestALogThatBeginsAgain has a cursor of a log that is lost: what comes is not
// waited for until it has as many lines.
func TestALogThatBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := of("d", "shop")
		c.State.Cursor = logs.Cursor{Day: 20991231, ID: 1000}
		s := newSea(t, c)
		defer func() { must(t, s.book.Close()) }()
		s.say("shop", "before")
		_, stop := s.sail()
		time.Sleep(time.Second)
		synctest.Wait()
		s.say("shop", "after")
		time.Sleep(2 * time.Second)
		stop()
		if got := s.box.got(); !slices.Equal(got, []string{"shop: after"}) {
			t.Errorf("got %q", got)
		}
	})
}
