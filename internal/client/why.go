package client

import (
	"context"
	"net/url"
	"time"
)

// Why is why an app is in the state it is in.
type Why struct {
	App       string   `json:"app"`
	State     string   `json:"state" enum:"empty,rollout,stuck,stopped,crashing,unwell,failing,went back,frozen,well"`
	Sentences []string `json:"sentences" doc:"one to three, what matters most first"`
	Try       []string `json:"try" doc:"the next commands"`
	Rollout   string   `json:"rollout,omitempty" doc:"id of the newest rollout"`
}

// Timeline is what was changed about an app in a time, and how it did meanwhile.
type Timeline struct {
	App      string    `json:"app"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Sentence string    `json:"sentence" doc:"the most suspicious change"`
	Suspect  string    `json:"suspect,omitempty" doc:"mark of that change; absent: none is"`
	Span     Duration  `json:"span" doc:"how long before and after each change is looked at"`
	All      Figures   `json:"all" doc:"the whole time"`
	Changes  []Change  `json:"changes" doc:"in the order of time"`
	Step     Duration  `json:"step" doc:"length of a point of the course"`
	Course   []Figures `json:"course" doc:"one after the other, from from"`
	Notes    []string  `json:"notes,omitempty" doc:"what one has to know to read it"`
}

// Change is one thing that happened.
type Change struct {
	Mark   string    `json:"mark" doc:"names it in this answer: A, B, ..."`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until,omitzero" doc:"absent: it has no length, or goes on"`
	Kind   string    `json:"kind" enum:"release,config,scale,restart,route,maintenance,back,trip,verdict,crash,incident,budget"`
	Actor  string    `json:"actor"`
	Text   string    `json:"text"`
	End    string    `json:"end,omitempty" doc:"how it ended"`
	Before Figures   `json:"before"`
	After  Figures   `json:"after"`
	Worse  float64   `json:"worse,omitempty" doc:"how much speaks for it having made the app worse, about in standard deviations"`
	Why    string    `json:"why,omitempty" doc:"what became worse"`
}

// Figures are what came of an app's requests in a time.
type Figures struct {
	Requests float64  `json:"requests"`
	PerSec   float64  `json:"requests_per_second"`
	Errors   *float64 `json:"errors,omitempty" doc:"share answered with 5xx; absent: there was no request"`
	P50      *float64 `json:"p50_seconds,omitempty"`
	P99      *float64 `json:"p99_seconds,omitempty"`
}

// Why asks why the app is in the state it is in.
func (a *InApp) Why(ctx context.Context) (w Why, err error) {
	err = a.c.get(ctx, a.path+"/why", nil, &w)
	return w, err
}

// Changes asks what was changed about the app; since is a time such as 24h or 7d,
// "": the server's default.
func (a *InApp) Changes(ctx context.Context, since string) (t Timeline, err error) {
	v := url.Values{}
	set(v, "since", since)
	err = a.c.get(ctx, a.path+"/changes", v, &t)
	return t, err
}
