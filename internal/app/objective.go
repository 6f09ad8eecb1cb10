package app

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/fault"
)

// ObjectiveKind says what an objective is about.
type ObjectiveKind string

// The kinds of objectives.
const (
	Availability ObjectiveKind = "availability" // share of requests that did not fail
	Latency      ObjectiveKind = "latency"      // share of requests that were answered within a threshold
	Throughput   ObjectiveKind = "throughput"   // share of the time with at least so many requests a second
	Freshness    ObjectiveKind = "freshness"    // data are young enough
	EndToEnd     ObjectiveKind = "end_to_end"   // what was begun is finished in time
	Durability   ObjectiveKind = "durability"   // what was kept can be read
)

// ObjectiveKinds lists all kinds.
func ObjectiveKinds() []ObjectiveKind {
	return []ObjectiveKind{Availability, Latency, Throughput, Freshness, EndToEnd, Durability}
}

// OfRequests reports that the gateway's own counters measure the kind.
func (k ObjectiveKind) OfRequests() bool {
	return k == Availability || k == Latency || k == Throughput
}

// Idle says what time without any event is.
type Idle string

// What time without events may be.
const (
	IdleUnknown Idle = "unknown" // left out: nothing is said about it
	IdleGood    Idle = "good"    // nobody was disappointed
	IdleBad     Idle = "bad"     // there should have been events
)

// Objective is what people want of an app, as they declare it. It is data: package
// judge/objective says how far it is met. Zero fields take defaults.
type Objective struct {
	Name        string        `json:"name"` // a DNS label, unique in the app
	Description string        `json:"description,omitempty"`
	Kind        ObjectiveKind `json:"kind"`
	Target      float64       `json:"target"`              // share of good events, above 0 and below 1
	Window      Window        `json:"window,omitzero"`     // zero: 28 days, rolling
	Idle        Idle          `json:"idle,omitempty"`      // "": IdleUnknown
	Slice       Slice         `json:"slice,omitzero"`      // zero: events are counted, not time
	Journeys    []Journey     `json:"journeys,omitempty"`  // none: all requests of the app
	Bad         []string      `json:"bad,omitempty"`       // statuses that are failures, "5xx", "429", "none"; none: 5xx
	Excluded    []string      `json:"excluded,omitempty"`  // statuses that do not count at all
	Threshold   Duration      `json:"threshold,omitempty"` // of latency

	Bound      *Bound `json:"bound,omitempty"`       // of Query's value; of requests a second for throughput
	Query      string `json:"query,omitempty"`       // PromQL of one value, asked for each slice
	GoodQuery  string `json:"good_query,omitempty"`  // PromQL that counts good events within $window
	BadQuery   string `json:"bad_query,omitempty"`   // the same for bad ones, in place of good
	TotalQuery string `json:"total_query,omitempty"` // the same for all
	Probe      string `json:"probe,omitempty"`       // name of a probe whose runs are the events
}

// Slice judges time instead of events: a slice is good when the share of good
// events in it reaches Target.
type Slice struct {
	Length Duration `json:"length"` // 0: events are counted
	Target float64  `json:"target,omitempty"`
}

// Bound compares a value: what holds is good.
type Bound struct {
	Op    string  `json:"op"` // lt, lte, gt or gte, as in OpenSLO
	Value float64 `json:"value"`
}

// Holds reports that a value is good.
func (b Bound) Holds(v float64) bool {
	switch b.Op {
	case "lt":
		return v < b.Value
	case "lte":
		return v <= b.Value
	case "gt":
		return v > b.Value
	case "gte":
		return v >= b.Value
	}
	return false
}

// Bounds of objectives.
const (
	MaxObjectives  = 50
	MaxJourneys    = 20
	MaxQuery       = 4096 // bytes
	MaxDescription = 1050 // characters, as in OpenSLO
	MinSlice       = Duration(10 * time.Second)
	MaxSlice       = Duration(24 * time.Hour)
	MaxSlices      = 100_000 // in one window
)

// WindowVariable is what stands for the asked-for time in queries that count.
const WindowVariable = "$window"

// Filled returns the objective with its defaults in place of what it leaves open.
func (o Objective) Filled() Objective {
	if o.Window == (Window{}) {
		o.Window = DefaultWindow
	}
	o.Idle = first(o.Idle, IdleUnknown)
	if len(o.Bad) == 0 && (o.Kind == Availability || o.Kind == Latency) {
		o.Bad = []string{"5xx"}
	}
	if o.Slice.Length == 0 && (o.Kind == Throughput || o.Query != "") {
		o.Slice.Length = Duration(time.Minute)
	}
	return o
}

// Weighted reports that journeys count by their weights, not by their traffic.
func (o Objective) Weighted() bool {
	return slices.ContainsFunc(o.Journeys, func(j Journey) bool { return j.Weight > 0 })
}

var (
	label  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	status = regexp.MustCompile(`^([1-5]xx|[1-5][0-9][0-9]|none)$`)
)

// ParseShare reads "99.9%" or 99.9 as percent, and 0.999 as a fraction.
func ParseShare(text string) (float64, error) {
	text, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	text = strings.TrimSpace(text)
	n, err := strconv.ParseFloat(text, 64)
	if err == nil && (percent || n > 1) {
		if exact, err := strconv.ParseFloat(text+"e-2", 64); err == nil { // 99.99 / 100 is not 0.9999
			return exact, nil
		}
		n /= 100
	}
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("%q is not a share such as 99.9%%", text)
	}
	return n, nil
}

// CheckTarget refuses a share of good events that nobody can miss, or keep.
func CheckTarget(field string, t float64) error {
	switch {
	case math.IsNaN(t) || t <= 0:
		return fault.New(fault.Invalid, field, "a target must be above 0 %%").WithTry("99.9%%")
	case t >= 1:
		return fault.New(fault.Invalid, field, "a target of 100 %% leaves no budget: nothing may ever fail, and nothing could be changed").WithTry("99.9%%")
	}
	return nil
}

// Check refuses an objective that cannot be judged; field is the prefix of what
// the errors name.
func (o Objective) Check(field string) error {
	var errs []error
	bad := func(key, try, format string, args ...any) {
		errs = append(errs, fault.New(fault.Invalid, field+key, format, args...).WithTry("%s", try))
	}
	if !label.MatchString(o.Name) {
		bad(".name", "checkout-availability", "%q is not a name: a-z, 0-9 and -, at most 63", o.Name)
	}
	if !slices.Contains(ObjectiveKinds(), o.Kind) {
		bad(".kind", fmt.Sprintf("one of %v", ObjectiveKinds()), "%q is not a kind of objective", o.Kind)
	}
	if len([]rune(o.Description)) > MaxDescription {
		bad(".description", "shorten it", "it has more than %d characters", MaxDescription)
	}
	if o.Idle != "" && o.Idle != IdleUnknown && o.Idle != IdleGood && o.Idle != IdleBad {
		bad(".no_traffic", "good, unknown or bad", "%q does not say what time without traffic is", o.Idle)
	}
	errs = append(errs, CheckTarget(field+".target", o.Target), o.Window.Check(field+".window"))
	for _, list := range [][]string{o.Bad, o.Excluded} {
		for _, s := range list {
			if !status.MatchString(s) {
				bad(".bad", "5xx, 503, or none for requests that got no answer", "%q is no status", s)
			}
		}
	}
	o.checkSource(bad)
	o.checkSlice(bad)
	errs = append(errs, o.checkJourneys(field+".journeys"))
	return errors.Join(errs...)
}

type complain func(key, try, format string, args ...any)

// checkSource: an objective has exactly one source of events, and only what
// belongs to it.
func (o Objective) checkSource(bad complain) {
	queries := o.Query != "" || o.GoodQuery != "" || o.BadQuery != "" || o.TotalQuery != ""
	if o.Kind.OfRequests() && (queries || o.Probe != "") {
		bad(".query", "leave it out, or use freshness, end_to_end or durability", "%s is measured by the gateway, not by a query or a probe", o.Kind)
		return
	}
	if (o.Threshold > 0) != (o.Kind == Latency) {
		bad(".threshold", "threshold: 512ms", "a threshold and kind latency belong together")
	}
	if o.Bound != nil && (!slices.Contains([]string{"lt", "lte", "gt", "gte"}, o.Bound.Op) || math.IsNaN(o.Bound.Value) || math.IsInf(o.Bound.Value, 0)) {
		bad(".bound", "at_most: 60", "%s %v is no bound", o.Bound.Op, o.Bound.Value)
	}
	switch {
	case o.Kind == Throughput:
		if o.Bound == nil || o.Bound.Op != "gte" || o.Bound.Value <= 0 {
			bad(".at_least", "at_least: 50", "throughput needs a number of requests a second above 0")
		}
	case o.Kind.OfRequests():
		if o.Bound != nil {
			bad(".at_most", "leave it out", "%s has no bound", o.Kind)
		}
	default:
		o.checkQueries(bad)
	}
}

func (o Objective) checkQueries(bad complain) {
	for key, q := range map[string]string{".query": o.Query, ".good_query": o.GoodQuery, ".bad_query": o.BadQuery, ".total_query": o.TotalQuery} {
		if len(q) > MaxQuery {
			bad(key, "record it under a name of its own", "the query has %d bytes, at most %d are read", len(q), MaxQuery)
		}
	}
	counted := o.GoodQuery != "" || o.BadQuery != "" || o.TotalQuery != ""
	sources := 0
	for _, there := range []bool{o.Query != "", counted, o.Probe != ""} {
		if there {
			sources++
		}
	}
	switch {
	case sources != 1:
		bad(".query", "query with at_most or at_least; good_query (or bad_query) and total_query; or probe", "it names %d sources of events, want one", sources)
	case counted && (o.TotalQuery == "" || (o.GoodQuery == "") == (o.BadQuery == "")):
		bad(".total_query", "good_query: sum(increase(jobs_ok_total[$window]))", "events are counted by total_query and one of good_query and bad_query")
	case counted && !(strings.Contains(o.TotalQuery, WindowVariable) && strings.Contains(o.GoodQuery+o.BadQuery, WindowVariable)):
		bad(".total_query", "total_query: sum(increase(jobs_total[$window]))", "a query that counts must say over which time: %s is replaced by it", WindowVariable)
	case (o.Query != "") != (o.Bound != nil):
		bad(".at_most", "at_most: 60", "a query of one value and a bound belong together")
	case len(o.Journeys) > 0:
		bad(".journeys", "leave them out", "journeys are requests; %s is asked for with a query or a probe", o.Kind)
	}
}

func (o Objective) checkSlice(bad complain) {
	s := o.Filled().Slice
	switch {
	case s == (Slice{}):
	case s.Length < MinSlice || s.Length > MaxSlice:
		bad(".slices.length", "1m", "%s is not between %s and %s", s.Length, MinSlice, MaxSlice)
	case s.Target < 0 || s.Target > 1 || math.IsNaN(s.Target):
		bad(".slices.target", "95%", "%v is not a share from 0 %% to 100 %%", s.Target)
	case s.Target == 0 && o.Kind != Throughput && o.Query == "":
		bad(".slices.target", "95%", "a slice needs a share of good events")
	case o.Filled().Window.Longest()/s.Length.Std() > MaxSlices:
		bad(".slices.length", "1m", "the window has more than %d slices of %s", MaxSlices, s.Length)
	case s.Length.Std()*2 > o.Filled().Window.Longest():
		bad(".slices.length", "1m", "slices of %s are too long for this window", s.Length)
	}
}

func (o Objective) checkJourneys(field string) error {
	var errs []error
	if len(o.Journeys) > MaxJourneys {
		return fault.New(fault.Invalid, field, "%d journeys are more than %d", len(o.Journeys), MaxJourneys)
	}
	seen := map[string]bool{}
	for i, j := range o.Journeys {
		at := fmt.Sprintf("%s[%d]", field, i)
		errs = append(errs, j.Check(at))
		if seen[j.String()] {
			errs = append(errs, fault.New(fault.Invalid, at, "%s is there twice", j))
		}
		seen[j.String()] = true
		if o.Weighted() && j.Weight <= 0 {
			errs = append(errs, fault.New(fault.Invalid, at+".weight", "%s has no weight, others have", j).WithTry("weight: 1"))
		}
		if !o.Weighted() && j.Target != 0 {
			errs = append(errs, fault.New(fault.Invalid, at+".target", "journeys that are summed up have one target").WithTry("give each a weight, or remove the target"))
		}
	}
	return errors.Join(errs...)
}

// CheckObjectives refuses objectives of one app that cannot stand together.
func CheckObjectives(field string, all []Objective) error {
	if len(all) > MaxObjectives {
		return fault.New(fault.TooLarge, field, "%d objectives are more than %d", len(all), MaxObjectives).WithTry("three to five per journey are enough")
	}
	var errs []error
	seen := map[string]bool{}
	for i, o := range all {
		at := fmt.Sprintf("%s[%d]", field, i)
		errs = append(errs, o.Check(at))
		if seen[o.Name] {
			errs = append(errs, fault.New(fault.Invalid, at+".name", "two objectives are named %q", o.Name))
		}
		seen[o.Name] = true
	}
	return errors.Join(errs...)
}
