//go:build linux

package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"naru/internal/observe/logs"
	"naru/internal/observe/meter"
	"naru/internal/route"
	"naru/internal/route/wire"
)

// BenchmarkAccess is what a record of a gateway costs the control plane, in
// processor time: to be read, to be a line, to be kept.
func BenchmarkAccess(b *testing.B) {
	const many = 250 // which is what a busy gateway sends at once
	var batch wire.Batch
	for i := range many {
		a := route.Access{
			Time: time.Unix(1_767_322_800, int64(i)*7_919_113).UTC(), RequestID: fmt.Sprintf("0199c0de-7a52-7%03x-8000-%012x", i*37%4096, i*7919*104_729),
			Client: fmt.Sprintf("198.51.100.7:%d", 20_000+i*31%32), Method: "GET", Host: "shop.example", URI: fmt.Sprint("/cart?item=", i), Proto: "HTTP/1.1",
			Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", Referer: "https://shop.example/", Status: 200, Sent: 1024,
			Took: time.Duration(200_000 + i*971), Header: time.Duration(190_000 + i*971), Route: "8f3a9c52-0000-4000-8000-000000000002",
			App: route.App{ID: "cabd9e08-384e-4689-b868-1ba3d5d838bf", Name: "shop"}, Group: "8f3a9c52-0000-4000-8000-000000000003",
			Instance: "8f3a9c52-0000-4000-8000-000000000004", Upstream: "10.64.0.7:8080", Attempts: 1,
			Trace: fmt.Sprintf("%016x%016x", uint64(i)*0x9e3779b97f4a7c15, uint64(i)*0xc2b2ae3d27d4eb4f+1),
		}
		batch.Access(&a)
	}
	read := func(b *testing.B) []route.Access {
		m, err := wire.Read(bytes.NewReader(batch.AccessFrame(0)), wire.DefaultMaxFrame)
		if err != nil {
			b.Fatal(err)
		}
		return m.Access.Records
	}
	book, err := logs.Open(b.TempDir(), logs.Limits{Days: 3}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = book.Close() })
	keep := &accessLog{Meter: meter.New(meter.Limits{}), book: book, log: slog.New(slog.DiscardHandler)}
	for _, step := range []struct {
		name string
		do   func(b *testing.B)
	}{
		{"read", func(b *testing.B) { read(b) }},
		{"and lines", func(b *testing.B) { linesOf(read(b)) }},
		{"and kept", func(b *testing.B) { keep.Access("g", read(b), 0) }},
	} {
		b.Run(step.name, func(b *testing.B) {
			began := processor(b)
			for b.Loop() {
				step.do(b)
			}
			b.ReportMetric(float64(processor(b)-began)/float64(b.N)/many, "cpu-ns/record")
		})
	}
}

// processor is the time that this process has had one.
func processor(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
