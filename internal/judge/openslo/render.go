package openslo

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"time"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
	"naru/internal/fault"
)

// Source is the spec of a metric source of type naru: what the gateway or a probe
// counts.
type Source struct {
	Kind      string   `yaml:"kind"`
	Journeys  []string `yaml:"journeys,omitempty"`
	Threshold string   `yaml:"threshold,omitempty"`
	Bad       []string `yaml:"bad,omitempty"`
	Excluded  []string `yaml:"excluded,omitempty"`
	Probe     string   `yaml:"probe,omitempty"`
}

// fromNaru lays such a spec over an objective.
func fromNaru(o *app.Objective, spec map[string]any) error {
	data, err := yaml.Marshal(spec)
	if err != nil {
		return err
	}
	var s Source
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil {
		return errors.New("spec of type naru: want kind, journeys, threshold, bad, excluded or probe")
	}
	o.Kind, o.Bad, o.Excluded, o.Probe = app.ObjectiveKind(s.Kind), s.Bad, s.Excluded, s.Probe
	if s.Threshold != "" {
		if err := o.Threshold.UnmarshalText([]byte(s.Threshold)); err != nil {
			return err
		}
	}
	for _, text := range s.Journeys {
		j, err := app.ParseJourney(text)
		if err != nil {
			return err
		}
		o.Journeys = append(o.Journeys, j)
	}
	return nil
}

// Render writes objects as documents of one file.
func Render(objects []Object) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	for _, o := range objects {
		if err := enc.Encode(o); err != nil {
			return nil, fmt.Errorf("write %s %s: %w", o.Kind, o.Metadata.Name, err)
		}
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("write objects: %w", err)
	}
	return out.Bytes(), nil
}

// FromObjectives is an app's objectives as SLOs. What Objectives makes of them is the
// same again; what OpenSLO cannot say is refused.
func FromObjectives(service string, all []app.Objective) ([]Object, error) {
	var out []Object
	for _, o := range all {
		if err := o.Check(o.Name); err != nil {
			return nil, err
		}
		for what, d := range map[string]time.Duration{"slices": o.Slice.Length.Std(), "a window": o.Filled().Window.Rolling.Std()} {
			if d%time.Minute != 0 {
				return nil, fault.New(fault.Unsupported, o.Name, "OpenSLO has whole minutes, and no words for %s of %s", what, d)
			}
		}
		out = append(out, sloOf(service, o))
	}
	return out, nil
}

func sloOf(service string, o app.Objective) Object {
	explicit := o.Filled()
	slo := &SLO{Description: o.Description, Service: service, TimeWindow: []Window{windowFrom(explicit.Window)}, Method: Occurrences}
	notes := map[string]string{}
	if o.Idle != "" {
		notes[NoTraffic] = string(o.Idle)
	}
	if !o.Kind.OfRequests() {
		notes[OfKind] = string(o.Kind)
	}
	goal := Objective{Target: &o.Target}
	if o.Slice.Length > 0 {
		slo.Method = Timeslices
		share := o.Slice.Target
		if share == 0 {
			share = 1
		}
		goal.TimeSliceTarget, goal.TimeSliceWindow = &share, app.Days(o.Slice.Length.Std())
	}
	if o.Bound != nil {
		goal.Op, goal.Value = o.Bound.Op, &o.Bound.Value
	}
	if !o.Weighted() {
		slo.Indicator = &Inline{Metadata{Name: o.Name}, sliFrom(o, o.Journeys)}
		slo.Objectives = []Objective{goal}
	} else {
		for i, j := range o.Journeys {
			part := goal
			weight := j.Weight
			part.Weight = &weight
			if target := j.Target; target != 0 {
				part.Target = &target
			}
			name := fmt.Sprintf("%.60s-%d", o.Name, i+1)
			part.Indicator = &Inline{Metadata{Name: name}, sliFrom(o, []app.Journey{j})}
			slo.Objectives = append(slo.Objectives, part)
		}
	}
	if len(notes) == 0 {
		notes = nil
	}
	return Object{APIVersion: Version, Kind: KindSLO, Metadata: Metadata{Name: o.Name, Annotations: notes}, Spec: slo}
}

func sliFrom(o app.Objective, journeys []app.Journey) SLI {
	prometheus := func(query string) *Metric {
		return &Metric{MetricSource{Type: TypePrometheus, Spec: map[string]any{"query": query}}}
	}
	switch {
	case o.Query != "":
		return SLI{ThresholdMetric: prometheus(o.Query)}
	case o.GoodQuery != "":
		return SLI{RatioMetric: &RatioMetric{Counter: true, Good: prometheus(o.GoodQuery), Total: prometheus(o.TotalQuery)}}
	case o.BadQuery != "":
		return SLI{RatioMetric: &RatioMetric{Counter: true, Bad: prometheus(o.BadQuery), Total: prometheus(o.TotalQuery)}}
	}
	spec := map[string]any{"kind": string(o.Kind)}
	texts := []string{}
	for _, j := range journeys {
		texts = append(texts, j.String())
	}
	for key, list := range map[string][]string{"journeys": texts, "bad": o.Bad, "excluded": o.Excluded} {
		if len(list) > 0 {
			spec[key] = list
		}
	}
	if o.Threshold > 0 {
		spec["threshold"] = o.Threshold.String()
	}
	if o.Probe != "" {
		spec["probe"] = o.Probe
	}
	m := &Metric{MetricSource{Type: TypeNaru, Spec: spec}}
	if o.Kind == app.Throughput {
		return SLI{ThresholdMetric: m}
	}
	total := maps.Clone(spec)
	total["kind"] = "all" // every request that counts, good or not
	return SLI{RatioMetric: &RatioMetric{Counter: true, Good: m, Total: &Metric{MetricSource{Type: TypeNaru, Spec: total}}}}
}

func windowFrom(w app.Window) Window {
	if w.Rolling > 0 {
		return Window{Duration: app.Days(w.Rolling.Std()), IsRolling: true}
	}
	unit := map[app.Calendar]string{app.Day: "d", app.Week: "w", app.Month: "M", app.Quarter: "Q", app.Year: "Y"}[w.Calendar]
	start, zone := firstStart, "UTC"
	if w.Start != "" {
		start = w.Start
	}
	if w.Zone != "" {
		zone = w.Zone
	}
	at, err := time.Parse(app.WallClock, start)
	if err != nil {
		return Window{} // a checked window has a start that can be read
	}
	return Window{Duration: fmt.Sprintf("%d%s", max(w.Every, 1), unit), Calendar: &Calendar{StartTime: at.Format(time.DateTime), TimeZone: zone}}
}
