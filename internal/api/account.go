package api

import (
	"context"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/account"
)

// Accounts tells what happened to apps and why.
type Accounts interface {
	// Why says why an app is in the state it is in; lines may be nil where who asks
	// may not read what the app says.
	Why(ctx context.Context, a app.App, lines account.Lines) (account.Answer, error)
	WhatChanged(ctx context.Context, a app.App, since time.Duration) (account.Timeline, error)
}

func (s *server) why(ctx context.Context, _ *nothing) (client.Why, error) {
	here := at(ctx)
	var lines account.Lines
	if auth.Can(requestOf(ctx).who, auth.LogRead, here.org.ID, here.space.ID) {
		lines = s.Logs
	}
	got, err := s.Accounts.Why(ctx, here.app, lines)
	return client.Why{App: here.app.Name, State: string(got.State), Sentences: got.Sentences, Try: got.Try, Rollout: string(got.Rollout)}, err
}

type sinceInput struct {
	Since string `query:"since" maxLength:"20" doc:"how far back: 30m, 24h, 7d"`
}

// since reads how far back somebody wants to look.
func (in sinceInput) since(otherwise time.Duration) (time.Duration, error) {
	if in.Since == "" {
		return otherwise, nil
	}
	d, err := app.ParseDays(in.Since)
	if err != nil {
		return 0, fault.New(fault.Invalid, "since", "%s", err).WithTry("--since 24h")
	}
	return d, nil
}

func (s *server) changes(ctx context.Context, in *sinceInput) (client.Timeline, error) {
	since, err := in.since(24 * time.Hour)
	if err != nil {
		return client.Timeline{}, err
	}
	got, err := s.Accounts.WhatChanged(ctx, at(ctx).app, since)
	if err != nil {
		return client.Timeline{}, err
	}
	return timelineOf(at(ctx).app.Name, got), nil
}

func timelineOf(name string, t account.Timeline) client.Timeline {
	out := client.Timeline{
		App: name, From: t.From, To: t.To, Sentence: t.Sentence, Span: client.Duration(t.Span), All: figuresOf(t.All),
		Step: client.Duration(t.Course.Step), Course: each(t.Course.Slots, figuresOf), Changes: []client.Change{}, Notes: t.Notes,
	}
	for i, c := range t.Changes {
		out.Changes = append(out.Changes, client.Change{
			Mark: mark(i), At: c.At, Until: c.Until, Kind: string(c.Kind), Actor: c.Actor, Text: c.Text, End: c.End,
			Before: figuresOf(c.Before), After: figuresOf(c.After), Worse: c.Worse, Why: c.Why,
		})
	}
	if t.Suspect >= 0 {
		out.Suspect = mark(t.Suspect)
	}
	return out
}

// mark names a change by its place: A to Z, then AA.
func mark(i int) string {
	if i >= 26 {
		return mark(i/26-1) + mark(i%26)
	}
	return string(rune('A' + i))
}

func figuresOf(t account.Traffic) client.Figures {
	out := client.Figures{Requests: t.Requests, PerSec: t.Rate()}
	if share, ok := t.Errors(); ok {
		out.Errors = &share
	}
	if took, ok := t.Quantile(0.5); ok {
		out.P50 = seconds(took)
	}
	if took, ok := t.Quantile(0.99); ok {
		out.P99 = seconds(took)
	}
	return out
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}
