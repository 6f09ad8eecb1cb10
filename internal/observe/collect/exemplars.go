package collect

import (
	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/observe/meter"
	"naru/internal/observe/metrics"
)

// exemplars finds the buckets of those whose pairs were written in this round.
func (g *gateways) exemplars(all []meter.Exemplar) []metrics.Exemplar {
	var out []metrics.Exemplar
	for _, e := range all {
		pair, there := g.last[[2]string{e.Route, e.Group}]
		if !there {
			continue
		}
		of := g.groups[keyOf(pair.group)]
		if of == nil {
			continue
		}
		if s := of.series[duration+"_bucket\x00"+bounds[e.Bucket]]; s != nil {
			out = append(out, metrics.Exemplar{Series: s, Trace: e.Trace, At: e.At, Value: e.Took.Seconds()})
		}
	}
	return out
}

// keyOf is what labels are found by.
func keyOf(of []labels.Label) string {
	var b []byte
	for _, l := range of {
		b = append(append(append(append(b, l.Name...), 0), l.Value...), 0)
	}
	return string(b)
}
