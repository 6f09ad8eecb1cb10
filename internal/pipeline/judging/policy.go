package judging

import (
	"context"
	"fmt"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge"
	"naru/internal/pipeline/rollout"
)

// decide says what a rollout does about a verdict: what is proven counts at once,
// and what is not known when its time is over is the policy's.
func decide(ro rollout.Rollout, v judge.Verdict, now time.Time) Act {
	switch v.Outcome {
	case judge.Pass:
		return Passed
	case judge.Fail:
		return WentBack
	}
	how := ro.Spec.Judge.Filled()
	longest := how.Longest
	if how.Unsure == app.UnsureWait {
		longest = app.MaxJudging
	}
	switch {
	case now.Sub(ro.Reached) < longest.Std():
		return ""
	case how.Unsure == app.UnsurePromote:
		return WentOn
	}
	return Asked
}

// remark is what was last said of a step, so that people do not hear every block.
type remark struct {
	step int
	text string
	next time.Time
	gap  time.Duration
}

// Judge says whether the present step of a rollout may be left.
func (w *Watcher) Judge(ctx context.Context, ro rollout.Rollout) (rollout.Verdict, error) {
	g, err := w.store.Verdict(ctx, ro.ID, ro.Step)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return rollout.Verdict{}, err
	}
	why := g.Verdict.Why()
	switch g.Act {
	case Passed:
		return rollout.Verdict{Outcome: rollout.Pass, Reason: "is judged as good as before: " + why}, nil
	case WentBack:
		return rollout.Verdict{Outcome: rollout.Fail, Reason: why}, nil
	case WentOn:
		return rollout.Verdict{Outcome: rollout.Pass, Reason: fmt.Sprintf("goes on unsure after %s, as its policy says: %s", ro.Spec.Judge.Filled().Longest, why)}, nil
	case Asked:
		return rollout.Verdict{Outcome: rollout.Ask, Reason: why}, nil
	}
	return rollout.Verdict{Reason: w.remark(ro, g, time.Now())}, nil
}

// remark says how a comparison gets on, less and less often.
func (w *Watcher) remark(ro rollout.Rollout, g Given, now time.Time) string {
	text := "is compared with what ran before"
	w.mu.Lock()
	defer w.mu.Unlock()
	r, there := w.said[ro.ID]
	if !there || r.step != ro.Step {
		r = remark{step: ro.Step, text: text, gap: time.Minute, next: now.Add(time.Minute)}
	} else if now.After(r.next) && g.Blocks > 0 {
		r.text, r.gap = text+": "+g.Verdict.Why(), 2*r.gap
		r.next = now.Add(r.gap)
	}
	w.said[ro.ID] = r
	return r.text
}

// forget lets go of what is not judged any more; it reports whether a trial was.
func (w *Watcher) forget(judged map[rollout.ID]bool) (over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.trials {
		if !judged[id] {
			delete(w.trials, id)
			over = true
		}
	}
	for id := range w.said {
		if !judged[id] {
			delete(w.said, id)
		}
	}
	return over
}
