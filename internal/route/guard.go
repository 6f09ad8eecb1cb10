package route

import (
	"fmt"
	"math"
	"strings"
	"time"

	"naru/internal/app"
)

// Guard is the emergency brake of a group's weight. The gateway compares the
// group with its baseline by package guard, without asking anybody; when the
// group is worse, its weight goes to the baseline at once and a Trip is
// reported. Zero fields take the defaults named beside them.
type Guard struct {
	// Key names what is guarded, a rollout for example. Evidence is kept over
	// tables while it stays the same, and so is a trip: a tripped group gets no
	// weight again before a table guards it under another key.
	Key      string       `json:"key"`
	Baseline string       `json:"baseline"`            // id of the group of the same entry it is compared with, which takes the weight when it trips
	Requests uint64       `json:"requests,omitempty"`  // least requests of the group before it may trip: 10
	Alarm    float64      `json:"alarm,omitempty"`     // how often, at most, a group that is not worse trips in the life of a key: 0.01
	Ratio    float64      `json:"ratio,omitempty"`     // how many times the baseline's share of failed or slow requests is no reason yet: 1.5
	Floor    float64      `json:"floor,omitempty"`     // share of failed requests that is no reason while the baseline has no traffic: 0.01
	Slow     float64      `json:"slow,omitempty"`      // slow is longer than this many times what 90 % of the baseline's requests take at most: 2; below 0: latency is not guarded
	SlowFrom app.Duration `json:"slow_from,omitempty"` // but never what is shorter than this: 50ms
	Record   *Record      `json:"record,omitempty"`    // what the baseline did before, for when it has no traffic
}

// Record is what a baseline is known to do.
type Record struct {
	Requests uint64       `json:"requests"`       // answered
	Failed   uint64       `json:"failed"`         // of them by 5xx or not at all
	Slow     app.Duration `json:"slow,omitempty"` // from here on a request is slow; 0: not known
	Over     uint64       `json:"over,omitempty"` // requests that were slow
}

// Filled returns the guard with its defaults in place of zero fields.
func (g Guard) Filled() Guard {
	if g.Requests == 0 {
		g.Requests = 10
	}
	for field, value := range map[*float64]float64{&g.Alarm: 0.01, &g.Ratio: 1.5, &g.Floor: 0.01, &g.Slow: 2} {
		if *field == 0 {
			*field = value
		}
	}
	if g.SlowFrom == 0 {
		g.SlowFrom = app.Duration(50 * time.Millisecond)
	}
	return g
}

func (g *Guard) problem() *problem {
	switch {
	case g.Key == "":
		return &problem{".key", "is missing"}
	case g.Baseline == "":
		return &problem{".baseline", "is missing: there is nothing to compare with and nobody to take the weight"}
	case g.Alarm < 0 || g.Alarm >= 1:
		return &problem{".alarm", fmt.Sprintf("%v is not between 0 and 1", g.Alarm)}
	case g.Ratio != 0 && g.Ratio < 1 || math.IsInf(g.Ratio, 0):
		return &problem{".ratio", fmt.Sprintf("%v is below 1: as good as the baseline would be too bad", g.Ratio)}
	case g.Floor < 0 || g.Floor >= 1:
		return &problem{".floor", fmt.Sprintf("%v is not between 0 and 1", g.Floor)}
	case g.Slow > 0 && g.Slow < 1:
		return &problem{".slow", fmt.Sprintf("%v is below 1: the baseline would be slow itself", g.Slow)}
	case g.Record != nil && (g.Record.Failed > g.Record.Requests || g.Record.Over > g.Record.Requests):
		return &problem{".record", "has more failed or slow requests than requests"}
	}
	return nil
}

// Measure is what a guard watches.
type Measure string

// The measures.
const (
	Errors  Measure = "errors"  // answers of 5xx, and requests that got none because of the instance
	Latency Measure = "latency" // time to the answer's header
	Health  Measure = "health"  // instances that fail the gateway's own health check
)

// Trip tells that a gateway took a group's weight away. It is said again on
// every connection to the control plane until a table guards the group under
// another key, so the reader must know a trip it has seen.
type Trip struct {
	Time     time.Time    `json:"time"`
	Key      string       `json:"key"` // of the guard
	Group    string       `json:"group"`
	Baseline string       `json:"baseline"`
	Measure  Measure      `json:"measure"`
	Canary   Tally        `json:"canary"`            // of the guarded group
	Base     Tally        `json:"base"`              // of the baseline, in the same time or from its record
	Allowed  float64      `json:"allowed"`           // times the baseline's share, or with Alone an absolute share
	Alone    bool         `json:"alone,omitempty"`   // the baseline had no traffic to compare with
	Slow     app.Duration `json:"slow,omitempty"`    // latency: what counts as slow
	Odds     float64      `json:"odds,omitempty"`    // evidence against "not worse", as odds; none for health
	Said     string       `json:"said,omitempty"`    // health: what was asked and what came of it, "GET /up: status 503"
	Gateway  string       `json:"gateway,omitempty"` // process that saw it; filled in by the hub
}

// Tally counts requests, or instances, and those among them that count against a
// group.
type Tally struct {
	Requests uint64 `json:"requests"`
	Bad      uint64 `json:"bad"`
}

// Share is Bad over Requests, 0 where there were none.
func (t Tally) Share() float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Bad) / float64(t.Requests)
}

func (t Tally) passing() string {
	return fmt.Sprintf("%d of %d", t.Requests-min(t.Bad, t.Requests), t.Requests)
}

// Reason says in one line for people what was measured and what is allowed.
func (t Trip) Reason() string {
	if t.Measure == Health {
		return fmt.Sprintf("health: %s of its instances pass the gateway's health check (%s), %s of what ran before", t.Canary.passing(), t.Said, t.Base.passing())
	}
	what := "failed"
	if t.Measure == Latency {
		what = "took over " + t.Slow.Std().Round(time.Millisecond).String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d of %d requests %s (%s)", t.Measure, t.Canary.Bad, t.Canary.Requests, what, percentText(t.Canary.Share()))
	if t.Alone {
		fmt.Fprintf(&b, ", allowed %s", percentText(t.Allowed))
	} else {
		fmt.Fprintf(&b, ", %d of %d (%s) of what ran before, allowed %.3g times that", t.Base.Bad, t.Base.Requests, percentText(t.Base.Share()), t.Allowed)
	}
	return b.String()
}

func percentText(share float64) string { return fmt.Sprintf("%.3g %%", 100*share) }

// Match sends requests to a group whatever the weights say: those that carry a
// header, or a cookie, with the value. Exactly one of Header and Cookie is set.
type Match struct {
	Header string `json:"header,omitempty"` // name of a header
	Cookie string `json:"cookie,omitempty"` // name of a cookie
	Value  string `json:"value,omitempty"`  // what it must be, exactly; "": anything
}

// String is the match as ParseMatch reads it.
func (m *Match) String() string {
	kind, name := "header", m.Header
	if m.Cookie != "" {
		kind, name = "cookie", m.Cookie
	}
	if m.Value == "" {
		return kind + ":" + name
	}
	return kind + ":" + name + "=" + m.Value
}

func (m *Match) problem() *problem {
	name, key := m.Header, ".header"
	if m.Cookie != "" {
		name, key = m.Cookie, ".cookie"
	}
	switch {
	case m.Header == "" && m.Cookie == "":
		return &problem{"", "wants a header or a cookie"}
	case m.Header != "" && m.Cookie != "":
		return &problem{".cookie", "stands beside a header: one of them is wanted"}
	case strings.Trim(name, tokenBytes) != "" || len(name) > 128:
		return &problem{key, fmt.Sprintf("%q is not the name of a header or a cookie", name)}
	case len(m.Value) > 1024 || strings.ContainsFunc(m.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return &problem{".value", "is over 1024 bytes or holds control characters"}
	}
	return nil
}

// tokenBytes are what names of headers and cookies are made of.
const tokenBytes = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
