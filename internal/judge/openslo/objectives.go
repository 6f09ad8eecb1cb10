package openslo

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
)

// Types of metric sources that are judged.
const (
	TypePrometheus = "Prometheus" // spec.query in PromQL
	TypeNaru       = "naru"       // the gateway's own counters, or a probe: see Source
)

// Annotations that carry what OpenSLO has no word for.
const (
	NoTraffic = "naru/no-traffic" // good, unknown, bad
	OfKind    = "naru/kind"       // freshness, end_to_end, durability
)

// Declared is an objective with the service that it is of: an app's name.
type Declared struct {
	Service   string
	Objective app.Objective
	File      string // where its SLO begins
	Line      int
}

// Objectives turns the SLOs among objects into objectives of naru's. References are
// looked up among the objects. The error names each SLO that cannot be judged, with
// the reason.
func Objectives(objects []Object) ([]Declared, error) {
	slis, types := map[string]*SLI{}, map[string]string{}
	for _, o := range objects {
		switch s := o.Spec.(type) {
		case *SLI:
			slis[o.Metadata.Name] = s
		case *DataSource:
			types[o.Metadata.Name] = s.Type
		}
	}
	var out []Declared
	var errs []error
	seen := map[string]bool{}
	for _, o := range objects {
		s, ok := o.Spec.(*SLO)
		if !ok {
			continue
		}
		t := translation{slo: s, name: o.Metadata.Name, annotations: o.Metadata.Annotations, slis: slis, types: types}
		all, err := t.objectives()
		for i := range all {
			if err == nil {
				err = all[i].Check("objective")
			}
			if err == nil && seen[s.Service+"/"+all[i].Name] {
				err = fmt.Errorf("there are two objectives %q of %s", all[i].Name, s.Service)
			}
			seen[s.Service+"/"+all[i].Name] = true
		}
		if err != nil {
			errs = append(errs, fault.New(fault.Unsupported, fmt.Sprintf("%s:%d: %s", o.File, o.Line, o.Metadata.Name), "it is right, and naru cannot judge it: %s", err))
			continue
		}
		for _, one := range all {
			out = append(out, Declared{s.Service, one, o.File, o.Line})
		}
	}
	return out, errors.Join(errs...)
}

type translation struct {
	slo         *SLO
	name        string
	annotations map[string]string
	slis        map[string]*SLI
	types       map[string]string
}

func (t translation) objectives() ([]app.Objective, error) {
	window, err := windowOf(t.slo.TimeWindow)
	if err != nil {
		return nil, err
	}
	base := app.Objective{Name: t.name, Description: t.slo.Description, Window: window, Idle: app.Idle(t.annotations[NoTraffic])}
	if t.slo.Indicator == nil && t.slo.IndicatorRef == "" {
		o, err := t.composite(base)
		return []app.Objective{o}, err
	}
	sli, err := t.indicator(t.slo.Indicator, t.slo.IndicatorRef)
	if err != nil {
		return nil, err
	}
	var out []app.Objective
	for i, target := range t.slo.Objectives {
		o := base
		if len(t.slo.Objectives) > 1 {
			o.Name = fmt.Sprintf("%s-%d", t.name, i+1)
		}
		if o, err = t.one(o, target, sli); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

func (t translation) indicator(in *Inline, ref string) (*SLI, error) {
	if in != nil {
		return &in.Spec, nil
	}
	if sli := t.slis[ref]; sli != nil {
		return sli, nil
	}
	return nil, fmt.Errorf("there is no SLI %q among the files", ref)
}

// composite is possible where all parts are journeys of one kind: those are weighed.
func (t translation) composite(base app.Objective) (app.Objective, error) {
	var whole app.Objective
	for i, part := range t.slo.Objectives {
		sli, err := t.indicator(part.Indicator, part.IndicatorRef)
		if err != nil {
			return whole, err
		}
		o, err := t.one(base, part, sli)
		if err != nil {
			return whole, err
		}
		if !o.Kind.OfRequests() || len(o.Journeys) != 1 {
			return whole, errors.New("only parts that are a journey of type naru each can be weighed into one")
		}
		j := o.Journeys[0]
		j.Weight, j.Target = 1, o.Target
		if part.Weight != nil {
			j.Weight = *part.Weight
		}
		o.Journeys, o.Target = nil, 0
		if i == 0 {
			whole = o
			whole.Target = j.Target // of parts that name none, and there is none
		}
		if fmt.Sprintf("%+v", flat(o)) != fmt.Sprintf("%+v", flat(whole)) {
			return whole, errors.New("its parts differ in more than journey, target and weight")
		}
		whole.Journeys = append(whole.Journeys, j)
	}
	for i := range whole.Journeys {
		if whole.Journeys[i].Target == whole.Target {
			whole.Journeys[i].Target = 0
		}
	}
	return whole, nil
}

// flat is what parts of a composite must have in common.
func flat(o app.Objective) app.Objective {
	o.Journeys, o.Target = nil, 0
	if o.Bound != nil {
		o.Description += fmt.Sprint(*o.Bound)
		o.Bound = nil
	}
	return o
}

// one is an objective with one target of the SLO.
func (t translation) one(o app.Objective, target Objective, sli *SLI) (app.Objective, error) {
	var err error
	if target.Target != nil {
		o.Target = *target.Target
	} else if o.Target, err = app.ParseShare(fmt.Sprint(*target.TargetPercent) + "%"); err != nil {
		return o, err
	}
	if t.slo.Method == RatioTimeslices {
		return o, errors.New("RatioTimeslices is the mean of the slices' ratios, in which a quiet minute weighs as much as a busy one; Occurrences and Timeslices are judged")
	}
	if t.slo.Method == Timeslices {
		length, err := sliceWindow(target.TimeSliceWindow)
		if err != nil {
			return o, err
		}
		o.Slice = app.Slice{Length: app.Duration(length), Target: *target.TimeSliceTarget}
	}
	if sli.ThresholdMetric != nil {
		return t.threshold(o, target, sli.ThresholdMetric.Source)
	}
	return t.ratio(o, target, *sli.RatioMetric)
}

func (t translation) source(m MetricSource) (kind, query string, err error) {
	kind = m.Type
	if kind == "" {
		if kind = t.types[m.Ref]; kind == "" {
			return "", "", fmt.Errorf("there is no data source %q among the files", m.Ref)
		}
	}
	switch strings.ToLower(kind) {
	case TypeNaru:
		return TypeNaru, "", nil
	case strings.ToLower(TypePrometheus):
		query, _ = m.Spec["query"].(string)
		if query == "" {
			return "", "", errors.New("spec.query of a Prometheus source is missing")
		}
		return TypePrometheus, strings.TrimSpace(strings.ReplaceAll(query, "{{.window}}", app.WindowVariable)), nil
	}
	return "", "", fmt.Errorf("metrics of type %s are not read; %s (PromQL over what naru keeps) and %s are", kind, TypePrometheus, TypeNaru)
}

func (t translation) kindOr(usual app.ObjectiveKind) app.ObjectiveKind {
	if k := t.annotations[OfKind]; k != "" {
		return app.ObjectiveKind(k)
	}
	return usual
}

// threshold is a value that is asked for in each slice.
func (t translation) threshold(o app.Objective, target Objective, m MetricSource) (app.Objective, error) {
	kind, query, err := t.source(m)
	if err != nil {
		return o, err
	}
	if target.Value == nil || target.Op == "" { // not checked yet where the SLI is only named
		return o, errors.New("a thresholdMetric needs op and value")
	}
	o.Slice.Target = 0 // the value is asked for once in each slice: any share of one is all of it
	o.Bound = &app.Bound{Op: target.Op, Value: *target.Value}
	if kind == TypeNaru {
		err := fromNaru(&o, m.Spec)
		return o, err
	}
	o.Kind, o.Query = t.kindOr(app.Freshness), query
	return o, nil
}

func (t translation) ratio(o app.Objective, target Objective, r RatioMetric) (app.Objective, error) {
	if r.Raw != nil {
		kind, query, err := t.source(r.Raw.Source)
		switch {
		case err != nil:
			return o, err
		case kind == TypeNaru:
			return o, errors.New("type naru has counts, and no ratio that is worked out already")
		case t.slo.Method != Timeslices:
			return o, errors.New("of a ratio that is worked out already the events cannot be counted; Timeslices can be judged")
		}
		o.Kind, o.Query = t.kindOr(app.EndToEnd), query
		o.Bound = &app.Bound{Op: "gte", Value: o.Slice.Target}
		if r.RawType == "failure" {
			o.Bound = &app.Bound{Op: "lte", Value: 1 - o.Slice.Target}
		}
		o.Slice.Target = 0
		return o, nil
	}
	part := r.Good
	if part == nil {
		part = r.Bad
	}
	kind, query, err := t.source(part.Source)
	if err != nil {
		return o, err
	}
	totalKind, total, err := t.source(r.Total.Source)
	switch {
	case err != nil:
		return o, err
	case kind != totalKind:
		return o, fmt.Errorf("it counts some events with %s and all with %s", kind, totalKind)
	case kind == TypeNaru && r.Good == nil:
		return o, errors.New("type naru counts good events, not bad ones")
	case kind == TypeNaru:
		err := fromNaru(&o, part.Source.Spec)
		return o, err
	}
	o.Kind, o.TotalQuery = t.kindOr(app.EndToEnd), total
	if r.Good != nil {
		o.GoodQuery = query
	} else {
		o.BadQuery = query
	}
	return o, nil
}

// firstStart is where periods begin that say nothing else.
const firstStart = "2001-01-01T00:00"

// windowOf reads a time window. A calendar's minute is no window: who writes 1m
// there means 1M.
func windowOf(all []Window) (app.Window, error) {
	if len(all) == 0 {
		return app.DefaultWindow, nil
	}
	w := all[0]
	m := shorthand.FindStringSubmatch(w.Duration)
	if m == nil {
		return app.Window{}, fmt.Errorf("%q is no duration", w.Duration)
	}
	if w.IsRolling {
		out := app.Window{Rolling: app.Duration(rolling(m))}
		return out, out.Check("timeWindow")
	}
	unit, ok := map[string]app.Calendar{"d": app.Day, "w": app.Week, "M": app.Month, "Q": app.Quarter, "Y": app.Year}[m[2]]
	if !ok {
		return app.Window{}, fmt.Errorf("a window of the calendar of %s (m is minutes, M months): want d, w, M, Q or Y", w.Duration)
	}
	start, err := time.Parse(time.DateTime, w.Calendar.StartTime)
	if err != nil {
		return app.Window{}, err
	}
	if start.Second() != 0 {
		return app.Window{}, fmt.Errorf("%s does not begin with a minute", w.Calendar.StartTime)
	}
	out := app.Window{Calendar: unit, Start: start.Format(app.WallClock), Zone: w.Calendar.TimeZone}
	if out.Start == firstStart {
		out.Start = ""
	}
	if out.Zone == "UTC" {
		out.Zone = ""
	}
	if _, err := fmt.Sscan(m[1], &out.Every); err != nil {
		return app.Window{}, err
	}
	if out.Every == 1 {
		out.Every = 0
	}
	return out, out.Check("timeWindow")
}
