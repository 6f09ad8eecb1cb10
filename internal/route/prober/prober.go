// Package prober asks instances how they are, again and again, and keeps count of
// what they answer.
package prober

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// Target is an instance that is asked. Two that are == are the same.
type Target interface {
	// Ask asks once; the error is what is wrong with the answer.
	Ask(ctx context.Context, p route.Probe) error
	// Unwell is told of a question that is answered badly from now on (1), or not any
	// more (-1). It must not call the prober.
	Unwell(more int32)
	// Instance says who it is.
	Instance() route.Instance
}

// Question is what an instance is asked about itself. Routes that ask the same of
// it share one.
type Question struct {
	Of    Target
	Probe route.Probe // with its defaults
}

// QuestionOf completes what a route says with the defaults that route.Probe names.
func QuestionOf(t Target, p route.Probe) Question {
	p.Every = cmp.Or(p.Every, app.Duration(10*time.Second))
	p.Timeout = cmp.Or(p.Timeout, app.Duration(2*time.Second))
	p.Fails = cmp.Or(p.Fails, 3)
	p.Passes = cmp.Or(p.Passes, 2)
	return Question{t, p}
}

// asked is a question that is asked again and again. It is guarded by the
// prober's lock.
type asked struct {
	Question
	due     time.Time
	place   int // among those that wait
	fails   int // in a row
	passes  int // in a row
	unwell  bool
	stopped bool
	course  course
}

// Prober asks instances how they are.
type Prober struct {
	Told func() // is called after each answer; set before Run

	tell  func(route.Ejection)
	slots chan struct{} // one for each question on its way
	wake  chan struct{}

	mu  sync.Mutex // guards what follows
	all map[Question]*asked
	due queue
}

// Bounds of asking.
const (
	atOnce      = 64
	spread      = 0.1             // how far from its time a question is asked, as a share of the time between
	firstWithin = 2 * time.Second // of when it is wanted
)

// New makes one that asks nothing yet. tell hears of instances that become unwell,
// and well again; it must not call the prober.
func New(tell func(route.Ejection)) *Prober {
	return &Prober{Told: func() {}, tell: tell, slots: make(chan struct{}, atOnce), wake: make(chan struct{}, 1), all: map[Question]*asked{}}
}

// Want makes these the questions that are asked. An instance counts as well until
// it fails; one that is not asked any more is left alone.
func (p *Prober) Want(questions map[Question]struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(questions) == 0 && len(p.all) == 0 {
		return
	}
	for q, one := range p.all {
		if _, ok := questions[q]; ok {
			continue
		}
		delete(p.all, q)
		one.stopped = true
		if one.unwell {
			q.Of.Unwell(-1)
		}
		if one.place >= 0 {
			heap.Remove(&p.due, one.place)
		}
	}
	for q := range questions {
		if p.all[q] == nil {
			one := &asked{Question: q, due: time.Now().Add(rand.N(min(q.Probe.Every.Std(), firstWithin)))}
			p.all[q] = one
			heap.Push(&p.due, one)
		}
	}
	p.nudge()
}

func (p *Prober) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run asks until ctx ends.
func (p *Prober) Run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		one, wait := p.next(time.Now())
		if one == nil {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			case <-p.wake:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case p.slots <- struct{}{}:
		}
		asking.Go(func() {
			defer func() { <-p.slots }()
			limit, cancel := context.WithTimeout(ctx, one.Probe.Timeout.Std())
			defer cancel()
			at := time.Now()
			err := one.Of.Ask(limit, one.Probe)
			if ctx.Err() == nil {
				p.heard(one, at, err)
				p.Told()
			}
		})
	}
}

// next takes the question that is due, or tells how long nobody's turn comes.
func (p *Prober) next(now time.Time) (*asked, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) == 0 {
		return nil, time.Hour
	}
	if wait := p.due[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	one, _ := heap.Pop(&p.due).(*asked)
	return one, 0
}

// heard takes an answer to what was asked at a time, and has the question asked
// again.
func (p *Prober) heard(one *asked, at time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one.stopped {
		return
	}
	every := one.Probe.Every.Std()
	one.due = time.Now().Add(every + time.Duration((2*rand.Float64()-1)*spread*float64(every)))
	heap.Push(&p.due, one)
	p.nudge()
	if err != nil {
		one.fails, one.passes = one.fails+1, 0
	} else {
		one.fails, one.passes = 0, one.passes+1
	}
	said := fmt.Sprintf("GET %s: %v", one.Probe.Path, err)
	one.course.add(at, time.Now(), one.fails, said)
	in := one.Of.Instance()
	e := route.Ejection{Time: time.Now(), Instance: in.ID, Address: in.Address}
	switch {
	case !one.unwell && one.fails >= one.Probe.Fails:
		one.unwell = true
		one.Of.Unwell(1)
		e.Reason = said
	case one.unwell && one.passes >= one.Probe.Passes:
		one.unwell = false
		one.Of.Unwell(-1)
		e.Back = true
	default:
		return
	}
	p.tell(e)
}
