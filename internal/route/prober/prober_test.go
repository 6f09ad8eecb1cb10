package prober

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// patient is an instance that answers as a test wants it to.
type patient struct {
	id     string
	answer func(context.Context) error

	ill    atomic.Bool
	asked  atomic.Int64
	unwell atomic.Int32
}

func (p *patient) Ask(ctx context.Context, _ route.Probe) error {
	p.asked.Add(1)
	if p.answer != nil {
		return p.answer(ctx)
	}
	if p.ill.Load() {
		return errors.New("status 500")
	}
	return nil
}

func (p *patient) Unwell(more int32)        { p.unwell.Add(more) }
func (p *patient) Instance() route.Instance { return route.Instance{ID: p.id, Address: "192.0.2.1:1"} }

// round is a prober at work, and what it told.
type round struct {
	*Prober
	mu   sync.Mutex
	said []string
}

// begin has a prober run in a bubble until stop is called.
func begin(t *testing.T) (r *round, stop func()) {
	r = &round{}
	r.Prober = New(func(e route.Ejection) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.said = append(r.said, fmt.Sprint(e.Instance, " ", e.Back, " ", e.Reason))
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	return r, func() {
		cancel()
		<-done
	}
}

// want has all of them asked the same.
func (r *round) want(p route.Probe, all ...*patient) (questions []Question) {
	set := map[Question]struct{}{}
	for _, one := range all {
		q := QuestionOf(one, p)
		set[q] = struct{}{}
		questions = append(questions, q)
	}
	r.Want(set)
	return questions
}

func TestWhoFailsSomeTimesInARowIsUnwell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, stop := begin(t)
		well, ill := &patient{id: "well"}, &patient{id: "ill"}
		ill.ill.Store(true)
		probe := route.Probe{Path: "/up", Every: app.Duration(10 * time.Second), Fails: 3, Passes: 2}
		r.want(probe, well, ill, ill)
		time.Sleep(12 * time.Second) // asked once or twice
		synctest.Wait()
		if ill.unwell.Load() != 0 {
			t.Error("it is unwell too early")
		}
		time.Sleep(23500 * time.Millisecond) // the fourth time came within 35 s, the fifth comes after 36 s
		synctest.Wait()
		if well.unwell.Load() != 0 || ill.unwell.Load() != 1 {
			t.Errorf("unwell: %d and %d, want 0 and 1", well.unwell.Load(), ill.unwell.Load())
		}
		if n := ill.asked.Load(); n != 4 {
			t.Errorf("asked %d times, want 4: the same question is asked once", n)
		}
		ill.ill.Store(false)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if ill.unwell.Load() != 0 {
			t.Error("it is not well again")
		}
		if want := []string{"ill false GET /up: status 500", "ill true "}; !slices.Equal(r.said, want) {
			t.Errorf("said %q, want %q", r.said, want)
		}
		stop()
	})
}

func TestWhoIsNotAskedAnyMoreIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, stop := begin(t)
		one := &patient{id: "one"}
		one.ill.Store(true)
		r.want(route.Probe{Path: "/up"}, one)
		time.Sleep(time.Minute)
		synctest.Wait()
		if one.unwell.Load() != 1 {
			t.Fatal("it is not unwell")
		}
		r.want(route.Probe{Path: "/up"})
		before := one.asked.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if one.unwell.Load() != 0 || one.asked.Load() != before {
			t.Errorf("unwell %d, asked %d times more", one.unwell.Load(), one.asked.Load()-before)
		}
		stop()
	})
}

func TestQuestionsAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, stop := begin(t)
		var now, most, all atomic.Int64
		slow := func(ctx context.Context) error {
			all.Add(1)
			n := now.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			<-ctx.Done()
			now.Add(-1)
			return ctx.Err()
		}
		var patients []*patient
		for range 500 {
			patients = append(patients, &patient{answer: slow})
		}
		r.want(route.Probe{Path: "/up"}, patients...)
		time.Sleep(time.Minute)
		stop()
		if most.Load() != atOnce {
			t.Errorf("%d at once, want %d", most.Load(), atOnce)
		}
		if n := all.Load(); n < 500 {
			t.Errorf("%d were asked in a minute", n)
		}
	})
}
