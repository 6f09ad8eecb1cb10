package gateway

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// question is what an instance is asked about itself. Routes that ask the same
// of it share one.
type question struct {
	back  *backend
	probe route.Probe
}

// prober asks one question again and again. It is guarded by the lock of probers.
type prober struct {
	question
	due     time.Time
	place   int // among those that wait
	fails   int // in a row
	passes  int // in a row
	unwell  bool
	stopped bool
	course  course
}

// probers asks instances how they are.
type probers struct {
	reports *reports
	ask     func(context.Context, question) error
	told    func()        // is called after each answer
	slots   chan struct{} // one for each question on its way
	wake    chan struct{}

	mu  sync.Mutex // guards what follows
	all map[question]*prober
	due queue
}

// Bounds of probing.
const (
	probesAtOnce = 64
	probeBytes   = 64 << 10        // read of an answer's body, so that an app is not cut off in a short one
	probeSpread  = 0.1             // how far from its time a question is asked, as a share of the time between
	probeFirst   = 2 * time.Second // within which an instance is asked for the first time
)

func newProbers(r *reports) *probers {
	return &probers{reports: r, ask: newAsking(), told: func() {}, slots: make(chan struct{}, probesAtOnce), wake: make(chan struct{}, 1), all: map[question]*prober{}}
}

// questionOf completes what a route says.
func questionOf(b *backend, p route.Probe) question {
	or(&p.Every, app.Duration(10*time.Second))
	or(&p.Timeout, app.Duration(2*time.Second))
	or(&p.Fails, 3)
	or(&p.Passes, 2)
	return question{b, p}
}

// ask notes what a route wants to know of an instance.
func (v *view) ask(b *backend, p *policy) {
	if p == nil || p.spec.Health == nil {
		return
	}
	if v.asked == nil {
		v.asked = map[question]struct{}{}
	}
	v.asked[questionOf(b, *p.spec.Health)] = struct{}{}
}

// want makes these the questions that are asked. An instance counts as well until
// it fails; one that is not asked any more is left alone.
func (p *probers) want(questions map[question]struct{}) {
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
			q.back.fit.Unwell(-1)
		}
		if one.place >= 0 {
			heap.Remove(&p.due, one.place)
		}
	}
	for q := range questions {
		if p.all[q] == nil {
			one := &prober{question: q, due: time.Now().Add(rand.N(min(q.probe.Every.Std(), probeFirst)))}
			p.all[q] = one
			heap.Push(&p.due, one)
		}
	}
	p.nudge()
}

func (p *probers) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run asks until ctx ends.
func (p *probers) run(ctx context.Context) {
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
			limit, cancel := context.WithTimeout(ctx, one.probe.Timeout.Std())
			defer cancel()
			asked := time.Now()
			err := p.ask(limit, one.question)
			if ctx.Err() == nil {
				p.heard(one, asked, err)
				p.told()
			}
		})
	}
}

// next takes the question that is due, or tells how long nobody's turn comes.
func (p *probers) next(now time.Time) (*prober, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) == 0 {
		return nil, time.Hour
	}
	if wait := p.due[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	one, _ := heap.Pop(&p.due).(*prober)
	return one, 0
}

// heard takes an answer to what was asked at a time, and has the question asked
// again.
func (p *probers) heard(one *prober, asked time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one.stopped {
		return
	}
	every := one.probe.Every.Std()
	one.due = time.Now().Add(every + time.Duration((2*rand.Float64()-1)*probeSpread*float64(every)))
	heap.Push(&p.due, one)
	p.nudge()
	if err != nil {
		one.fails, one.passes = one.fails+1, 0
	} else {
		one.fails, one.passes = 0, one.passes+1
	}
	said := fmt.Sprintf("GET %s: %v", one.probe.Path, err)
	one.course.add(asked, time.Now(), one.fails, said)
	in := &one.back.instance
	e := route.Ejection{Time: time.Now(), Instance: in.ID, Address: in.Address}
	switch {
	case !one.unwell && one.fails >= one.probe.Fails:
		one.unwell = true
		one.back.fit.Unwell(1)
		e.Reason = said
	case one.unwell && one.passes >= one.probe.Passes:
		one.unwell = false
		one.back.fit.Unwell(-1)
		e.Back = true
	default:
		return
	}
	p.reports.ejected(e)
}

// newAsking asks over HTTP, with a connection for each question: what is asked is
// whether the instance takes new ones, too.
func newAsking() func(context.Context, question) error {
	client := &http.Client{
		Transport:     eitherOf(&http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: probeBytes}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, q question) error {
		ctx = q.back.spoken(ctx)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+q.back.instance.Address+q.probe.Path, nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "naru-gateway")
		res, err := client.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("no answer in %s", q.probe.Timeout)
			}
			if why := new(url.Error); errors.As(err, &why) {
				err = why.Err
			}
			return err
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.CopyN(io.Discard, res.Body, probeBytes)
		if res.StatusCode < 200 || res.StatusCode > 399 {
			return fmt.Errorf("status %d", res.StatusCode)
		}
		return nil
	}
}

// queue is probers by when they are due.
type queue []*prober

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push and Pop are heap's.
func (q *queue) Push(x any) {
	one, _ := x.(*prober)
	one.place = len(*q)
	*q = append(*q, one)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	one := (*q)[last]
	one.place = -1
	(*q)[last] = nil
	*q = (*q)[:last]
	return one
}
