package logs_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/observe/logs"
	"naru/internal/observe/logs/search"
)

// shop makes lines as apps write them: access lines, JSON with ids, now and then
// a stack trace.
func shop(n int) []string {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same lines each time
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	paths := []string{"/", "/cart", "/cart/items", "/products", "/products/search", "/checkout", "/login", "/static/app.js"}
	out := make([]string, 0, n)
	for i := range n {
		at = at.Add(time.Duration(r.ExpFloat64() * float64(86400*time.Second) / float64(n)))
		path := paths[r.IntN(len(paths))]
		switch k := r.IntN(100); {
		case k < 55:
			out = append(out, fmt.Sprintf(`10.%d.%d.%d - - [%s] "GET %s?id=%d HTTP/1.1" %d %d %.3f req=%016x`, r.IntN(4), r.IntN(256), r.IntN(256),
				at.Format("02/Jan/2006:15:04:05 -0700"), path, r.IntN(50000), []int{200, 200, 200, 200, 304, 404, 500}[r.IntN(7)], r.IntN(20000), r.ExpFloat64()/10, r.Uint64()))
		case k < 97:
			out = append(out, fmt.Sprintf(`{"time":"%s","level":"%s","msg":"order stored","order":%d,"user":{"id":%d},"took_ms":%.1f,"trace_id":"%016x%016x"}`,
				at.Format(time.RFC3339Nano), []string{"info", "info", "info", "debug", "warn"}[r.IntN(5)], 100000+i, r.IntN(9000), r.ExpFloat64()*20, r.Uint64(), r.Uint64()))
		default:
			out = append(out, "panic: runtime error: index out of range [7] with length 7", "goroutine 1 [running]:", fmt.Sprintf("main.(*cart).add(0x%012x, 0x7)", r.Uint64()>>16), "\t/app/cart.go:71 +0x1d")
		}
	}
	out[n/2] = "the needle in the haystack"
	return out
}

// BenchmarkAppend keeps lines in batches of one spool. bytes/line is what they
// take on disk.
func BenchmarkAppend(b *testing.B) {
	texts := shop(200_000)
	dir := b.TempDir()
	book, err := logs.Open(dir, logs.Limits{Days: 3}, time.Now, quiet)
	must(b, err)
	const batch = 5000
	lines := make([]logs.Line, 0, batch)
	n := 0
	for b.Loop() {
		lines = lines[:0]
		for range batch {
			lines = append(lines, logs.Line{App: "a", Source: logs.App, Process: "web", Instance: "i-1", Stream: "stdout", Time: time.Unix(0, 1772323200e9+int64(n)*20e3), Text: texts[n%len(texts)]})
			n++
		}
		must(b, book.Append(b.Context(), lines, nil))
	}
	must(b, book.Close())
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
	files, err := filepath.Glob(dir + "/*.logs")
	must(b, err)
	var size int64
	for _, f := range files {
		info, err := os.Stat(f)
		must(b, err)
		size += info.Size()
	}
	b.ReportMetric(float64(size)/float64(n), "bytes/line")
}

// BenchmarkSearch looks through 1,000,000 lines.
func BenchmarkSearch(b *testing.B) {
	texts := shop(1_000_000)
	book, err := logs.Open(b.TempDir(), logs.Limits{Days: 3}, time.Now, quiet)
	must(b, err)
	for n := 0; n < len(texts); n += 5000 {
		var lines []logs.Line
		for i, text := range texts[n:min(n+5000, len(texts))] {
			lines = append(lines, logs.Line{App: "a", Source: logs.App, Process: "web", Instance: "i-1", Stream: "stdout", Time: time.Unix(0, 1772323200e9+int64(n+i)*20e3), Text: text})
		}
		must(b, book.Append(b.Context(), lines, nil))
	}
	defer func() { must(b, book.Close()) }()
	for _, ask := range []string{"needle", "haystack AND needle", "runtime", "warn", "level=warn took_ms>=100", "user.id=4711", "checkout NOT 200", "nothing"} {
		e, err := search.Parse(ask)
		must(b, err)
		b.Run(ask, func(b *testing.B) {
			found := 0
			for b.Loop() {
				p, err := book.Read(b.Context(), logs.Query{App: "a", Search: e, Limit: 1 << 30})
				must(b, err)
				found = len(p.Lines)
			}
			b.ReportMetric(float64(found), "lines")
		})
	}
}
