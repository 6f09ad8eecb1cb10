package client

import (
	"context"
	"time"
)

// Rollout is the replacement of what an app runs by a release.
type Rollout struct {
	ID        string        `json:"id"`
	Release   int           `json:"release" doc:"number of the release it brings"`
	From      int           `json:"from,omitempty" doc:"number of the release before; absent for the first"`
	Strategy  string        `json:"strategy" enum:"rolling,bluegreen,canary,rings,highlander,recreate"`
	State     string        `json:"state" enum:"preparing,releasing,shifting,paused,watching,done,aborting,rolledback,superseded,failed"`
	Steps     []string      `json:"steps,omitempty" doc:"shares of traffic before all of it"`
	Step      int           `json:"step" doc:"of steps, from 0; their number: all traffic"`
	Weight    int           `json:"weight" doc:"percent of traffic that the step is for"`
	Next      *time.Time    `json:"next,omitempty" doc:"when the step, or the watch, is over by itself"`
	Reason    string        `json:"reason,omitempty" doc:"why it went back, or waits for a person"`
	Trip      *RolloutTrip  `json:"trip,omitempty" doc:"what a gateway saw when it took the traffic away by itself"`
	Verdict   *Verdict      `json:"verdict,omitempty" doc:"what a judge said of the last judged step, or says so far"`
	Groups    []ServerGroup `json:"groups,omitempty" doc:"only while it is on its way"`
	Requests  *uint64       `json:"requests,omitempty" doc:"what the new groups have answered so far; only while it is on its way"`
	CreatedAt time.Time     `json:"created_at"`
	Since     time.Time     `json:"since" doc:"in this state since"`
	EndedAt   time.Time     `json:"ended_at,omitzero"`
}

// RolloutTrip is what a gateway saw.
type RolloutTrip struct {
	At      time.Time `json:"at"`
	Measure string    `json:"measure" enum:"errors,latency,health"`
	Group   string    `json:"group" doc:"id of the group that lost its traffic"`
	Text    string    `json:"text" doc:"what was measured and what is allowed"`
}

// Rollouts lists the app's rollouts, newest first.
func (a *InApp) Rollouts(ctx context.Context, p Page) (List[Rollout], error) {
	return list[Rollout](ctx, a.c, a.path+"/rollouts", p.query())
}

// Rollout returns a rollout by id; "current" is the newest.
func (a *InApp) Rollout(ctx context.Context, rollout string) (r Rollout, err error) {
	err = a.c.get(ctx, join(a.path+"/rollouts", rollout), nil, &r)
	return r, err
}

// Steer pauses, resumes, promotes or aborts a rollout; "current" is the newest.
func (a *InApp) Steer(ctx context.Context, rollout, action string) (r Rollout, err error) {
	err = a.c.post(ctx, join(a.path+"/rollouts", rollout)+"/"+action, nil, &r)
	return r, err
}
