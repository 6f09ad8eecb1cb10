package forward

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"

	"naru/internal/observe/metrics"
)

// batch is what one request has: whole stretches, so that a mark between two
// requests is one between two series.
type batch []metrics.Stretch

func batches(all []metrics.Stretch, size int) (out []batch) {
	begin, n := 0, 0
	for i := range all {
		if n += len(all[i].Samples); n >= size {
			out = append(out, all[begin:i+1])
			begin, n = i+1, 0
		}
	}
	if begin < len(all) {
		out = append(out, all[begin:])
	}
	return out
}

func (b batch) samples() (n int64) {
	for _, s := range b {
		n += int64(len(s.Samples))
	}
	return n
}

// refusal is told when a receiver says that what it was sent is wrong: to send it
// again would not help.
type refusal struct{ error }

// again is told when a receiver says how long to wait.
type again struct {
	error
	after time.Duration
}

// parts bounds the requests by which a batch that was refused is taken apart.
const parts = 40

// deliver sends a batch until the receiver takes it, or refuses it: then its halves
// go by themselves, and theirs, so that what is wrong with one series keeps no
// other away. It is false only where ctx ended before.
func (f *Forwarder) deliver(ctx context.Context, b batch, left *int) bool {
	for try := 0; ctx.Err() == nil; try++ {
		err := f.post(ctx, encode(b))
		if ctx.Err() != nil {
			return false
		}
		switch err := err.(type) { //nolint:errorlint // post returns them as they are
		case nil:
			f.passed(ctx, b.samples(), 0, "")
			return true
		case refusal:
			if len(b) < 2 || *left < 2 {
				f.passed(ctx, 0, b.samples(), err.Error())
				return true
			}
			*left -= 2
			return f.deliver(ctx, b[:len(b)/2], left) && f.deliver(ctx, b[len(b)/2:], left)
		case again:
			f.failed(ctx, err)
			pause(ctx, err.after)
		default:
			f.failed(ctx, err)
			_ = f.cfg.Retry.Wait(ctx, try) // the loop's condition sees its end
		}
	}
	return false
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// sendLate sends what came later than its time was sent. A receiver may refuse it.
func (f *Forwarder) sendLate(ctx context.Context) {
	all, dropped := f.kept.Late()
	if dropped > 0 {
		f.passed(ctx, 0, int64(dropped), "too many samples came late at once")
	}
	slices.SortStableFunc(all, func(a, b metrics.Stretch) int { return int(a.Samples[0].At - b.Samples[0].At) })
	for _, b := range batches(all, f.cfg.Batch) {
		left := parts
		if !f.deliver(ctx, b, &left) {
			f.passed(ctx, 0, b.samples(), "naru ended before they were sent")
		}
	}
}

// encode makes a request.
func encode(b batch) []byte {
	in := prompb.WriteRequest{Timeseries: make([]prompb.TimeSeries, len(b))}
	for i, s := range b {
		ts := prompb.TimeSeries{Labels: prompb.FromLabels(s.Labels, nil)}
		for _, p := range s.Samples {
			if p.Histogram != nil {
				ts.Histograms = append(ts.Histograms, prompb.FromFloatHistogram(p.At, p.Histogram))
				continue
			}
			ts.Samples = append(ts.Samples, prompb.Sample{Timestamp: p.At, Value: p.Value})
		}
		in.Timeseries[i] = ts
	}
	return pack(&in)
}

func pack(in *prompb.WriteRequest) []byte {
	raw, err := in.Marshal()
	if err != nil { // it has no way to
		panic(fmt.Sprintf("encode samples: %v", err))
	}
	return snappy.Encode(nil, raw)
}

// answerBytes bounds what is read of an answer, and maxAfter how long a receiver
// may have us wait.
const (
	answerBytes = 16 << 10
	maxAfter    = 5 * time.Minute
)

// post sends one request.
func (f *Forwarder) post(ctx context.Context, packed []byte) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.cfg.URL, bytes.NewReader(packed))
	if err != nil {
		return refusal{err}
	}
	maps.Copy(r.Header, f.cfg.Header)
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "snappy")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	r.Header.Set("User-Agent", "naru")
	res, err := f.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read from
	text, _ := io.ReadAll(io.LimitReader(res.Body, answerBytes))
	if res.StatusCode/100 == 2 {
		return nil
	}
	err = fmt.Errorf("the receiver answers %s: %s", res.Status, firstLine(text))
	switch {
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode/100 == 5:
		if s, bad := strconv.Atoi(res.Header.Get("Retry-After")); bad == nil && s > 0 {
			return again{err, min(time.Duration(s)*time.Second, maxAfter)}
		}
		return err
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusNotFound, res.StatusCode/100 == 3:
		return err // the samples are not to blame: somebody has to set it right
	}
	return refusal{err}
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if len(line) > 300 {
		line = line[:300] + "…"
	}
	return strings.ToValidUTF8(line, "\ufffd")
}

// passed counts what became of samples.
func (f *Forwarder) passed(ctx context.Context, sent, dropped int64, why string) {
	f.mu.Lock()
	f.state.Sent += sent
	f.state.Dropped += dropped
	news := false
	if sent > 0 && !f.state.Failing.IsZero() {
		f.state.Failing = time.Time{}
		f.state.Error = ""
	}
	if dropped > 0 {
		news = f.state.Error == ""
		f.state.Error = why
	}
	f.mu.Unlock()
	if news {
		f.log.WarnContext(ctx, "metrics that were sent on were refused", "samples", dropped, "why", why)
	}
}

// failed notes that nothing gets through; it is told once.
func (f *Forwarder) failed(ctx context.Context, err error) {
	f.mu.Lock()
	first := f.state.Failing.IsZero()
	if first {
		f.state.Failing = f.cfg.Now()
	}
	f.state.Error = err.Error()
	f.mu.Unlock()
	if first {
		f.log.WarnContext(ctx, "metrics cannot be sent on; they wait here", "error", err)
		f.save(ctx)
	}
}

// tellAgain is how often a receiver is told what the metrics are.
const tellAgain = 10 * time.Minute

// describe tells the receiver what the metrics are. One that cannot be reached is
// told the next time.
func (f *Forwarder) describe(ctx context.Context) {
	var in prompb.WriteRequest
	for name, all := range f.kept.Metadata(metrics.Reader{All: true}) {
		m := all[0]
		kind := prompb.MetricMetadata_MetricType_value[strings.ToUpper(m.Type)]
		in.Metadata = append(in.Metadata, prompb.MetricMetadata{
			Type: prompb.MetricMetadata_MetricType(kind), MetricFamilyName: name, Help: m.Help, Unit: m.Unit,
		})
	}
	for part := range slices.Chunk(in.Metadata, 500) {
		if err := f.post(ctx, pack(&prompb.WriteRequest{Metadata: part})); err != nil {
			return
		}
	}
}
