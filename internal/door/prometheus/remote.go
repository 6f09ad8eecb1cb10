package prometheus

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
)

// unpack reads a body that is packed with snappy.
func (d *Door) unpack(r *http.Request) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "snappy" {
		return nil, fault.New(fault.Unsupported, "Content-Encoding", "%q is not read here, only snappy", clip(e))
	}
	packed, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	n, err := snappy.DecodedLen(packed)
	switch {
	case err != nil:
		return nil, fault.New(fault.Invalid, "", "the body is not packed with snappy")
	case int64(n) > d.cfg.BodyBytes:
		return nil, fault.New(fault.TooLarge, "", "the request would have %d bytes, at most %d are read", n, d.cfg.BodyBytes)
	}
	text, err := snappy.Decode(nil, packed)
	if err != nil {
		return nil, fault.New(fault.Invalid, "", "the body is not packed with snappy")
	}
	return text, nil
}

// remoteWrite takes samples of another Prometheus, in version 1 or 2 of its
// protocol.
func (d *Door) remoteWrite(w http.ResponseWriter, r *http.Request, who auth.Identity) error {
	place, err := d.places.Writable(r.Context(), who, r.URL.Query().Get("space"))
	if err != nil {
		return err
	}
	text, err := d.unpack(r)
	if err != nil {
		return err
	}
	var points []metrics.Point
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && kind == "application/x-protobuf" && params["proto"] == "io.prometheus.write.v2.Request" {
		points, err = d.pointsV2(text, place)
	} else {
		points, err = d.pointsV1(text, place)
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, "", err)
	}
	got, err := d.store.Write(r.Context(), time.Now(), points)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(got.Written))
	h.Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
	h.Set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
	switch {
	case got.Refused > 0:
		// A client that is told so does not try again: the rest is written.
		return fault.New(fault.Invalid, "", "%d samples are of series over the limit of the space (metrics.series_per_app, metrics.series); the others are written", got.Refused).
			WithTry("write fewer label values")
	case got.Late > 0 && got.Written == 0:
		return fault.New(fault.Invalid, "", "all %d samples are too old, or of a time that has not come", got.Late)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ours are the labels that a space's series get, whatever the sender says.
func ours(p collect.Place) []promlabels.Label {
	p.App = ""
	return p.Labels()
}

func (d *Door) pointsV1(text []byte, place collect.Place) (points []metrics.Point, err error) {
	var in prompb.WriteRequest
	if err := in.Unmarshal(text); err != nil {
		return nil, errors.New("the body is no write request")
	}
	b := promlabels.NewScratchBuilder(16)
	for _, m := range in.Metadata {
		d.store.Describe(place.SpaceID, m.MetricFamilyName, metrics.Metadata{Type: types[m.Type], Help: m.Help, Unit: m.Unit})
	}
	for i := range in.Timeseries {
		ts := &in.Timeseries[i]
		l, err := metrics.Foreign(ours(place), ts.ToLabels(&b, nil))
		if err != nil {
			return nil, err
		}
		s := &metrics.Series{Labels: l}
		for _, p := range ts.Samples {
			points = append(points, metrics.Point{Series: s, At: p.Timestamp, Value: p.Value})
		}
		for _, h := range ts.Histograms {
			points = append(points, metrics.Point{Series: s, At: h.Timestamp, Histogram: float(h.IsFloatHistogram(), h.ToIntHistogram, h.ToFloatHistogram)})
		}
	}
	return points, check(points)
}

func (d *Door) pointsV2(text []byte, place collect.Place) (points []metrics.Point, err error) {
	var in writev2.Request
	if err := in.Unmarshal(text); err != nil {
		return nil, errors.New("the body is no write request of version 2")
	}
	b := promlabels.NewScratchBuilder(16)
	for i := range in.Timeseries {
		ts := &in.Timeseries[i]
		if len(ts.LabelsRefs)%2 != 0 {
			return nil, errors.New("a label has no value")
		}
		for _, ref := range append(ts.LabelsRefs, ts.Metadata.HelpRef, ts.Metadata.UnitRef) {
			if int(ref) >= len(in.Symbols) {
				return nil, errors.New("a label is no symbol of the request")
			}
		}
		theirs, err := ts.ToLabels(&b, in.Symbols)
		if err != nil {
			return nil, err
		}
		l, err := metrics.Foreign(ours(place), theirs)
		if err != nil {
			return nil, err
		}
		if m := ts.Metadata; m.Type != 0 {
			d.store.Describe(place.SpaceID, l.Get(model.MetricNameLabel), metrics.Metadata{
				Type: types[prompb.MetricMetadata_MetricType(m.Type)], Help: in.Symbols[m.HelpRef], Unit: in.Symbols[m.UnitRef],
			})
		}
		s := &metrics.Series{Labels: l}
		for _, p := range ts.Samples {
			points = append(points, metrics.Point{Series: s, At: p.Timestamp, Value: p.Value})
		}
		for _, h := range ts.Histograms {
			points = append(points, metrics.Point{Series: s, At: h.Timestamp, Histogram: float(h.IsFloatHistogram(), h.ToIntHistogram, h.ToFloatHistogram)})
		}
	}
	return points, check(points)
}

// float is a native histogram with numbers that need not be whole.
func float(is bool, whole func() *histogram.Histogram, already func() *histogram.FloatHistogram) *histogram.FloatHistogram {
	if is {
		return already()
	}
	return whole().ToFloat(nil)
}

// check refuses histograms that cannot be, and times that are none.
func check(points []metrics.Point) error {
	for i := range points {
		if points[i].At == 0 {
			return fmt.Errorf("a sample of %s has no time", clip(points[i].Labels.String()))
		}
		if h := points[i].Histogram; h != nil {
			if err := h.Validate(); err != nil {
				return fmt.Errorf("a histogram of %s: %w", clip(points[i].Labels.String()), err)
			}
		}
	}
	return nil
}

// types are the words for types of metrics.
var types = map[prompb.MetricMetadata_MetricType]string{
	prompb.MetricMetadata_UNKNOWN: "unknown", prompb.MetricMetadata_COUNTER: "counter", prompb.MetricMetadata_GAUGE: "gauge",
	prompb.MetricMetadata_HISTOGRAM: "histogram", prompb.MetricMetadata_GAUGEHISTOGRAM: "gaugehistogram", prompb.MetricMetadata_SUMMARY: "summary",
	prompb.MetricMetadata_INFO: "info", prompb.MetricMetadata_STATESET: "stateset",
}

// maxReadQueries and maxReadSamples bound one remote read.
const (
	maxReadQueries = 100
	maxReadSamples = 5_000_000
)

// remoteRead gives another Prometheus samples.
func (d *Door) remoteRead(w http.ResponseWriter, r *http.Request, who auth.Identity) error {
	text, err := d.unpack(r)
	if err != nil {
		return err
	}
	var in prompb.ReadRequest
	if err := in.Unmarshal(text); err != nil {
		return fault.New(fault.Invalid, "", "the body is no read request")
	}
	if len(in.Queries) > maxReadQueries {
		return fault.New(fault.TooLarge, "", "%d queries at once, at most %d are answered", len(in.Queries), maxReadQueries)
	}
	reader, err := d.reader(r, who)
	if err != nil {
		return err
	}
	out := prompb.ReadResponse{Results: make([]*prompb.QueryResult, len(in.Queries))}
	left := maxReadSamples
	for i, q := range in.Queries {
		if out.Results[i], err = d.read(r, reader, q, &left); err != nil {
			return err
		}
	}
	data, err := out.Marshal()
	if err != nil {
		return fmt.Errorf("encode samples: %w", err)
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Header().Set("Content-Encoding", "snappy")
	_, _ = w.Write(snappy.Encode(nil, data)) // whether the client still reads is its own affair
	return nil
}

// read answers one query of a remote read.
func (d *Door) read(r *http.Request, reader metrics.Reader, q *prompb.Query, left *int) (*prompb.QueryResult, error) {
	var matchers []*promlabels.Matcher
	for _, m := range q.Matchers {
		kind, ok := map[prompb.LabelMatcher_Type]promlabels.MatchType{
			prompb.LabelMatcher_EQ: promlabels.MatchEqual, prompb.LabelMatcher_NEQ: promlabels.MatchNotEqual,
			prompb.LabelMatcher_RE: promlabels.MatchRegexp, prompb.LabelMatcher_NRE: promlabels.MatchNotRegexp,
		}[m.Type]
		if !ok {
			return nil, fault.New(fault.Invalid, "", "there is no matcher of type %d", m.Type)
		}
		one, err := promlabels.NewMatcher(kind, m.Name, m.Value)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, "", err)
		}
		matchers = append(matchers, one)
	}
	from, err := d.store.As(reader).Querier(q.StartTimestampMs, q.EndTimestampMs)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	set := from.Select(r.Context(), true, &storage.SelectHints{Start: q.StartTimestampMs, End: q.EndTimestampMs}, matchers...)
	out := &prompb.QueryResult{}
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		ts := &prompb.TimeSeries{Labels: prompb.FromLabels(s.Labels(), nil)}
		it = s.Iterator(it)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			if *left--; *left < 0 {
				return nil, fault.New(fault.TooLarge, "", "more than %d samples at once", maxReadSamples).WithTry("ask for a shorter time, or fewer series")
			}
			if kind == chunkenc.ValFloat {
				t, v := it.At()
				ts.Samples = append(ts.Samples, prompb.Sample{Timestamp: t, Value: v})
				continue
			}
			t, h := it.AtFloatHistogram(nil)
			ts.Histograms = append(ts.Histograms, prompb.FromFloatHistogram(t, h))
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		out.Timeseries = append(out.Timeseries, ts)
	}
	return out, set.Err()
}
