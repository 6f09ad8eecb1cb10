package objective

import (
	"fmt"
	"strings"

	"naru/internal/app"
)

// Describe is an objective in words: "99.95 % of GET /profile/{users} do not fail,
// over 28d".
func Describe(o app.Objective) string {
	o = o.Filled()
	of := "all requests"
	if len(o.Journeys) > 0 {
		names := make([]string, len(o.Journeys))
		for i, j := range o.Journeys {
			names[i] = j.String()
		}
		of = strings.Join(names, ", ")
	}
	part := Percent(o.Target) + " of "
	if o.Slice.Length > 0 {
		part += fmt.Sprintf("the slices of %s: ", app.Days(o.Slice.Length.Std()))
		if o.Slice.Target > 0 && o.Kind != app.Throughput && o.Query == "" {
			part += Percent(o.Slice.Target) + " of "
		}
	}
	switch {
	case o.Kind == app.Availability:
		part += of + " do not fail"
	case o.Kind == app.Latency:
		part += fmt.Sprintf("%s are answered well within %s", of, o.Threshold)
	case o.Kind == app.Throughput:
		part += fmt.Sprintf("%s are at least %g a second", of, o.Bound.Value)
	case o.Probe != "":
		part += fmt.Sprintf("the runs of the probe %s are good", o.Probe)
	case o.Query != "":
		part += fmt.Sprintf("%s is %s %g", o.Query, map[string]string{"lt": "below", "lte": "at most", "gt": "above", "gte": "at least"}[o.Bound.Op], o.Bound.Value)
	default:
		part += "the events of " + o.TotalQuery + " are good"
	}
	return part + ", over " + o.Window.String()
}
