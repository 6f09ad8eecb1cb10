package operate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/run"
)

// ward is one app in the keeper's care. Its pass compares what is wanted with
// what there is and starts an act for each difference; an instance that lives
// has a tender of its own. Nobody works on one instance twice at once.
type ward struct {
	k     *Keeper
	app   app.ID
	woken chan struct{}
	acts  sync.WaitGroup

	mu      sync.Mutex // guards busy and tenders; never held across I/O
	busy    map[string]bool
	tenders map[run.InstanceID]*tender
	drains  map[run.InstanceID]drain
}

// drain is under way for an instance.
type drain struct {
	patience bool
	end      context.CancelCauseFunc
}

// tender is who starts an instance and watches over it until it is told to let
// go.
type tender struct {
	letGo context.CancelFunc
	gone  chan struct{}
}

func newWard(k *Keeper, a app.ID) *ward {
	return &ward{
		k: k, app: a, woken: make(chan struct{}, 1),
		busy: map[string]bool{}, tenders: map[run.InstanceID]*tender{}, drains: map[run.InstanceID]drain{},
	}
}

func (w *ward) wake() {
	select {
	case w.woken <- struct{}{}:
	default: // a pass is due anyway
	}
}

// run makes passes until ctx ends or the app has nothing left.
func (w *ward) run(ctx context.Context) {
	defer w.acts.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.woken:
		case <-timer.C:
		}
		due, empty, err := w.pass(ctx)
		if ctx.Err() != nil || empty {
			return
		}
		wait := time.Hour
		switch {
		case err != nil:
			w.k.log.ErrorContext(ctx, "look after app", "app", w.app, "error", err)
			wait = time.Second
		case !due.IsZero():
			wait = max(0, time.Until(due))
		}
		timer.Reset(wait)
	}
}

// pass looks at the app once: it returns when time alone will change something,
// and whether nothing of the app is left to look after.
func (w *ward) pass(ctx context.Context) (due time.Time, empty bool, err error) {
	groups, err := w.k.store.Groups(ctx, w.app)
	if err != nil {
		return due, false, err
	}
	have, err := w.k.store.Instances(ctx, w.app)
	if err != nil {
		return due, false, err
	}
	if len(groups) == 0 && len(have) == 0 && w.idle() {
		return due, true, nil
	}
	byID := map[run.GroupID]run.Group{}
	var want []run.Want
	for _, g := range groups {
		byID[g.ID] = g
		want = append(want, run.Want{Group: g.ID, Size: g.Size})
	}
	instances := map[run.InstanceID]run.Instance{}
	for _, i := range have {
		instances[i.ID] = i
	}
	now := time.Now().UTC()
	var starts []run.Change
	for _, c := range w.k.opts.Policy.Plan(want, have, now) {
		if c.Act == run.Start {
			starts = append(starts, c)
			continue
		}
		// Only where visitors find the app elsewhere are streams worth a wait.
		g := byID[c.Group]
		w.act(ctx, c, g, instances[c.Instance], run.GoesOn(groups, g.Process))
	}
	w.add(ctx, starts)
	for _, i := range have {
		if i.State.Live() {
			w.tend(ctx, byID[i.Group], i)
		}
	}
	return w.k.opts.Policy.Due(have, now), false, nil
}

func (w *ward) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.busy) == 0 && len(w.tenders) == 0
}

// act carries out a change in the background, unless that is under way. A drain
// that is under way with another patience begins anew.
func (w *ward) act(ctx context.Context, c run.Change, g run.Group, i run.Instance, patience bool) {
	key := string(c.Instance)
	if !w.begin(key) {
		if c.Act == run.Drain {
			w.reconsider(c.Instance, patience)
		}
		return
	}
	ctx, end := context.WithCancelCause(ctx)
	if c.Act == run.Drain {
		w.mu.Lock()
		w.drains[c.Instance] = drain{patience, end}
		w.mu.Unlock()
	}
	w.acts.Go(func() {
		defer w.wake()
		defer w.end(key)
		defer end(nil)
		w.release(c.Instance)
		err := w.do(ctx, c, g, i, patience)
		switch {
		case err == nil || ctx.Err() != nil:
		case fault.Is(err, fault.Conflict): // it moved on since the pass looked
			pause(ctx, 20*time.Millisecond)
		default:
			w.k.log.ErrorContext(ctx, "change instance", "app", w.app, "act", c.Act, "group", g.Name,
				"index", c.Index, "instance", c.Instance, "error", err)
			pause(ctx, time.Second) // the next pass tries again, a little later
		}
	})
}

// add stores the intent to start what is missing, all of a pass in one
// transaction; the next pass gives each a tender. They are Starting from the
// first: their tenders would only commit that once more each.
func (w *ward) add(ctx context.Context, starts []run.Change) {
	var missing []run.Instance
	var slots []string
	now := time.Now().UTC()
	for _, c := range starts {
		key := slot(c.Group, c.Index)
		if !w.begin(key) {
			continue
		}
		slots = append(slots, key)
		missing = append(missing, run.Instance{
			ID: run.InstanceID(id.New()), Group: c.Group, Index: c.Index, State: run.Starting, Created: now, Since: now,
		})
	}
	if len(missing) == 0 {
		return
	}
	w.acts.Go(func() {
		defer w.wake()
		defer func() {
			for _, key := range slots {
				w.end(key)
			}
		}()
		err := w.k.store.AddInstances(ctx, missing...)
		switch {
		case err == nil || ctx.Err() != nil:
		case fault.Is(err, fault.Conflict): // one was started since the pass looked
			pause(ctx, 20*time.Millisecond)
		default:
			w.k.log.ErrorContext(ctx, "add instances", "app", w.app, "instances", len(missing), "error", err)
			pause(ctx, time.Second) // the next pass tries again, a little later
		}
	})
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (w *ward) do(ctx context.Context, c run.Change, g run.Group, i run.Instance, patience bool) error {
	if i.ID != "" {
		// Its tender may have moved it before letting go; then the next pass plans anew.
		have, err := w.k.store.Instance(ctx, i.ID)
		if fault.Is(err, fault.NotFound) {
			return nil // it went with its group
		}
		if err != nil {
			return err
		}
		if have.State != i.State || have.Drained != i.Drained {
			return nil
		}
	}
	switch c.Act {
	case run.Restart:
		again := i.Again(run.InstanceID(id.New()), time.Now().UTC())
		again.State = run.Starting
		return w.k.store.ReplaceInstance(ctx, i.ID, again)
	case run.Drain:
		return w.k.drain(ctx, i, patience)
	case run.Stop:
		return w.k.stop(ctx, g, i)
	case run.Forget:
		return w.k.forget(ctx, i)
	}
	return nil
}

// tend gives a live instance a tender, unless it has one or something else is
// done to it.
func (w *ward) tend(ctx context.Context, g run.Group, i run.Instance) {
	tctx, letGo := context.WithCancel(ctx)
	t := &tender{letGo: letGo, gone: make(chan struct{})}
	w.mu.Lock()
	if w.busy[string(i.ID)] || w.tenders[i.ID] != nil {
		w.mu.Unlock()
		letGo()
		return
	}
	w.tenders[i.ID] = t
	w.mu.Unlock()
	w.acts.Go(func() {
		defer w.wake()
		defer func() {
			letGo()
			w.mu.Lock()
			delete(w.tenders, i.ID)
			w.mu.Unlock()
			close(t.gone)
		}()
		if err := w.k.tend(tctx, g, i); err != nil && tctx.Err() == nil {
			w.k.log.ErrorContext(ctx, "tend instance", "app", w.app, "group", g.Name, "instance", i.ID, "error", err)
			pause(tctx, time.Second)
		}
	})
}

// release waits until an instance's tender has let go of it.
func (w *ward) release(i run.InstanceID) {
	w.mu.Lock()
	t := w.tenders[i]
	w.mu.Unlock()
	if t != nil {
		t.letGo()
		<-t.gone
	}
}

func (w *ward) begin(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[key] {
		return false
	}
	w.busy[key] = true
	return true
}

func (w *ward) end(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, key)
	delete(w.drains, run.InstanceID(key))
}

// reconsider ends a drain whose patience is another now; the next pass begins it
// anew.
func (w *ward) reconsider(i run.InstanceID, patience bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d, ok := w.drains[i]; ok && d.patience != patience {
		d.end(errChanged)
	}
}

func slot(g run.GroupID, index int) string { return fmt.Sprintf("%s#%d", g, index) }
