package prometheus

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"naru/internal/observe/metrics"
)

// succeed writes an answer around data, which is JSON.
func succeed(w http.ResponseWriter, data []byte, warnings, infos []string) error {
	w.Header().Set("Content-Type", "application/json")
	b := append([]byte(`{"status":"success","data":`), data...)
	for _, more := range []struct {
		name string
		all  []string
	}{{"warnings", warnings}, {"infos", infos}} {
		if len(more.all) > 0 {
			text, err := json.Marshal(more.all)
			if err != nil {
				return err
			}
			b = append(b, `,"`+more.name+`":`...)
			b = append(b, text...)
		}
	}
	_, _ = w.Write(append(b, '}')) // whether the client still reads is its own affair
	return nil
}

// succeedWith writes a value as the answer.
func succeedWith(w http.ResponseWriter, v any, warnings ...string) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return succeed(w, data, warnings, nil)
}

// encode writes what a query found as Prometheus does.
func encode(w http.ResponseWriter, a *metrics.Answer) error {
	b := append([]byte(`{"resultType":"`), string(a.Type())...)
	b = append(b, `","result":`...)
	switch v := a.Value.(type) {
	case promql.Vector:
		b = append(b, '[')
		for i, s := range v {
			b = appendMetric(b, i, s.Metric)
			if s.H != nil {
				b = append(b, `,"histogram":`...)
				b = appendHistogram(b, s.T, s.H)
			} else {
				b = append(b, `,"value":`...)
				b = appendPoint(b, s.T, s.F)
			}
			b = append(b, '}')
		}
		b = append(b, ']')
	case promql.Matrix:
		b = append(b, '[')
		for i, s := range v {
			b = appendMetric(b, i, s.Metric)
			if len(s.Floats) > 0 {
				b = append(b, `,"values":[`...)
				for j, p := range s.Floats {
					b = appendPoint(comma(b, j), p.T, p.F)
				}
				b = append(b, ']')
			}
			if len(s.Histograms) > 0 {
				b = append(b, `,"histograms":[`...)
				for j, p := range s.Histograms {
					b = appendHistogram(comma(b, j), p.T, p.H)
				}
				b = append(b, ']')
			}
			b = append(b, '}')
		}
		b = append(b, ']')
	case promql.Scalar:
		b = appendPoint(b, v.T, v.V)
	case promql.String:
		b = appendTime(append(b, '['), v.T)
		b = append(appendString(append(b, ','), v.V), ']')
	default:
		return fmt.Errorf("encode a %s", a.Type())
	}
	return succeed(w, append(b, '}'), a.Warnings, a.Infos)
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

// appendMetric begins the i-th series of a list.
func appendMetric(b []byte, i int, l labels.Labels) []byte {
	b = append(comma(b, i), `{"metric":`...)
	return appendLabels(b, l)
}

func appendLabels(b []byte, l labels.Labels) []byte {
	b = append(b, '{')
	first := true
	l.Range(func(l labels.Label) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendString(b, l.Name)
		b = appendString(append(b, ':'), l.Value)
	})
	return append(b, '}')
}

func appendPoint(b []byte, t int64, v float64) []byte {
	b = appendTime(append(b, '['), t)
	return append(appendFloat(append(b, ','), v), ']')
}

// appendTime writes milliseconds as seconds.
func appendTime(b []byte, ms int64) []byte {
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
}

// appendFloat writes a number as a string, as Prometheus does.
func appendFloat(b []byte, v float64) []byte {
	b = append(b, '"')
	form := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	return append(strconv.AppendFloat(b, v, form, -1, 64), '"')
}

func appendHistogram(b []byte, t int64, h *histogram.FloatHistogram) []byte {
	b = appendTime(append(b, '['), t)
	b = appendFloat(append(b, `,{"count":`...), h.Count)
	b = appendFloat(append(b, `,"sum":`...), h.Sum)
	first := true
	for it := h.AllBucketIterator(); it.Next(); {
		bucket := it.At()
		if bucket.Count == 0 {
			continue
		}
		if first {
			b = append(b, `,"buckets":[`...)
		} else {
			b = append(b, ',')
		}
		first = false
		bounds := 2 // open on the left
		switch {
		case bucket.LowerInclusive && bucket.UpperInclusive:
			bounds = 3
		case bucket.LowerInclusive:
			bounds = 1
		case bucket.UpperInclusive:
			bounds = 0
		}
		b = strconv.AppendInt(append(b, '['), int64(bounds), 10)
		b = appendFloat(append(b, ','), bucket.Lower)
		b = appendFloat(append(b, ','), bucket.Upper)
		b = append(appendFloat(append(b, ','), bucket.Count), ']')
	}
	if !first {
		b = append(b, ']')
	}
	return append(b, "}]"...)
}

// appendString writes a JSON string.
func appendString(b []byte, s string) []byte {
	text, _ := json.Marshal(s) // a string can always be written
	return append(b, text...)
}
