package account

import (
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge"
	"naru/internal/judge/budget"
	"naru/internal/judge/sequential"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// web is a release of a web process with an HTTP check.
func web(number int, reason, by string) release.Release {
	return release.Release{
		ID: release.ID(string(rune('a' + number))), Number: number, Reason: reason, By: by,
		Processes: []app.Process{{Type: app.Web, Health: app.Health{Check: app.CheckHTTP, Path: "/health"}}},
	}
}

// wentBackWith are the facts of an app whose v7 went back to v6 a minute ago.
func wentBackWith(change func(f *facts)) *facts {
	v6, v7 := web(6, "push", "ada"), web(7, "push", "bob")
	f := &facts{
		app: app.App{Name: "shop", State: app.Started}, now: noon, tier: budget.Free, want: 2, up: 2,
		current: &v6, live: noon.Add(-48 * time.Hour), rel: v7, from: v6,
		newest: &rollout.Rollout{
			ID: "r", Release: v7.ID, From: v6.ID, State: rollout.RolledBack, Spec: app.Strategy{Kind: app.Canary}.Filled(),
			Created: noon.Add(-60 * time.Second), Ended: noon.Add(-56 * time.Second),
		},
	}
	change(f)
	return f
}

// crashed is the event of an instance that ended.
func crashed(reason string) *event.Event {
	return &event.Event{Kind: "instance.crashed", Detail: map[string]any{"reason": reason, "group": "shop-v007", "index": 0.0}}
}

// verdict is what the judge said of the first step of the newest rollout.
func verdict(act judging.Act, outcome judge.Outcome, text string) *judging.Given {
	return &judging.Given{Act: act, Verdict: judge.Verdict{Outcome: outcome, Reasons: []judge.Reason{{
		Metric: "errors", State: sequential.Worse, Required: true, Text: text,
		Links: []judge.Link{{Rel: "metrics", Target: "up"}, {Rel: "logs", Target: "naru logs shop --since 2026-03-01T11:59:00Z"}},
	}}}}
}

func TestWhySaysWhatATiredPersonUnderstands(t *testing.T) {
	errors := func(bad, of uint64) *route.Trip {
		return &route.Trip{Measure: route.Errors, Canary: route.Tally{Requests: of, Bad: bad}, Base: route.Tally{Requests: 100}, Allowed: 2}
	}
	for name, tc := range map[string]struct {
		f     *facts
		state State
		says  []string // in this order
		try   string
	}{
		"half of the requests fail": {
			wentBackWith(func(f *facts) { f.newest.Trip = errors(13, 25) }), WentBack,
			[]string{"v7 (push by bob, 1m ago) went back after 4s because 13 of its 25 requests failed (52.0 %), and 0 of 100 of v6's (0 %).", "shop is well: v6 (push by ada) runs with 2 of 2 instances healthy, live since 2026-02-27 12:00 UTC."},
			"naru logs shop --since 1m",
		},
		"five times slower": {
			wentBackWith(func(f *facts) {
				f.newest.Trip = &route.Trip{Measure: route.Latency, Canary: route.Tally{Requests: 30, Bad: 28}, Base: route.Tally{Requests: 120, Bad: 6}, Slow: app.Duration(64 * time.Millisecond)}
			}), WentBack,
			[]string{"because it is too slow: 28 of its 30 requests took over 64ms (93.3 %), and 6 of 120 of v6's (5 %)."}, "",
		},
		"it crashes under traffic": {
			wentBackWith(func(f *facts) {
				f.newest.Reason, f.crash, f.said = "web instance 0: exit 3", crashed("exit 3"), "out of luck"
			}), WentBack,
			[]string{`because its instances crash under traffic (exit 3, its last line: "out of luck").`}, "naru logs shop",
		},
		"it crashes, and the guard is quicker": {
			wentBackWith(func(f *facts) { f.newest.Trip, f.crash = errors(10, 12), crashed("exit 3") }), WentBack,
			[]string{"because its instances crash under traffic (exit 3): 10 of its 12 requests failed"}, "",
		},
		"it never becomes healthy": {
			wentBackWith(func(f *facts) {
				f.newest.Reason = "web instance 0: not healthy after 3s: nothing listens on port 8080 ($PORT)"
				f.crash = crashed("not healthy after 3s: nothing listens on port 8080 ($PORT)")
			}), WentBack,
			[]string{"because it never became healthy: after 3s its health check still said: nothing listens on port 8080 ($PORT)."}, "",
		},
		"its health check lies": {
			wentBackWith(func(f *facts) { f.newest.Trip = errors(20, 20) }), WentBack,
			[]string{"because its health check (GET /health) says that all is well, and yet 20 of its 20 requests failed (100.0 %), and 0 of 100 of v6's (0 %)."}, "",
		},
		"the gateway's own check": {
			wentBackWith(func(f *facts) {
				f.newest.Trip = &route.Trip{Measure: route.Health, Canary: route.Tally{Requests: 1, Bad: 1}, Base: route.Tally{Requests: 2}, Said: "GET /up: status 503"}
			}), WentBack,
			[]string{"because its instances do not pass the check that the gateway makes (GET /up: status 503): 0 of 1 pass, of v6 2 of 2."}, "",
		},
		"the judge": {
			wentBackWith(func(f *facts) {
				f.newest.Reason = "5xx 12.4 % vs 0.3 % over 1,204 canary requests (p < 0.001)"
			}), WentBack,
			[]string{"because 5xx 12.4 % vs 0.3 % over 1,204 canary requests (p < 0.001)."}, "",
		},
		"the judge, as its verdict is stored": {
			wentBackWith(func(f *facts) {
				f.newest.Reason = "5xx 12.4 % vs 0.3 % over 1,204 canary requests (p < 0.001)"
				f.given = verdict(judging.WentBack, judge.Fail, f.newest.Reason)
			}), WentBack,
			[]string{"because it was judged worse than v6: 5xx 12.4 % vs 0.3 % over 1,204 canary requests (p < 0.001)."}, "naru logs shop --since 2026-03-01T11:59:00Z",
		},
		"the judge did not know, and somebody took it back": {
			wentBackWith(func(f *facts) {
				f.newest.Reason, f.given = "aborted by eve", verdict(judging.Asked, judge.Unsure, "5xx 0 % vs 0.67 % over 150 canary requests")
			}), WentBack,
			[]string{"because eve took it back, and the judge did not know: 5xx 0 % vs 0.67 % over 150 canary requests."}, "",
		},
		"the judge, and the guard was quicker": {
			wentBackWith(func(f *facts) {
				f.newest.Trip, f.given = errors(13, 25), verdict("", judge.Unsure, "nothing to compare")
			}), WentBack, []string{"because 13 of its 25 requests failed (52.0 %)"}, "naru logs shop --since 1m",
		},
		"the judge asks": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.newest.Spec.Steps = rollout.Paused, []app.Step{{Weight: 20, Judge: true}}
				f.given = verdict(judging.Asked, judge.Unsure, "5xx 0 % vs 0.67 % over 150 canary requests; only 10 times as much would have shown by now")
			}), OnTheWay,
			[]string{"v7 (push by bob, 1m ago) has 20 % of the traffic and waits for a person to go on.", "The judge asks: it is not known whether it is worse: 5xx 0 % vs 0.67 % over 150 canary requests; only 10 times"}, "naru rollout resume shop",
		},
		"somebody paused before the judge spoke": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.newest.Step, f.newest.Spec.Steps = rollout.Paused, 1, []app.Step{{Weight: 20, Judge: true}, {Weight: 50}}
				f.given = verdict(judging.Asked, judge.Unsure, "nothing to compare")
			}), OnTheWay, []string{"waits for a person to go on."}, "",
		},
		"the judge compares": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.newest.Spec.Steps = rollout.Shifting, []app.Step{{Weight: 20, Judge: true}}
				f.given = verdict("", judge.Unsure, "5xx 0 % vs 0 % over 12 canary requests")
			}), OnTheWay, []string{"step 1 of 2, 20 % of the traffic.", "It is being judged: not known yet: 5xx 0 % vs 0 % over 12 canary requests."}, "",
		},
		"it went on unsure": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.given = rollout.Done, verdict(judging.WentOn, judge.Unsure, "5xx 0 % vs 0.67 % over 150 canary requests")
			}), Well, []string{"shop is well", "v7 went on unsure, as its policy says: 5xx 0 % vs 0.67 % over 150 canary requests."}, "",
		},
		"somebody": {
			wentBackWith(func(f *facts) { f.newest.Reason = "aborted by eve" }), WentBack, []string{"because eve took it back."}, "",
		},
		"frozen": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.tier = rollout.Done, budget.Freeze
				f.standing = []budget.Standing{{Objective: "home", Known: true, Target: 0.999, Measured: 0.9985, Left: -0.5, LeftTime: "-20.2 min", Window: "28d"}}
			}), Frozen,
			[]string{"shop is well: v6", "It is frozen: the error budget of shop is spent: home: 99.85 % measured, 99.9 % wanted over 28d, -50 % of the budget left (-20.2 min)."},
			"naru push shop --reliability-fix",
		},
		"all is well": {
			wentBackWith(func(f *facts) { f.newest.State = rollout.Done }), Well, []string{"shop is well: v6 (push by ada) runs with 2 of 2 instances healthy"}, "naru what-changed shop",
		},
		"well, and an alert": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.alerts = rollout.Done, []Change{{At: noon.Add(-time.Hour), Text: "alert: home page quick"}}
			}), Well, []string{"shop is well", "Since 2026-03-01 11:00 UTC there is an alert: home page quick."}, "",
		},
		"what runs crashes": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.up, f.process = rollout.Done, 1, "web"
				f.sick = &run.Instance{Index: 1, Crashes: 2, LastExit: &run.Exit{Reason: "exit 1", LastLines: []string{"panic: no database", ""}}}
				f.sick.LastExit.LastLines = f.sick.LastExit.LastLines[:1]
			}), Crashing, []string{`1 of 2 instances of v6 (shop) do not run: web/1 ended with exit 1, its last line: "panic: no database".`}, "naru logs shop",
		},
		"visitors get errors": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.traffic = rollout.Done, Traffic{Length: lately, Requests: 1000, Failed: 300}
			}), Failing, []string{"shop is up (v6), but 30.0 % of the requests of the last 5 minutes failed (300 of 1,000)."}, "naru what-changed shop",
		},
		"stopped": {
			wentBackWith(func(f *facts) { f.newest.State, f.app.State = rollout.Done, app.Stopped }), Stopped, []string{"shop is stopped"}, "naru start shop",
		},
		"paused": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.newest.Spec.Steps = rollout.Paused, []app.Step{{Weight: 20}}
			}), OnTheWay, []string{"v7 (push by bob, 1m ago) has 20 % of the traffic and waits for a person to go on."}, "naru rollout resume shop",
		},
		"stuck": {
			wentBackWith(func(f *facts) {
				f.newest.State, f.newest.Reason = rollout.Failed, "exit 3; and what ran before does not work any more: exit 1"
			}), Stuck,
			[]string{"The way back from v7 stopped and is left to a person: exit 3; and what ran before does not work any more: exit 1."}, "naru groups shop",
		},
		"a build that failed": {
			wentBackWith(func(f *facts) {
				f.newest.State = rollout.Done
				f.last = &operation.Operation{Kind: "push", Actor: "bob", Created: noon.Add(-30 * time.Second), Error: fault.New(fault.Failed, "", "npm ci ended with 1").WithTry("naru push --verbose")}
			}), Well, []string{"shop is well", "The last push (by bob, 30s ago) changed nothing: npm ci ended with 1."}, "naru push --verbose",
		},
		"nothing yet": {&facts{app: app.App{Name: "shop"}, now: noon, tier: budget.Free}, Empty, []string{"shop has no release yet."}, "naru push shop"},
		"the first release never worked": {
			wentBackWith(func(f *facts) {
				f.current, f.newest.From, f.newest.Reason = nil, "", "web instance 0: not healthy after 3s: GET /health: status 500"
			}), Empty, []string{"No release of shop has worked yet: it never became healthy: after 3s its health check still said: GET /health: status 500."}, "naru logs shop",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.f.answer()
			if got.State != tc.state {
				t.Errorf("state %s, want %s", got.State, tc.state)
			}
			all := strings.Join(got.Sentences, " ")
			rest := all
			for _, want := range tc.says {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("it says\n%s\nand should say\n%s", all, want)
				}
				rest = after
			}
			if n := len(got.Sentences); n < 1 || n > 3 {
				t.Errorf("%d sentences", n)
			}
			if tc.try != "" && !strings.Contains(strings.Join(got.Try, "\n"), tc.try) {
				t.Errorf("it tries %q, want %q", got.Try, tc.try)
			}
			if len(got.Try) == 0 {
				t.Error("it leads nowhere")
			}
		})
	}
}
