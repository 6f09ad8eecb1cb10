package gateway

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// stage is what a watched exchange or connection is waiting for.
type stage int64

const (
	working   stage = iota // nothing
	byTime                 // nothing: the watcher has ended the wait, which took too long
	byLeaving              // nothing: the watcher has ended the wait, the client has left
	byParking              // nothing: the watcher has ended the wait, the connection is to wait with less
	onIdle                 // a request to begin
	parked                 // the same, without a goroutine
	onClient               // bytes of the client's
	onHold                 // its turn: nothing is read or written meanwhile
	onAnswer               // an instance's answer
	onWrite                // the client to take what it is sent
	stages
)

// Tick is how often waits are looked at, so how late a deadline may strike. One
// look at all of them is cheaper than a timer moved with every request.
const tick = 250 * time.Millisecond

// watch is one wait at a time that must not last for ever.
type watch struct {
	state atomic.Int64             // when it is over, as now tells it (0: never), times stages plus the stage
	up    atomic.Pointer[upstream] // whose answer is waited for
	owner watched

	until atomic.Int64  // when each wait is over at the latest, as now tells it; 0: never
	why   stage         // of who waits: how a wait was ended; nothing is left to wait for then
	woken chan struct{} // ends a wait for a turn; made with the first one

	// Of the watcher alone:
	place  int
	before int64 // state at the last look
	looks  int   // for how long it has been that
	half   bool  // the client has ended its direction
}

// watched is who waits.
type watched interface {
	interrupt(s stage)       // makes its reads fail, and its writes too if it waits for more than the client's bytes
	left() (half, gone bool) // whether the client has ended its direction, or is gone
	silent() bool            // whether nothing of the client's waits to be read
}

// begin sets what is waited for and for how long; 0 is for ever.
func (w *watch) begin(s stage, now int64, limit time.Duration) {
	due := int64(0)
	if limit > 0 {
		due = now + limit.Milliseconds() + 1
	}
	if until := w.until.Load(); until != 0 && (due == 0 || due > until) {
		due = until
	}
	w.set(due*int64(stages) + int64(s))
}

// hold begins the wait for a turn, however long it takes. The channel tells when
// the watcher has ended it.
func (w *watch) hold() <-chan struct{} {
	if w.woken == nil {
		w.woken = make(chan struct{}, 1)
	}
	select {
	case <-w.woken: // of a wait that had ended by itself
	default:
	}
	w.begin(onHold, 0, 0)
	return w.woken
}

// rest ends the wait. It reports whether the watcher had not done so before.
func (w *watch) rest() bool {
	w.set(int64(working))
	return w.why == working
}

func (w *watch) set(state int64) {
	if old := stage(w.state.Swap(state) % int64(stages)); old >= byTime && old <= byParking {
		w.why = old
	}
}

// over reports whether the watcher has ended the wait.
func (w *watch) over() bool {
	s := stage(w.state.Load() % int64(stages))
	return s >= byTime && s <= byParking
}

// extend starts the present wait anew, if it is still of that stage and bounded.
func (w *watch) extend(s stage, now int64, limit time.Duration) {
	old := w.state.Load()
	if stage(old%int64(stages)) == s && old >= int64(stages) {
		due := now + limit.Milliseconds() + 1
		if until := w.until.Load(); until != 0 {
			due = min(due, until)
		}
		w.state.CompareAndSwap(old, due*int64(stages)+int64(s))
	}
}

// bound makes the present wait one of a stage and a limit, unless the watcher has
// ended it. It need not be the goroutine that waits.
func (w *watch) bound(s stage, now int64, limit time.Duration) {
	due := now + limit.Milliseconds() + 1
	for old := w.state.Load(); ; old = w.state.Load() {
		if is := stage(old % int64(stages)); is >= byTime && is <= byParking || w.state.CompareAndSwap(old, due*int64(stages)+int64(s)) {
			return
		}
	}
}

// watcher looks at all waits, tick by tick.
type watcher struct {
	clock atomic.Int64 // of the last look, as now tells it
	hurry atomic.Bool  // whose client has left is to end at once

	mu  sync.Mutex // guards what follows
	all []*watch
}

func (o *watcher) add(w *watch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w.place = len(o.all)
	o.all = append(o.all, w)
}

func (o *watcher) remove(w *watch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.place < 0 {
		return
	}
	last := len(o.all) - 1
	o.all[w.place], o.all[last].place = o.all[last], w.place
	o.all[last] = nil
	o.all = o.all[:last]
	w.place = -1
}

// now is the time of the last look, which is near enough for long waits.
func (o *watcher) now() int64 { return o.clock.Load() }

// run looks at the waits until ctx ends.
func (o *watcher) run(ctx context.Context, each func(now int64)) {
	o.clock.Store(now())
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t := now()
			o.clock.Store(t)
			o.look(t)
			each(t)
		}
	}
}

// askedAtOnce is how many waits are ended, or their connections looked at, before
// requests have their turn.
const askedAtOnce = 16

// look ends the waits that are over. Everything under the lock is short: what it
// calls never waits. Who comes to stand in the place of one that is removed
// meanwhile is looked at the next time.
func (o *watcher) look(now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, asked := 0, 0; i < len(o.all); i++ {
		if !o.all[i].look(now, o.hurry.Load()) {
			continue
		}
		if asked++; asked%askedAtOnce == 0 {
			o.mu.Unlock()
			runtime.Gosched()
			o.mu.Lock()
		}
	}
}

// look ends a wait that is over. It reports whether that, or finding out, took system
// calls.
func (w *watch) look(now int64, hurry bool) bool {
	state := w.state.Load()
	if stage(state%int64(stages)) < onIdle {
		return false
	}
	if due := state / int64(stages); due != 0 && now >= due {
		w.end(state, byTime)
		return true
	}
	if state != w.before {
		w.before, w.looks = state, 0
		return false
	}
	if w.looks++; hurry {
		w.looks, w.half = lookEvery, true
	}
	return w.ask(state)
}

// lookEvery is after how many ticks a wait asks whether its client is there.
const lookEvery = 4

// ask ends a wait whose client has left. A client that has only ended its own
// direction may still read: it gets its answer if that begins soon. It reports
// whether any was asked.
func (w *watch) ask(state int64) (asked bool) {
	s := stage(state % int64(stages))
	switch {
	case w.looks%lookEvery != 0 || s == onWrite || s == parked: // those find out by themselves
		return false
	case s == onIdle:
		if w.owner.silent() { // else it waits for us: we are late
			w.end(state, byParking)
		}
	default:
		half, gone := w.owner.left()
		if s == onClient && (half || gone) || gone || half && w.half {
			w.end(state, byLeaving)
		}
		w.half = half
	}
	return true
}

// end ends the wait if it is still the same.
func (w *watch) end(state int64, why stage) {
	up := w.up.Load() // before the wait is ended: afterwards it may be another's
	if !w.state.CompareAndSwap(state, int64(why)) {
		return
	}
	if stage(state%int64(stages)) == onHold {
		select {
		case w.woken <- struct{}{}:
		default:
		}
		return
	}
	if stage(state%int64(stages)) == onAnswer && up != nil {
		up.interrupt()
		return
	}
	w.owner.interrupt(stage(state % int64(stages)))
}
