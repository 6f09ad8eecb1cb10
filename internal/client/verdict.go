package client

import (
	"context"
	"time"
)

// Verdict is what a judge says of a canary, with its reasons.
type Verdict struct {
	Step     int             `json:"step" doc:"of the rollout, from 0"`
	Outcome  string          `json:"outcome" enum:"pass,fail,unsure"`
	Act      string          `json:"act,omitempty" enum:"passed,went_back,went_on,asked" doc:"what the rollout did about it; absent: it is still being compared"`
	Text     string          `json:"text" doc:"what decided, in one sentence"`
	Score    *float64        `json:"score,omitempty" doc:"0 to 100, where samples were scored"`
	Canary   string          `json:"canary,omitempty"`
	Baseline string          `json:"baseline,omitempty"`
	From     time.Time       `json:"from,omitzero"`
	To       time.Time       `json:"to,omitzero"`
	Blocks   int             `json:"blocks,omitempty" doc:"of five seconds, compared so far"`
	Alpha    float64         `json:"alpha,omitempty" doc:"rate of false alarms over all metrics and looks"`
	Reasons  []VerdictReason `json:"reasons,omitempty" doc:"what decided first; absent in lists"`
}

// VerdictReason is what one metric says.
type VerdictReason struct {
	Code     string        `json:"code" doc:"for programs, does not change: errors.worse, latency_p95.not_worse, cpu.unsure, queue.high"`
	Metric   string        `json:"metric"`
	State    string        `json:"state" enum:"worse,not_worse,unsure"`
	Text     string        `json:"text"`
	Canary   VerdictFigure `json:"canary"`
	Baseline VerdictFigure `json:"baseline"`
	Unit     string        `json:"unit"`
	P        float64       `json:"p,omitempty" doc:"how often, at most, a canary that is like its baseline ever looks as bad"`
	Visible  float64       `json:"visible,omitempty" doc:"times the baseline's figure that would have been found by now in half of all cases"`
	Needed   float64       `json:"needed,omitempty" doc:"canary requests, from the first, that it takes for what matters"`
	Matters  float64       `json:"matters,omitempty" doc:"times the baseline's figure that begins to matter"`
	Required bool          `json:"required,omitempty" doc:"the canary passes only when this is known to be harmless"`
	Links    []VerdictLink `json:"links,omitempty"`
}

// VerdictFigure is what a side did.
type VerdictFigure struct {
	Value float64 `json:"value"`
	Of    uint64  `json:"of,omitempty" doc:"requests, seconds, blocks or samples"`
	Bad   uint64  `json:"bad,omitempty" doc:"of them"`
}

// VerdictLink leads to what a reason was made of.
type VerdictLink struct {
	Rel    string `json:"rel" enum:"metrics,logs,traces,rollout"`
	Target string `json:"target" doc:"metrics: PromQL; rollout: its id"`
}

// Judging says how judged steps of a rollout come to their end, and what else
// canary and baseline are compared by.
type Judging struct {
	Unsure   string         `json:"unsure,omitempty" enum:"promote,ask,wait" doc:"what happens at a step that stays unsure: promote (go on), ask (pause for a person), wait (a day at most, then ask)"`
	Longest  *Duration      `json:"longest,omitempty" doc:"how long a step waits for a verdict before that"`
	Baseline string         `json:"baseline,omitempty" enum:"running,fresh" doc:"what a canary is compared with: what runs, or a group of the same release made with the canary and as large"`
	Mirror   *bool          `json:"mirror,omitempty" doc:"GET and HEAD change nothing in this app: copies of them may be sent to canary and baseline while a step is judged"`
	Metrics  []JudgedMetric `json:"metrics,omitempty" maxItems:"20" doc:"of the app's own, beside what naru measures itself"`
}

// JudgedMetric is a metric of an app's own.
type JudgedMetric struct {
	Name      string  `json:"name" maxLength:"63"`
	Query     string  `json:"query" maxLength:"4096" doc:"PromQL of one value; where it names neither $release nor $group, its series are those of the app and the side"`
	Direction string  `json:"direction,omitempty" enum:"up,down" doc:"which way is worse; absent: either"`
	Weight    float64 `json:"weight,omitempty" minimum:"0" maximum:"1000" doc:"of the score; absent: 1"`
	Critical  bool    `json:"critical,omitempty" doc:"it alone makes the score 0"`
	Effect    float64 `json:"effect,omitempty" doc:"times the baseline's mean that begins to matter; absent: any change that is proven"`
}

// JudgeRequest asks how two releases, or groups, compare over a time that is past.
type JudgeRequest struct {
	Canary       string         `json:"canary,omitempty" maxLength:"200" doc:"release (v4) or name of a group; absent: what the newest rollout brought"`
	Baseline     string         `json:"baseline,omitempty" maxLength:"200" doc:"the same; absent: what that rollout took the place of"`
	From         *time.Time     `json:"from,omitempty" doc:"absent: an hour before to; without both, while both had requests during their newest rollout"`
	To           *time.Time     `json:"to,omitempty" doc:"absent: now"`
	BaselineFrom *time.Time     `json:"baseline_from,omitempty" doc:"where the baseline's time is another one, as long; absent: from"`
	Metrics      []JudgedMetric `json:"metrics,omitempty" maxItems:"20" doc:"beside what naru measures itself, and what the app declares"`
	Only         bool           `json:"only,omitempty" doc:"judge by metrics alone"`
	Pass         float64        `json:"pass,omitempty" minimum:"0" maximum:"100" doc:"score from which it passes; absent: 90"`
	Marginal     float64        `json:"marginal,omitempty" minimum:"0" maximum:"100" doc:"score from which it is marginal, which is unsure; absent: 75"`
	Minimum      int            `json:"minimum,omitempty" minimum:"0" maximum:"1000" doc:"least samples of a side; absent: 10"`
	Correct      bool           `json:"correct,omitempty" doc:"all metrics together err no more often than one would"`
	Step         *Duration      `json:"step,omitempty" doc:"between two samples; absent: as the time and the interval of the metrics allow"`
}

// Verdicts lists what was said of the steps of a rollout; "current" is the newest.
func (a *InApp) Verdicts(ctx context.Context, rollout string) (List[Verdict], error) {
	return list[Verdict](ctx, a.c, join(a.path+"/rollouts", rollout)+"/verdicts", nil)
}

// Judge judges what is past.
func (a *InApp) Judge(ctx context.Context, q JudgeRequest) (v Verdict, err error) {
	err = a.c.post(ctx, a.path+"/judge", q, &v)
	return v, err
}
