package account

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/observe/metrics"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
)

// counted is a real store of metrics with what gateways counted of shop.
type counted struct {
	*metrics.Store
	t      *testing.T
	series map[string]*metrics.Series
	totals map[string]float64
}

func newCounted(t *testing.T, now time.Time) *counted {
	t.Helper()
	c := &counted{
		Store: metrics.New(metrics.Options{Dir: t.TempDir(), Now: func() time.Time { return now }}, slog.New(slog.DiscardHandler)),
		t:     t, series: map[string]*metrics.Series{}, totals: map[string]float64{},
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-c.Ready()
	return c
}

// round is what a group answered since the round before: fine and failed requests,
// all of them in the bucket of took.
func (c *counted) round(at time.Time, group string, fine, failed float64, took time.Duration) {
	c.t.Helper()
	var points []metrics.Point
	add := func(name string, n float64, more ...string) {
		key := name + group + strings.Join(more, " ")
		p := metrics.Point{}
		if c.series[key] == nil {
			c.series[key] = &metrics.Series{Labels: labels.FromStrings(append([]string{model.MetricNameLabel, name, "space_id", "space", "app", "shop", "group", group}, more...)...)}
			p.Born = at.Add(-15 * time.Second).UnixMilli()
		}
		c.totals[key] += n
		p.Series, p.Value = c.series[key], c.totals[key]
		points = append(points, p)
	}
	add("naru_gateway_requests_total", fine, "class", "2xx")
	add("naru_gateway_requests_total", failed, "class", "5xx")
	for i := range len(route.LatencyBounds) + 1 {
		le, n := "+Inf", fine+failed
		if i < len(route.LatencyBounds) {
			le = labels.FormatOpenMetricsFloat(route.LatencyBounds[i].Seconds())
			if took > route.LatencyBounds[i] {
				n = 0
			}
		}
		add("naru_gateway_request_duration_seconds_bucket", n, "le", le)
	}
	if _, err := c.Write(c.t.Context(), at, points); err != nil {
		c.t.Fatal(err)
	}
}

// shop began an hour ago with v1; at 11:30 v2 took over, with more errors and
// slower; at 11:50 it was scaled.
var shop = app.App{ID: "shop", Space: "space", Name: "shop"}

// past is a Store of what happened to shop.
type past struct {
	Store
	events   []event.Event
	rollouts []rollout.Rollout
	releases map[release.ID]release.Release
}

func (p past) EventsBefore(_ context.Context, _ app.SpaceID, _ app.ID, _ event.Kind, before int64, limit int) (out []event.Event, err error) {
	for i := len(p.events) - 1; i >= 0 && len(out) < limit; i-- {
		if before == 0 || p.events[i].Seq < before {
			out = append(out, p.events[i])
		}
	}
	return out, nil
}

func (p past) Rollouts(context.Context, app.ID, int) ([]rollout.Rollout, error) {
	return p.rollouts, nil
}

func (p past) Release(_ context.Context, id release.ID) (release.Release, error) {
	if r, ok := p.releases[id]; ok {
		return r, nil
	}
	return release.Release{}, fmt.Errorf("no release %s", id)
}

func TestWhatChangedEqualsHandComputation(t *testing.T) {
	c := newCounted(t, noon)
	half := noon.Add(-30 * time.Minute)
	for at := noon.Add(-time.Hour).Add(15 * time.Second); !at.After(noon); at = at.Add(15 * time.Second) {
		if !at.After(half) {
			c.round(at, "shop-v001", 149, 1, 30*time.Millisecond) // 10/s, 1 of 150 fails, up to 32 ms
			continue
		}
		c.round(at, "shop-v002", 270, 30, 250*time.Millisecond) // 20/s, 1 of 10 fails, up to 256 ms
	}
	p := past{
		events: []event.Event{
			{Seq: 1, Time: half, Kind: "rollout.started", Actor: "ada"},
			{Seq: 2, Time: noon.Add(-10 * time.Minute), Kind: "app.scaled", Actor: "eve", Subject: "shop", Detail: map[string]any{"web": 4.0}},
		},
		rollouts: []rollout.Rollout{{ID: "r2", Release: "2", From: "1", State: rollout.Done, Spec: app.Strategy{Kind: app.Rolling}, Created: half, Ended: half.Add(3 * time.Second)}},
		releases: map[release.ID]release.Release{"2": {ID: "2", Number: 2, Reason: "push", By: "ada"}},
	}
	line, err := New(p, c, 15*time.Second, nil, func() time.Time { return noon }).WhatChanged(t.Context(), shop, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if len(line.Changes) != 2 || line.Changes[0].Kind != Release || line.Changes[1].Kind != Scale || line.Span != 5*time.Minute {
		t.Fatalf("changes %+v, span %s", line.Changes, line.Span)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	rel, scale := line.Changes[0], line.Changes[1]
	// 5 minutes before: 20 rounds of 150 with 1 failed; after: 20 of 300 with 30.
	near("requests before", rel.Before.Requests, 3000)
	near("failed before", rel.Before.Failed, 20)
	near("rate before", rel.Before.Rate(), 10)
	near("requests after", rel.After.Requests, 6000)
	near("failed after", rel.After.Failed, 600)
	near("rate after", rel.After.Rate(), 20)
	for _, q := range []struct {
		of   Traffic
		q    float64
		want time.Duration
	}{
		// All of them lie between two bounds: 16 and 32 ms, then 128 and 256 ms.
		{rel.Before, 0.5, 24 * time.Millisecond}, {rel.Before, 0.99, 31840 * time.Microsecond},
		{rel.After, 0.5, 192 * time.Millisecond}, {rel.After, 0.99, 254720 * time.Microsecond},
	} {
		if got, ok := q.of.Quantile(q.q); !ok || (got-q.want).Abs() > time.Microsecond {
			t.Errorf("p%v = %s, %v, want %s", 100*q.q, got, ok, q.want)
		}
	}
	near("requests of all", line.All.Requests, 120*150+120*300)
	near("failed of all", line.All.Failed, 120+120*30)
	if line.Suspect != 0 || scale.Worse != 0 {
		t.Errorf("suspect %d; scaling is %v worse", line.Suspect, scale.Worse)
	}
	want := "Most suspicious: v2, rolling by ada at 11:30:00 UTC: errors went from 0.67 % to 10.0 % (600 of 6,000 requests); p50 went from 24 ms to 192 ms and p99 from 31.8 ms to 255 ms."
	if line.Sentence != want {
		t.Errorf("it says\n%s\nwant\n%s", line.Sentence, want)
	}
}

// A release that lived for a few seconds only is in its own time, not lost in the
// five minutes after it.
func TestWhatWentBackIsLookedAtWhileItWasThere(t *testing.T) {
	c := newCounted(t, noon)
	began, ended := noon.Add(-10*time.Minute), noon.Add(-10*time.Minute).Add(15*time.Second)
	for at := noon.Add(-20 * time.Minute); !at.After(noon); at = at.Add(15 * time.Second) {
		c.round(at, "shop-v001", 150, 0, 30*time.Millisecond)
		if at.Equal(ended) {
			c.round(at, "shop-v002", 20, 20, 30*time.Millisecond)
		}
	}
	trip := &route.Trip{Time: ended.Add(-5 * time.Second), Measure: route.Errors, Canary: route.Tally{Requests: 40, Bad: 20}, Base: route.Tally{Requests: 150}, Allowed: 2}
	p := past{
		rollouts: []rollout.Rollout{{ID: "r2", Release: "2", From: "1", State: rollout.RolledBack, Reason: trip.Reason(), Trip: trip, Spec: app.Strategy{Kind: app.Canary}, Created: began, Ended: ended}},
		releases: map[release.ID]release.Release{"1": {ID: "1", Number: 1}, "2": {ID: "2", Number: 2, Reason: "push", By: "ada"}},
	}
	for _, since := range []time.Duration{20 * time.Minute, 28 * 24 * time.Hour} {
		t.Run(since.String(), func(t *testing.T) { wentBack(t, p, c, since) })
	}
}

// wentBack looks at it as exactly from far as from near.
func wentBack(t *testing.T, p past, c *counted, since time.Duration) {
	line, err := New(p, c, 15*time.Second, nil, func() time.Time { return noon }).WhatChanged(t.Context(), shop, since)
	if err != nil {
		t.Fatal(err)
	}
	kinds := []Kind{}
	for _, one := range line.Changes {
		kinds = append(kinds, one.Kind)
	}
	if fmt.Sprint(kinds) != "[release trip back]" {
		t.Fatalf("changes %v", kinds)
	}
	if after := line.Changes[0].After; after.Requests != 190 || after.Failed != 20 {
		t.Errorf("after it %v failed of %v, want 20 of 190", after.Failed, after.Requests)
	}
	want := "Most suspicious: v2, canary by ada at 11:50:00 UTC: errors went from 0 % to 10.5 % (20 of 190 requests); it went back after 15s."
	if line.Sentence != want {
		t.Errorf("it says\n%s\nwant\n%s", line.Sentence, want)
	}
}

// A day is asked for, of an app of four minutes: what changed in its second minute
// is apart from what came before it.
func TestAYoungAppIsLookedAtClosely(t *testing.T) {
	c := newCounted(t, noon)
	young := shop
	young.Created = noon.Add(-4 * time.Minute)
	began := noon.Add(-2 * time.Minute)
	for at := young.Created; !at.After(noon); at = at.Add(15 * time.Second) {
		if !at.After(began) {
			c.round(at, "shop-v001", 150, 0, 30*time.Millisecond)
			continue
		}
		c.round(at, "shop-v002", 75, 75, 30*time.Millisecond)
	}
	p := past{
		rollouts: []rollout.Rollout{{ID: "r2", Release: "2", From: "1", State: rollout.Done, Spec: app.Strategy{Kind: app.Highlander}, Created: began, Ended: began.Add(2 * time.Second)}},
		releases: map[release.ID]release.Release{"1": {ID: "1", Number: 1}, "2": {ID: "2", Number: 2, Reason: "push", By: "ada"}},
	}
	line, err := New(p, c, 15*time.Second, nil, func() time.Time { return noon }).WhatChanged(t.Context(), young, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	want := "Most suspicious: v2, highlander by ada at 11:58:00 UTC: errors went from 0 % to 50.0 % (600 of 1,200 requests)."
	if line.Sentence != want || !line.From.Equal(young.Created) {
		t.Errorf("from %s it says\n%s\nwant\n%s", line.From, line.Sentence, want)
	}
}

func TestEventsBecomeChanges(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	crash := func(s int, group string, n float64) event.Event {
		return event.Event{Time: at(s), Kind: "instance.crashed", Actor: event.System, Subject: group + "/0", Detail: map[string]any{"group": group, "index": n, "reason": "exit 3"}}
	}
	alert := func(s int, kind event.Kind, rule string) event.Event {
		return event.Event{Time: at(s), Kind: kind, Actor: event.System, App: "shop", Detail: map[string]any{"objective": "home", "severity": "page", "rule": rule}}
	}
	for name, tc := range map[string]struct {
		in   []event.Event
		want []string
	}{
		"environment": {[]event.Event{{Time: at(0), Kind: "env.changed", Actor: "ada", Detail: map[string]any{"names": []any{"A", "B"}}}}, []string{"config ada environment: A, B"}},
		"a rollout's own weights are no change, a person's are": {[]event.Event{
			{Time: at(0), Kind: "group.weighed", Actor: event.System, Subject: "shop-v002", Detail: map[string]any{"weight": 20.0}},
			{Time: at(1), Kind: "group.weighed", Actor: "ada", Subject: "shop-v002", Detail: map[string]any{"weight": 0.0}},
		}, []string{"route ada shop-v002 has weight 0"}},
		"crashes of one group are one": {[]event.Event{crash(0, "g", 0), crash(20, "g", 0), crash(40, "h", 0), crash(70, "g", 1), crash(200, "g", 0)},
			[]string{"crash naru g crashed 3 times: exit 3", "crash naru h/0 crashed: exit 3", "crash naru g/0 crashed: exit 3"}},
		"an alert from its begin to its end": {[]event.Event{alert(0, "alert.firing", "quick"), alert(5, "alert.firing", "slow"), alert(60, "alert.resolved", "quick")},
			[]string{"incident naru alert: home quick: resolved after 1m0s", "incident naru alert: home slow"}},
		"what nobody asks for": {[]event.Event{{Time: at(0), Kind: "user.login", Actor: "ada"}, {Time: at(1), Kind: "image.built", Actor: "ada"}}, nil},
		"a route":              {[]event.Event{{Time: at(0), Kind: "route.changed", Actor: "ada", Subject: "shop.example", Detail: map[string]any{"keys": []any{"maintenance"}}}}, []string{"route ada shop.example: maintenance"}},
		"what judged steps came to": {[]event.Event{
			{Time: at(0), Kind: "verdict.given", Actor: event.System, Detail: map[string]any{"outcome": "fail", "act": "went_back", "text": "5xx 12.4 % vs 0.3 %"}},
			{Time: at(1), Kind: "verdict.given", Actor: event.System, Detail: map[string]any{"outcome": "unsure", "act": "went_on", "text": "nothing to compare"}},
			{Time: at(2), Kind: "verdict.given", Actor: event.System, Detail: map[string]any{"outcome": "unsure", "act": "asked", "text": "nothing to compare"}},
			{Time: at(3), Kind: "verdict.given", Actor: event.System, Detail: map[string]any{"outcome": "pass", "act": "passed", "text": "5xx 0.3 % vs 0.3 %"}},
		}, []string{
			"verdict naru judged worse than before, so it goes back: 5xx 12.4 % vs 0.3 %", "verdict naru not known to be harmless, and goes on as its policy says: nothing to compare",
			"verdict naru not known to be harmless, so a person is asked: nothing to compare", "verdict naru judged as good as before: 5xx 0.3 % vs 0.3 %",
		}},
		"a refusal": {[]event.Event{{Time: at(0), Kind: "push.refused", Actor: "ada", Detail: map[string]any{"why": "the budget is spent"}}}, []string{"budget ada a push was refused: the budget is spent"}},
		"a tier":    {[]event.Event{{Time: at(0), Kind: "budget.tier", Actor: event.System, Detail: map[string]any{"objective": "home", "from": "free", "to": "warn", "left": 0.42}}}, []string{"budget naru home: from free to warn, 42.0 % of its budget left"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range changesOf(tc.in, nil, noon.Add(-time.Hour), nil) {
				text := fmt.Sprintf("%s %s %s", c.Kind, c.Actor, c.Text)
				if c.End != "" {
					text += ": " + c.End
				}
				got = append(got, text)
			}
			if strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}
