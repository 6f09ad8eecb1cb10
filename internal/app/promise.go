package app

import (
	"slices"
	"strings"
	"time"

	"naru/internal/fault"
)

// Origin says who declared an objective. What one of them declares the other
// leaves alone.
type Origin string

// The origins.
const (
	FromManifest Origin = "manifest" // replaced by each push whose manifest has objectives
	Applied      Origin = "applied"  // by naru slo apply
)

// Promise is an objective that is kept for an app.
type Promise struct {
	Objective
	Origin  Origin
	Since   time.Time // when what it counts was first asked for: what was before that was not counted
	Updated time.Time
}

// SameCount reports that two objectives count the same events, so that what was
// counted for one is known of the other.
func SameCount(a, b Objective) bool {
	return a.Kind == b.Kind && a.Threshold == b.Threshold && slices.Equal(a.codes(), b.codes()) && slices.Equal(a.journeys(), b.journeys()) &&
		a.Query == b.Query && a.GoodQuery == b.GoodQuery && a.BadQuery == b.BadQuery && a.TotalQuery == b.TotalQuery && a.Probe == b.Probe
}

// codes are the single statuses that are named: classes are always counted.
func (o Objective) codes() []string {
	var out []string
	for _, s := range slices.Concat(o.Bad, o.Excluded) {
		if s != "none" && !strings.HasSuffix(s, "xx") {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (o Objective) journeys() []string {
	var out []string
	for _, j := range o.Journeys {
		out = append(out, j.String())
	}
	slices.Sort(out)
	return out
}

// Maintenance is a time that was announced: what goes wrong in it is allowed out of
// what is left of the budgets.
type Maintenance struct {
	ID        string
	App       ID
	From, To  time.Time
	Reason    string
	Hit       float64 // share of the users that it hits; 0: all
	By        string
	Announced time.Time
	Cancelled time.Time // zero: it is not
}

// End is when it ends, or ended by being cancelled; the same as From where it was
// cancelled before it began.
func (m Maintenance) End() time.Time {
	if m.Cancelled.IsZero() || m.Cancelled.After(m.To) {
		return m.To
	}
	if m.Cancelled.Before(m.From) {
		return m.From
	}
	return m.Cancelled
}

// Bounds of maintenance.
const (
	MaxMaintenance = 200 // that is not over, of one app
	MaxReason      = 500 // bytes
	MaxAhead       = 366 * day
)

// Check refuses maintenance that cannot be announced at a moment.
func (m Maintenance) Check(now time.Time) error {
	bad := func(field, try, format string, args ...any) error {
		return fault.New(fault.Invalid, field, format, args...).WithTry("%s", try)
	}
	switch {
	case strings.TrimSpace(m.Reason) == "":
		return bad("reason", "--reason 'move to the new database'", "maintenance needs a reason: people will read it in the ledger")
	case len(m.Reason) > MaxReason:
		return bad("reason", "shorten it", "the reason has %d bytes, at most %d are kept", len(m.Reason), MaxReason)
	case !m.To.After(m.From):
		return bad("to", "--to after --from", "it ends before it begins")
	case m.To.Sub(m.From) > MaxWindow.Std() || m.From.Sub(now) > MaxAhead:
		return bad("from", "announce it later, or less of it", "it is longer than a year, or further ahead")
	case m.Hit < 0 || m.Hit > 1 || m.Hit != m.Hit:
		return bad("hit", "--hit 20%%", "it hits a share of users from 0 %% to 100 %%")
	}
	return nil
}
