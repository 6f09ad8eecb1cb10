package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// write makes lines as apps write them over a day: requests, JSON with ids, now
// and then a stack trace. One in the middle holds a word that no other has.
func write(to io.Writer, n int) error {
	w := bufio.NewWriterSize(to, 1<<20)
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same lines each time
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	paths := []string{"/", "/cart", "/cart/items", "/products", "/products/search", "/checkout", "/login", "/static/app.js"}
	for i := range n {
		at = at.Add(time.Duration(r.ExpFloat64() * float64(24*time.Hour) / float64(n)))
		path := paths[r.IntN(len(paths))]
		switch k := r.IntN(100); {
		case i == n/2:
			fmt.Fprintln(w, "the needle in the haystack")
		case k < 55:
			fmt.Fprintf(w, "10.%d.%d.%d - - [%s] \"GET %s?id=%d HTTP/1.1\" %d %d %.3f req=%016x\n", r.IntN(4), r.IntN(256), r.IntN(256),
				at.Format("02/Jan/2006:15:04:05 -0700"), path, r.IntN(50000), []int{200, 200, 200, 200, 304, 404, 500}[r.IntN(7)], r.IntN(20000), r.ExpFloat64()/10, r.Uint64())
		case k < 97:
			trace := fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())
			if i > n/3 && i < n/3+100 {
				trace = theTrace
			}
			fmt.Fprintf(w, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":\"order stored\",\"order\":%d,\"user\":{\"id\":%d},\"took_ms\":%.1f,\"trace_id\":\"%s\"}\n",
				at.Format(time.RFC3339Nano), []string{"info", "info", "info", "debug", "warn"}[r.IntN(5)], 100000+i, r.IntN(9000), r.ExpFloat64()*20, trace)
		default:
			fmt.Fprintf(w, "main.(*cart).add(0x%012x, 0x7) panic: runtime error: index out of range [7] with length 7\n", r.Uint64()>>16)
		}
	}
	return w.Flush()
}

// theTrace is the id of a trace that some lines in the first half have.
const theTrace = "0af7651916cd43dd8448eb211c80319c"
