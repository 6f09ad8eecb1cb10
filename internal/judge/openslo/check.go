package openslo

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
)

var (
	dnsLabel   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	labelKey   = regexp.MustCompile(`^[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$`)
	annotation = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*/)?[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$`)
	shorthand  = regexp.MustCompile(`^([1-9][0-9]{0,5})([mhdwMQY])$`)
)

// Methods of budgeting.
const (
	Occurrences     = "Occurrences"
	Timeslices      = "Timeslices"
	RatioTimeslices = "RatioTimeslices"
)

var operators = []string{"lte", "gte", "lt", "gt"}

func (c *checker) object(o Object) {
	c.metadata("metadata", o.Metadata)
	switch s := o.Spec.(type) {
	case *Service:
		c.description("spec", s.Description)
	case *DataSource:
		c.description("spec", s.Description)
		c.needed("spec.type", s.Type)
		if s.Details == nil {
			c.bad("spec.connectionDetails", "it is missing")
		}
	case *SLI:
		c.sli("spec", *s)
	case *SLO:
		c.slo("spec", *s)
	case *AlertPolicy:
		c.policy("spec", *s)
	case *AlertCondition:
		c.condition("spec", *s)
	case *NotificationTarget:
		c.target("spec", *s)
	}
}

func (c *checker) metadata(path string, m Metadata) {
	c.ref(path+".name", m.Name)
	for key := range m.Labels {
		if !labelKey.MatchString(key) {
			c.bad(path+".labels", "%q is no key of a label", key)
		}
	}
	for key := range m.Annotations {
		if !annotation.MatchString(key) || len(key) > 317 {
			c.bad(path+".annotations", "%q is no key of an annotation", key)
		}
	}
}

func (c *checker) description(path, text string) {
	if len([]rune(text)) > app.MaxDescription {
		c.bad(path+".description", "it has more than %d characters", app.MaxDescription)
	}
}

func (c *checker) needed(path, text string) {
	if text == "" {
		c.bad(path, "it is missing")
	}
}

func (c *checker) ref(path, name string) {
	if !dnsLabel.MatchString(name) {
		c.bad(path, "%q is no name: a-z, 0-9 and -, at most 63", name)
	}
}

func (c *checker) duration(path, text string) {
	if !shorthand.MatchString(text) {
		c.bad(path, "%q is no duration: a number with one of m h d w M Q Y", text)
	}
}

func (c *checker) sli(path string, s SLI) {
	c.description(path, s.Description)
	switch {
	case (s.ThresholdMetric == nil) == (s.RatioMetric == nil):
		c.bad(path, "want one of thresholdMetric and ratioMetric")
	case s.ThresholdMetric != nil:
		c.metric(path+".thresholdMetric", s.ThresholdMetric)
	default:
		c.ratio(path+".ratioMetric", *s.RatioMetric)
	}
}

func (c *checker) ratio(path string, r RatioMetric) {
	switch {
	case (r.Raw == nil) == (r.Total == nil):
		c.bad(path, "want total with good or bad, or raw")
		return
	case r.Raw != nil && (r.Good != nil || r.Bad != nil):
		c.bad(path, "raw stands alone")
	case r.Raw != nil && r.RawType != "success" && r.RawType != "failure":
		c.bad(path+".rawType", "%q is not success or failure", r.RawType)
	case r.Raw == nil && (r.Good == nil) == (r.Bad == nil):
		c.bad(path, "want one of good and bad beside total")
	}
	for key, m := range map[string]*Metric{"good": r.Good, "bad": r.Bad, "total": r.Total, "raw": r.Raw} {
		if m != nil {
			c.metric(path+"."+key, m)
		}
	}
}

func (c *checker) metric(path string, m *Metric) {
	path += ".metricSource"
	if m.Source.Ref != "" {
		c.ref(path+".metricSourceRef", m.Source.Ref)
	} else if m.Source.Type == "" {
		c.bad(path, "want a type, or the name of a data source")
	}
	if len(m.Source.Spec) == 0 {
		c.bad(path+".spec", "it is missing")
	}
}

func (c *checker) slo(path string, s SLO) {
	c.description(path, s.Description)
	c.needed(path+".service", s.Service)
	if !slices.Contains([]string{Occurrences, Timeslices, RatioTimeslices}, s.Method) {
		c.bad(path+".budgetingMethod", "%q is not Occurrences, Timeslices or RatioTimeslices", s.Method)
	}
	c.windows(path+".timeWindow", s.TimeWindow)
	composite := slices.ContainsFunc(s.Objectives, func(o Objective) bool { return o.Indicator != nil || o.IndicatorRef != "" })
	switch own := s.Indicator != nil || s.IndicatorRef != ""; {
	case own && composite:
		c.bad(path, "indicators are either at the SLO or at its objectives, not both")
	case !own && !composite:
		c.bad(path, "it has no indicator")
	case own:
		c.indicator(path, s.Indicator, s.IndicatorRef)
	}
	switch {
	case len(s.Objectives) == 0:
		c.bad(path+".objectives", "there is none")
	case len(s.Objectives) > app.MaxJourneys:
		c.bad(path+".objectives", "%d are more than %d", len(s.Objectives), app.MaxJourneys)
	case len(s.Objectives) > 1 && s.Indicator != nil && s.Indicator.Spec.ThresholdMetric != nil:
		c.bad(path+".objectives", "with a thresholdMetric there is one objective")
	}
	for i, o := range s.Objectives {
		at := fmt.Sprintf("%s.objectives.%d", path, i)
		sli := s.Indicator
		if composite {
			c.indicator(at, o.Indicator, o.IndicatorRef)
			sli = o.Indicator
		}
		c.objective(at, o, s.Method, sli)
	}
	for i, p := range s.AlertPolicies {
		at := fmt.Sprintf("%s.alertPolicies.%d", path, i)
		if c.either(at, "alertPolicyRef", p.Ref, p.Kind, KindPolicy, p.Metadata, p.Spec != nil) {
			c.policy(at+".spec", *p.Spec)
		}
	}
}

func (c *checker) indicator(path string, in *Inline, ref string) {
	switch {
	case (in == nil) == (ref == ""):
		c.bad(path, "want one of indicator and indicatorRef")
	case ref != "":
		c.ref(path+".indicatorRef", ref)
	default:
		c.metadata(path+".indicator.metadata", in.Metadata)
		c.sli(path+".indicator.spec", in.Spec)
	}
}

func (c *checker) objective(path string, o Objective, method string, sli *Inline) {
	switch {
	case (o.Target == nil) == (o.TargetPercent == nil):
		c.bad(path, "want one of target and targetPercent")
	case o.Target != nil && !(*o.Target >= 0 && *o.Target < 1):
		c.bad(path+".target", "%v is not from 0 to below 1", *o.Target)
	case o.TargetPercent != nil && !(*o.TargetPercent >= 0 && *o.TargetPercent < 100):
		c.bad(path+".targetPercent", "%v is not from 0 to below 100", *o.TargetPercent)
	}
	if o.Op != "" && !slices.Contains(operators, o.Op) {
		c.bad(path+".op", "%q is not one of %v", o.Op, operators)
	}
	if sli != nil && sli.Spec.ThresholdMetric != nil && (o.Op == "" || o.Value == nil) {
		c.bad(path, "a thresholdMetric needs op and value")
	}
	if sli != nil && sli.Spec.RatioMetric != nil && o.Value != nil {
		c.bad(path+".value", "a ratioMetric has no value to compare") // op alone is in published examples, and harmless
	}
	if method == Timeslices && (o.TimeSliceTarget == nil || !(*o.TimeSliceTarget > 0 && *o.TimeSliceTarget <= 1)) {
		c.bad(path+".timeSliceTarget", "Timeslices needs one above 0 and at most 1")
	}
	if method == Timeslices || method == RatioTimeslices {
		if _, err := sliceWindow(o.TimeSliceWindow); err != nil {
			c.bad(path+".timeSliceWindow", "%s", err)
		}
	}
	if o.Weight != nil && !(*o.Weight > 0) {
		c.bad(path+".compositeWeight", "%v is not above 0", *o.Weight)
	}
}

// sliceWindow reads a duration; a number alone is minutes.
func sliceWindow(text string) (time.Duration, error) {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil && n > 0 {
		return time.Duration(n) * time.Minute, nil
	}
	m := shorthand.FindStringSubmatch(text)
	if m == nil || !strings.Contains("mhdw", m[2]) {
		return 0, fmt.Errorf("%q is no length of a slice, such as 1m", text)
	}
	return rolling(m), nil
}

// rolling is a duration; months and longer are as OpenSLO's own tools take them.
func rolling(m []string) time.Duration {
	n, _ := strconv.Atoi(m[1]) // the pattern has at most six digits
	const day = 24 * time.Hour
	return time.Duration(n) * map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": day, "w": 7 * day, "M": 30 * day, "Q": 90 * day, "Y": 365 * day}[m[2]]
}

func (c *checker) windows(path string, all []Window) {
	if len(all) == 0 {
		return // optional: DefaultWindow
	}
	if len(all) != 1 {
		c.bad(path, "there are %d windows, want one", len(all))
		return
	}
	w, path := all[0], path+".0"
	c.duration(path+".duration", w.Duration)
	switch {
	case w.IsRolling && w.Calendar != nil:
		c.bad(path+".calendar", "a rolling window has no calendar")
	case !w.IsRolling && w.Calendar == nil:
		c.bad(path, "want isRolling: true or a calendar")
	case w.Calendar != nil:
		if _, err := time.Parse(time.DateTime, w.Calendar.StartTime); err != nil {
			c.bad(path+".calendar.startTime", "%q is not of the form 2026-01-21 12:30:00", w.Calendar.StartTime)
		}
		if _, err := time.LoadLocation(w.Calendar.TimeZone); err != nil || w.Calendar.TimeZone == "" || w.Calendar.TimeZone == "Local" {
			c.bad(path+".calendar.timeZone", "%q is no time zone", w.Calendar.TimeZone)
		}
	}
}

// either checks that something is named or written out, and reports the latter.
func (c *checker) either(path, refKey, ref string, kind, want Kind, m *Metadata, spec bool) bool {
	switch {
	case (ref == "") != (spec || m != nil || kind != ""):
		c.bad(path, "want %s, or a whole %s", refKey, want)
	case ref != "":
		c.ref(path+"."+refKey, ref)
	case kind != want:
		c.bad(path+".kind", "%q is not %s", kind, want)
	case m == nil || !spec:
		c.bad(path, "want metadata and spec of the %s", want)
	default:
		c.metadata(path+".metadata", *m)
		return true
	}
	return false
}

func (c *checker) policy(path string, p AlertPolicy) {
	c.description(path, p.Description)
	if len(p.Conditions) != 1 {
		c.bad(path+".conditions", "there are %d conditions, want one: several windows need a policy each", len(p.Conditions))
	}
	for i, x := range p.Conditions {
		at := fmt.Sprintf("%s.conditions.%d", path, i)
		if c.either(at, "conditionRef", x.Ref, x.Kind, KindCondition, x.Metadata, x.Spec != nil) {
			c.condition(at+".spec", *x.Spec)
		}
	}
	if len(p.NotificationTargets) == 0 {
		c.bad(path+".notificationTargets", "there is none")
	}
	for i, x := range p.NotificationTargets {
		at := fmt.Sprintf("%s.notificationTargets.%d", path, i)
		if c.either(at, "targetRef", x.Ref, x.Kind, KindTarget, x.Metadata, x.Spec != nil) {
			c.target(at+".spec", *x.Spec)
		}
	}
}

func (c *checker) condition(path string, a AlertCondition) {
	c.description(path, a.Description)
	c.needed(path+".severity", a.Severity)
	b, path := a.Condition, path+".condition"
	if b.Kind != "" && b.Kind != "burnrate" {
		c.bad(path+".kind", "%q is not burnrate", b.Kind)
	}
	if !slices.Contains(operators, b.Op) {
		c.bad(path+".op", "%q is not one of %v", b.Op, operators)
	}
	if b.Threshold == nil {
		c.bad(path+".threshold", "it is missing")
	}
	c.duration(path+".lookbackWindow", b.Lookback)
	if b.After != "" && b.After != "0m" {
		c.duration(path+".alertAfter", b.After)
	}
}

func (c *checker) target(path string, t NotificationTarget) {
	c.description(path, t.Description)
	c.needed(path+".target", t.Target)
}
