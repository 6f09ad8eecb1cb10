package judging

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/judge"
)

// life is what a side did: so many requests with each sample of the metrics, some
// of them failed, from one time to another.
type life struct {
	from, to         time.Time
	requests, failed float64
}

// counters are of sides by their release or group, with a sample each 15 seconds.
type counters struct {
	lives map[string]life
	asked []Count
	err   error
}

func (c *counters) Increases(_ context.Context, q Count, tell func(Increase)) error {
	c.asked = append(c.asked, q)
	if c.err != nil {
		return c.err
	}
	one := c.lives[q.Labels["release"]+q.Labels["group"]]
	for at := q.From.Truncate(15 * time.Second); !at.After(q.To); at = at.Add(15 * time.Second) {
		if !at.After(q.From) || at.Before(one.from) || at.After(one.to) {
			continue
		}
		switch q.By {
		case "class":
			tell(Increase{"2xx", at, one.requests - one.failed})
			tell(Increase{"5xx", at, one.failed})
		case "le":
			tell(Increase{"0.004", at, one.requests / 2})
			tell(Increase{"0.008", at, one.requests})
			tell(Increase{"+Inf", at, one.requests})
			tell(Increase{"rubbish", at, 1})
		default:
			tell(Increase{"", at, 0})
		}
	}
	return nil
}

func TestThePastIsCounted(t *testing.T) {
	to := time.Now().Add(-time.Minute).Truncate(15 * time.Second)
	begin := to.Add(-time.Hour)
	lives := func(canary, baseline float64, requests float64, long time.Duration) map[string]life {
		return map[string]life{"v4": {to.Add(-long), to, requests, canary}, "v3": {begin, to, requests, baseline}}
	}
	for name, tc := range map[string]struct {
		lives   map[string]life
		from    time.Time
		outcome judge.Outcome
		says    string
	}{
		"a canary of 30 seconds": {lives(7, 0, 157, 15*time.Second), to.Add(-30 * time.Second), judge.Fail, "5xx 4.5 % vs 0 % over 314 canary requests (p < 0.001)"},
		"too little traffic":     {lives(1, 0, 15, 15*time.Second), to.Add(-30 * time.Second), judge.Unsure, "times as much would have shown by now"},
		"as good":                {lives(10, 10, 1000, time.Hour), begin, judge.Pass, "5xx 1.0 % vs 1.0 % over 240,000 canary requests, less than 1.5 times as bad"},
		"nothing was counted":    {nil, begin, judge.Unsure, "nothing to compare"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &counters{lives: tc.lives}
			v, err := NewPast(&world{samples: series(1, 5)}, c, 15*time.Second).Judge(t.Context(), Question{
				App: shop, Canary: Side{Release: "v4"}, Baseline: Side{Release: "v3"}, From: tc.from, To: to,
			})
			if err != nil {
				t.Fatal(err)
			}
			if v.Outcome != tc.outcome || !strings.Contains(v.Why(), tc.says) || v.Score == nil || v.Alpha != judge.Alpha {
				t.Errorf("%s: %s; want %s with %q", v.Outcome, v.Why(), tc.outcome, tc.says)
			}
			if len(v.Reasons) != len(judge.Defaults())+1 {
				t.Errorf("%d reasons, want one for each metric and the score", len(v.Reasons))
			}
			for _, q := range c.asked {
				if q.Space != shop.Space || q.Labels["app"] != "shop" || (q.Labels["process"] == "web") != (q.By == "") {
					t.Errorf("asked %+v", q)
				}
			}
		})
	}
}

// TestOnlyTheTimeOfBoth: of a rollout's time that in which both sides had requests
// is judged, also what was counted a little after its end.
func TestOnlyTheTimeOfBoth(t *testing.T) {
	end := time.Now().Add(-10 * time.Minute).Truncate(15 * time.Second)
	c := &counters{lives: map[string]life{"v4": {end.Add(-time.Minute), end.Add(15 * time.Second), 100, 5}, "v3": {end.Add(-time.Hour), end.Add(time.Hour), 900, 1}}}
	q := Question{App: shop, Canary: Side{Release: "v4"}, Baseline: Side{Release: "v3"}, From: end.Add(-20 * time.Minute), To: end, Together: true}
	w := &world{samples: series(1, 40)}
	v, err := NewPast(w, c, 15*time.Second).Judge(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	r := v.Reasons[0]
	if r.Metric != "errors" || r.Canary.Of != 600 || r.Baseline.Of != 5400 || v.Outcome != judge.Fail {
		t.Errorf("%s: %+v; want 6 samples of each side", v.Outcome, r)
	}
	if !v.From.Equal(end.Add(-75*time.Second)) || !v.To.Equal(end.Add(15*time.Second)) {
		t.Errorf("from %s to %s, want 75 s before %s to 15 s after it", v.From, v.To, end)
	}
	for _, asked := range w.asked {
		if asked.From.Before(v.From) || asked.To.After(v.To) {
			t.Errorf("sampled from %s to %s", asked.From, asked.To)
		}
	}
	// They never ran side by side: all of the time counts.
	c.lives["v3"] = life{end.Add(-20 * time.Minute), end.Add(-10 * time.Minute), 900, 1}
	if v, err = NewPast(w, c, 15*time.Second).Judge(t.Context(), q); err != nil || !v.From.Equal(q.From) || v.Reasons[0].Baseline.Of == 0 {
		t.Errorf("from %s: %+v (%v)", v.From, v.Reasons[0], err)
	}
}

// TestALongPast: blocks grow with the time, and all that was counted is in them.
func TestALongPast(t *testing.T) {
	end := time.Now().Truncate(15 * time.Second)
	c := &counters{lives: map[string]life{"shop-v004": {end.Add(-48 * time.Hour), end, 10, 1}, "v3": {end.Add(-96 * time.Hour), end, 10, 1}}}
	p := NewPast(nil, c, 15*time.Second)
	got, err := p.count(t.Context(), sides{app: shop, canary: Side{Group: "shop-v004"}.side(), baseline: Side{Release: "v3"}.side()}, end.Add(-24*time.Hour), end, end.Add(-48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var all [2]uint64
	for _, b := range got.blocks {
		all[0], all[1] = all[0]+b.Canary.Requests, all[1]+b.Baseline.Requests
	}
	if len(got.blocks) > mostBlocks || all[0] != 57_600 || all[1] != 57_600 {
		t.Errorf("%d blocks with %v requests, want 57,600 of each side in %d at most", len(got.blocks), all, mostBlocks)
	}
	for _, q := range c.asked[3:] {
		if !q.From.Equal(end.Add(-48*time.Hour)) || !q.To.Equal(end.Add(-24*time.Hour)) {
			t.Errorf("the baseline was asked for %s to %s", q.From, q.To)
		}
	}
}

func TestCountersThatCannotBeRead(t *testing.T) {
	c := &counters{err: fault.New(fault.Unavailable, "", "the metrics are being opened")}
	now := time.Now()
	_, err := NewPast(&world{samples: series(1, 40)}, c, time.Second).Judge(t.Context(), Question{App: shop, Canary: Side{Release: "v4"}, Baseline: Side{Release: "v3"}, From: now.Add(-time.Hour), To: now})
	if !fault.Is(err, fault.Unavailable) || !errors.Is(err, c.err) {
		t.Errorf("%v, want what the metrics said", err)
	}
}

// TestReasonsLeadFurther: to the lines and traces of the canary in that time.
func TestReasonsLeadFurther(t *testing.T) {
	to := time.Now().Add(-time.Minute).Truncate(15 * time.Second)
	c := &counters{lives: map[string]life{"shop-v004": {to.Add(-time.Hour), to, 157, 7}, "v3": {to.Add(-time.Hour), to, 157, 0}}}
	v, err := NewPast(&world{samples: series(1, 5)}, c, 15*time.Second).Judge(t.Context(), Question{
		App: shop, Canary: Side{Group: "shop-v004"}, Baseline: Side{Release: "v3"}, From: to.Add(-30*time.Second + time.Millisecond), To: to.Add(-time.Millisecond),
	})
	if err != nil {
		t.Fatal(err)
	}
	within := " shop --since " + to.Add(-30*time.Second).UTC().Format(time.RFC3339) + " --until " + to.UTC().Format(time.RFC3339)
	want := map[string][]string{
		"errors":      {"logs: naru logs" + within + " --source RTR --search 'status>=500'", "traces: naru traces" + within + " --error --tag naru.group=shop-v004"},
		"latency_p50": {"logs: naru logs" + within + " --source RTR --search 'duration>0.004'", "traces: naru traces" + within + " --min-duration 4ms --tag naru.group=shop-v004"},
		"restarts":    {"logs: naru logs" + within + " --source NARU", "logs: naru logs" + within + " --source APP"},
		"cpu":         nil,
	}
	for _, r := range v.Reasons {
		var got []string
		for _, l := range r.Links {
			if l.Rel != "metrics" {
				got = append(got, l.Rel+": "+l.Target)
			}
		}
		if lines, ok := want[r.Metric]; ok && !slices.Equal(got, lines) {
			t.Errorf("%s leads to %q, want %q", r.Metric, got, lines)
		}
		delete(want, r.Metric)
	}
	if len(want) > 0 {
		t.Errorf("there are no reasons of %v", want)
	}
}
