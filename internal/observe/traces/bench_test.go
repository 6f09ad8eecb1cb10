package traces

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// batchOf is what an exporter sends at once: traces of five spans with the
// attributes that an HTTP server and a client of OpenTelemetry have.
func batchOf(r *rand.Rand, n int, now time.Time) []Span {
	spans := make([]Span, n)
	var t ID
	var last SpanID
	for i := range spans {
		s := &spans[i]
		if i%5 == 0 {
			binary.BigEndian.PutUint64(t[:], r.Uint64())
			binary.BigEndian.PutUint64(t[8:], r.Uint64())
			last = SpanID{}
		}
		s.Trace, s.Parent = t, last
		binary.BigEndian.PutUint64(s.ID[:], r.Uint64())
		last = s.ID
		s.Service = "service-" + strconv.Itoa(r.IntN(8))
		s.Name = "GET /things/{id}/" + strconv.Itoa(r.IntN(20))
		s.Kind = Kind(1 + r.IntN(2))
		s.Start = now.Add(-time.Duration(r.IntN(5000)) * time.Millisecond)
		s.Took = time.Duration(r.ExpFloat64() * 20e6)
		s.Error = r.IntN(100) == 0
		s.Tags = []Tag{
			{"http.request.method", "GET"}, {"url.scheme", "http"}, {"server.address", "10.64.3.7"}, {"server.port", "8080"},
			{"network.peer.address", "10.64.0.1"}, {"user_agent.original", "Go-http-client/1.1"}, {"http.route", "/things/{id}"},
			{"url.path", "/things/" + strconv.Itoa(r.IntN(100_000))}, {"http.response.status_code", "200"}, {"customer", strconv.Itoa(r.IntN(5000))},
			{"service.version", "v42"}, {"service.instance.id", "i-" + strconv.Itoa(r.IntN(4))},
		}
	}
	return spans
}

func benchStore(b *testing.B, dir string) *Store {
	s, err := Open(Options{Dir: dir, Rate: 1 << 30, Bytes: 1 << 40}, slog.New(slog.DiscardHandler))
	must(b, err)
	b.Cleanup(func() { must(b, s.Close()) })
	return s
}

// BenchmarkAppend keeps spans in batches of 512, as exporters send them.
func BenchmarkAppend(b *testing.B) {
	s := benchStore(b, b.TempDir())
	r := rand.New(rand.NewPCG(1, 2))
	const batch = 512
	var rounds [][]Span
	for range 64 {
		rounds = append(rounds, batchOf(r, batch, time.Now()))
	}
	b.ResetTimer()
	n := 0
	for i := 0; b.Loop(); i++ {
		spans := rounds[i%len(rounds)]
		for j := range spans { // new traces
			binary.BigEndian.PutUint32(spans[j].Trace[8:], uint32(i)*2654435761+uint32(j/5))
		}
		taken, err := s.Append(b.Context(), shop, spans)
		must(b, err)
		n += taken.Kept
	}
	size, err := s.Size(b.Context())
	must(b, err)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "spans/s")
	b.ReportMetric(float64(size)/float64(n), "B/span")
}

// BenchmarkSearch looks among 1,000,000 spans.
func BenchmarkSearch(b *testing.B) {
	const spans = 1_000_000
	dir := os.Getenv("NARU_TRACES_BENCH") // a folder that is kept
	if dir == "" {
		dir = b.TempDir()
	}
	s := benchStore(b, dir)
	days, err := s.row.Days(0)
	must(b, err)
	if len(days) == 0 {
		r := rand.New(rand.NewPCG(1, 2))
		for n := 0; n < spans; n += 500 {
			all := batchOf(r, 500, time.Now())
			if n == spans/2 {
				all[0].Tags = append(all[0].Tags, Tag{"rare", "one"})
				all[0].Trace = traceID(12345)
			}
			_, err := s.Append(b.Context(), shop, all)
			must(b, err)
		}
	}
	for name, q := range map[string]Query{
		"newest":       {},
		"service":      {Service: "service-3", Name: "GET /things/{id}/7"},
		"slow":         {Least: 200 * time.Millisecond},
		"failed":       {Error: true, Service: "service-3"},
		"customer":     {Tags: []Condition{{Key: "customer", Value: "77"}}},
		"rare":         {Tags: []Condition{{Key: "rare", Value: "one"}}},
		"not there":    {Tags: []Condition{{Key: "customer", Value: "nobody"}}},
		"all of them":  {Service: "service-1", Tags: []Condition{{Key: "customer", Value: "77"}, {Key: "url.path", Value: "/things/1"}}, Least: time.Hour},
		"whole search": {Most: 1},
	} {
		b.Run(name, func(b *testing.B) {
			q.Reader = all
			n := 0
			for b.Loop() {
				f, err := s.Search(b.Context(), q)
				must(b, err)
				n = len(f.Traces)
			}
			b.ReportMetric(float64(n), "traces")
		})
	}
	b.Run("one trace", func(b *testing.B) {
		for b.Loop() {
			got, err := s.Traces(b.Context(), all, traceID(12345))
			if err != nil || len(got) != 1 {
				b.Fatal(fmt.Sprint(got, err))
			}
		}
	})
	b.Run("graph", func(b *testing.B) {
		for b.Loop() {
			g, err := s.Graph(b.Context(), all, GraphQuery{App: "", Since: time.Now().Add(-24 * time.Hour), Until: time.Now()})
			if err != nil || g.Spans < spans {
				b.Fatal(g.Spans, err)
			}
		}
	})
}
