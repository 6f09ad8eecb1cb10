package judging

import (
	"context"
	"fmt"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge"
	"naru/internal/pipeline/rollout"
	"naru/internal/route"
	"naru/internal/run"
)

// trial is a step that is being compared.
type trial struct {
	step     int
	app      app.App
	compared *judge.Comparison
	probes   []app.Probe
	own      *sampled // metrics of the app's own; nil without
	given    Given
	last     *look
	base     uint64    // requests of the canary, and copies, when the trial began
	first    time.Time // its first request after that was seen; zero: none
	warm     bool
}

// look is what both sides had done at one time.
type look struct{ canary, baseline reading }

// bounds of the gateways' histogram, in seconds.
var bounds = func() []float64 {
	out := make([]float64, len(route.LatencyBounds))
	for i, b := range route.LatencyBounds {
		out[i] = b.Seconds()
	}
	return out
}()

// look takes the next block of a rollout's step and says what is known then.
func (w *Watcher) look(ctx context.Context, ro rollout.Rollout, at time.Time) error {
	ctx, stop := context.WithTimeout(ctx, max(2*w.opts.Block, time.Second))
	defer stop()
	t := w.trial(ro.ID)
	if t == nil || t.step != ro.Step {
		var err error
		if t, err = w.begin(ctx, ro, at); err != nil {
			return err
		}
		w.keep(ro.ID, t)
	}
	if t.given.Act != "" {
		return nil
	}
	sides, err := w.sides(ctx, ro)
	if err != nil {
		return err
	}
	now, err := w.read(ctx, sides, at)
	if err != nil {
		return err
	}
	block := t.block(now, w.opts, share(ro))
	t.last = &now
	next := t.given
	next.At = at
	if block != nil {
		w.probe(ctx, t, now, block)
		t.compared.Add(*block)
		next.Blocks++
	}
	if t.own != nil && t.warm {
		if err := t.own.look(ctx, w.opts.Sampler, sides, at); err != nil {
			w.failed(ctx, "sample metrics for a verdict", ro.ID, err)
		}
	}
	next.Verdict = t.verdict(sides, at)
	next.Act = decide(ro, next.Verdict, at)
	if block == nil && next.Act == "" && t.given.Verdict.Outcome != "" {
		return nil // there is nothing new to say
	}
	// What cannot be kept has not been compared: a comparison goes on from what is
	// stored.
	if err := w.store.GiveVerdict(ctx, next, block); err != nil {
		w.keep(ro.ID, nil)
		return fmt.Errorf("keep a verdict: %w", err)
	}
	t.given = next
	return nil
}

// trial is that of a rollout; nil without.
func (w *Watcher) trial(id rollout.ID) *trial {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trials[id]
}

// keep keeps a rollout's trial; nil forgets it.
func (w *Watcher) keep(id rollout.ID, t *trial) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trials[id] = t; t == nil {
		delete(w.trials, id)
	}
}

// begin begins the comparison of a step, or goes on with one of which there are
// blocks.
func (w *Watcher) begin(ctx context.Context, ro rollout.Rollout, at time.Time) (*trial, error) {
	a, err := w.store.App(ctx, ro.App)
	if err != nil {
		return nil, err
	}
	t := &trial{step: ro.Step, app: a, given: Given{Rollout: ro.ID, Step: ro.Step, Began: at}}
	alpha := w.opts.Alpha / float64(max(1, ro.Spec.Judged()))
	if len(ro.Spec.Judge.Metrics) > 0 && w.opts.Sampler != nil {
		alpha /= 2 // what is sampled has the other half
		t.own = newSampled(ro.Spec.Judge.Metrics, alpha, w.opts.Sample)
	}
	metrics := judge.Defaults()
	if w.opts.Prober != nil {
		if t.probes, err = w.opts.Prober.Probes(ctx, ro.App); err != nil {
			return nil, err
		}
		if len(t.probes) > 0 {
			metrics = append(metrics, judge.OfProbes())
		}
	}
	if ro.Spec.Judge.Copies() {
		metrics = append(metrics, judge.OfCopies()...)
	}
	t.compared = judge.Compare(metrics, bounds, alpha)
	given, err := w.store.Verdict(ctx, ro.ID, ro.Step)
	switch {
	case fault.Is(err, fault.NotFound):
		return t, nil
	case err != nil:
		return nil, err
	}
	t.given = given
	if given.Act != "" {
		return t, nil
	}
	blocks, err := w.store.VerdictBlocks(ctx, ro.ID, ro.Step)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		t.compared.Add(b)
	}
	t.warm, t.given.Blocks = len(blocks) > 0, len(blocks)
	return t, nil
}

// block is what both sides did since the last look; nil where that says nothing,
// or the canary is cold.
func (t *trial) block(now look, opts Options, share float64) *judge.Block {
	requests := now.canary.counted.Requests() + now.canary.copies.Requests()
	if t.last == nil {
		t.base = requests
		return nil
	}
	if t.first.IsZero() && (requests > t.base || len(t.probes) > 0) {
		t.first = t.last.canary.at
	}
	if !t.warm {
		t.warm = !t.first.IsZero() && t.last.canary.at.Sub(t.first) >= opts.Cold
	}
	if !t.warm {
		return nil
	}
	canary, ok1 := between(t.last.canary, now.canary, opts.Block)
	baseline, ok2 := between(t.last.baseline, now.baseline, opts.Block)
	if !ok1 || !ok2 {
		return nil
	}
	return &judge.Block{Canary: canary, Baseline: baseline, Share: share}
}

// share is the part of both sides' requests that is meant for the canary.
func share(ro rollout.Rollout) float64 {
	weight := float64(ro.Weight())
	if beside := float64(ro.BesideWeight()); beside > 0 {
		return weight / (weight + beside)
	}
	return weight / 100
}

// sides are the groups that are compared.
type sides struct {
	app              app.App
	canary, baseline side
}

type side struct {
	groups  []run.Group
	release string // "v4"
}

// names of its groups.
func (s side) names() []string {
	out := make([]string, len(s.groups))
	for i, g := range s.groups {
		out[i] = g.Name
	}
	return out
}

// sides finds the groups with traffic: the new one, and what it is compared with.
func (w *Watcher) sides(ctx context.Context, ro rollout.Rollout) (out sides, err error) {
	if out.app, err = w.store.App(ctx, ro.App); err != nil {
		return out, err
	}
	groups, err := w.store.Groups(ctx, ro.App)
	if err != nil {
		return out, err
	}
	with := ro.Old
	if ro.BesideWeight() > 0 {
		with = ro.Beside
	}
	for _, g := range groups {
		switch {
		case g.Process != app.Web:
		case slices.Contains(ro.New, g.ID):
			out.canary.groups = append(out.canary.groups, g)
		case slices.Contains(with, g.ID) && g.Size > 0:
			out.baseline.groups = append(out.baseline.groups, g)
		}
	}
	for _, s := range []*side{&out.canary, &out.baseline} {
		if len(s.groups) == 0 {
			continue // scaled to nothing: there is nothing to compare, and time passes all the same
		}
		rel, err := w.store.Release(ctx, s.groups[0].Release)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return out, err
		}
		s.release = rel.Name()
	}
	return out, nil
}
