package accesslog_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/accesslog"
)

// requests are the lines of the golden files, in their order.
var requests = []struct {
	name string
	route.Access
}{
	{"an ordinary request", ordinary(func(*route.Access) {})},
	{"behind a proxy, by https", ordinary(func(a *route.Access) {
		a.ForwardedFor, a.ForwardedProto, a.Proto = "203.0.113.9, 198.51.100.7", "https", "HTTP/2.0"
	})},
	{"quotes, line breaks and what is no UTF-8", ordinary(func(a *route.Access) {
		a.Agent, a.Referer, a.URI, a.Host = "a \"b\"\n200 OK", "http://x/\x00\xff", "/?q=%22\u00fc", "shop.test\n"
	})},
	{"control characters of eight bits and other directions", ordinary(func(a *route.Access) {
		a.Agent, a.Referer, a.URI = "\u009b2J\u0085", "http://x/\u202eevil\u2028\U000e0001", "/\u00fc/\U0001f600"
	})},
	{"nothing said by the client", ordinary(func(a *route.Access) { a.Agent, a.Referer = "", "" })},
	{"the client left", ordinary(func(a *route.Access) { a.Status, a.Header, a.Sent, a.Problem = 0, 0, 0, "the client left" })},
	{"no such host", ordinary(func(a *route.Access) {
		a.Status, a.Route, a.App, a.Group, a.Instance, a.Upstream, a.Attempts = 404, "", route.App{}, "", "", "", 0
	})},
	{"no instance", ordinary(func(a *route.Access) {
		a.Status, a.Group, a.Instance, a.Upstream, a.Attempts = 503, "", "", "", 0
	})},
	{"an instance that broke off", ordinary(func(a *route.Access) { a.Status, a.Problem = 502, "connect to 10.64.0.7:8080: refused" })},
	{"a WebSocket", ordinary(func(a *route.Access) { a.Status, a.Upgrade, a.Took = 101, true, time.Hour })},
}

func ordinary(change func(*route.Access)) route.Access {
	a := route.Access{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 60_000_000, time.UTC), RequestID: "8f3a9c52-0000-4000-8000-000000000001", Client: "198.51.100.7:51628",
		Method: "GET", Host: "shop.test", URI: "/cart?item=7", Proto: "HTTP/1.1", Agent: "curl/8.14.1", Referer: "https://shop.test/",
		Status: 200, Received: 0, Sent: 62, Took: 11962 * time.Microsecond, Header: 11495 * time.Microsecond, Route: "r1",
		App: route.App{ID: "cabd9e08-384e-4689-b868-1ba3d5d838bf", Name: "shop"}, Group: "g41", Instance: "i7", Index: 0, Upstream: "10.64.0.7:8080",
		Attempts: 1, Trace: "4bf92f3577b34da6a3ce929d0e0e4736", ForwardedFor: "198.51.100.7", ForwardedProto: "http",
	}
	change(&a)
	return a
}

func TestFormats(t *testing.T) {
	for format, appended := range map[accesslog.Format]func([]byte, route.Access) []byte{
		accesslog.JSON: accesslog.AppendJSON, accesslog.CF: accesslog.AppendCF,
	} {
		t.Run(string(format), func(t *testing.T) {
			var got bytes.Buffer
			for _, r := range requests {
				text := appended(nil, r.Access)
				if bytes.ContainsAny(text, "\n\x00") {
					t.Errorf("%s: holds a line break or a control character: %q", r.name, text)
				}
				if format == accesslog.JSON && !json.Valid(text) {
					t.Errorf("%s: no JSON: %s", r.name, text)
				}
				fmt.Fprintf(&got, "# %s\n%s\n", r.name, text)
			}
			file := filepath.Join("testdata", string(format)+".txt")
			if os.Getenv("NARU_UPDATE") != "" {
				must(t, os.WriteFile(file, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(file)
			must(t, err)
			if got.String() != string(want) {
				t.Errorf("wrote\n%s\nwant (NARU_UPDATE=1 writes it)\n%s", got.String(), want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// written runs a log while do uses it, and returns the lines of a file.
func written(t *testing.T, o accesslog.Options, do func(l *accesslog.Log)) (l *accesslog.Log) {
	t.Helper()
	l, err := accesslog.New(o, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	do(l)
	stop()
	must(t, <-ended)
	return l
}

func linesOf(t *testing.T, path string) (out []string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer func() { _ = f.Close() }()
	for in := bufio.NewScanner(f); in.Scan(); {
		out = append(out, in.Text())
	}
	return out
}

func TestAllThatWasRecordedIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l := written(t, accesslog.Options{Format: accesslog.CF, Path: path, Sample: 1}, func(l *accesslog.Log) {
		for range 5000 {
			l.Record(new(ordinary(func(*route.Access) {})))
		}
	})
	if n := len(linesOf(t, path)); n != 5000 || l.Lost() != 0 {
		t.Errorf("%d lines, %d lost", n, l.Lost())
	}
}

// TestWhatIsTooMuchIsCounted records while nobody writes.
func TestWhatIsTooMuchIsCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := accesslog.New(accesslog.Options{Format: accesslog.JSON, Path: path, Sample: 1, Queue: 10}, slog.New(slog.DiscardHandler))
	must(t, err)
	for range 25 {
		l.Record(&route.Access{})
	}
	if l.Lost() != 15 {
		t.Errorf("%d lost, want 15", l.Lost())
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	must(t, l.Run(ctx)) // what waits is written at the end
	if n := len(linesOf(t, path)); n != 10 {
		t.Errorf("%d lines", n)
	}
}

func TestWhatCannotBeWrittenIsCounted(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full:", err)
	}
	l := written(t, accesslog.Options{Format: accesslog.JSON, Path: "/dev/full", Sample: 1}, func(l *accesslog.Log) {
		for range 3 {
			l.Record(&route.Access{})
		}
	})
	if l.Lost() != 3 {
		t.Errorf("%d lost, want 3", l.Lost())
	}
}

func TestSamples(t *testing.T) {
	for share, bounds := range map[float64][2]int{0: {0, 0}, 0.1: {700, 1300}, 1: {10_000, 10_000}} {
		l, err := accesslog.New(accesslog.Options{Path: "-", Sample: share}, slog.New(slog.DiscardHandler))
		must(t, err)
		n := 0
		for range 10_000 {
			if l.Wants(200) {
				n++
			}
			if !l.Wants(502) {
				t.Fatal("an error was left out")
			}
		}
		if n < bounds[0] || n > bounds[1] {
			t.Errorf("%d of 10,000 requests at %v", n, share)
		}
	}
}

// TestALargeFileIsTurnedOver has two processes write to one file, of whose lines
// none may be torn.
func TestALargeFileIsTurnedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	o := accesslog.Options{Format: accesslog.CF, Path: path, Sample: 1, Bytes: 200 << 10}
	written(t, o, func(one *accesslog.Log) {
		written(t, o, func(two *accesslog.Log) {
			for range 1000 {
				one.Record(new(ordinary(func(a *route.Access) { a.Agent = "one" })))
				two.Record(new(ordinary(func(a *route.Access) { a.Agent = "two" })))
			}
		})
	})
	for _, at := range []string{path, path + ".1"} {
		info, err := os.Stat(at)
		must(t, err)
		if info.Size() > 2*o.Bytes { // each knows of its own bytes at once, of the other's within a second
			t.Errorf("%s has %d bytes", at, info.Size())
		}
		for _, text := range linesOf(t, at) {
			if !strings.HasPrefix(text, "shop.test - [") || !strings.HasSuffix(text, `x_cf_routererror:"-"`) {
				t.Fatalf("%s has a torn line %q", at, text)
			}
		}
	}
}

func TestAPathThatCannotBeWritten(t *testing.T) {
	_, err := accesslog.New(accesslog.Options{Path: filepath.Join(t.TempDir(), "no", "such", "folder")}, slog.New(slog.DiscardHandler))
	if !fault.Is(err, fault.Invalid) || fault.Of(err).Field != "access_log.path" {
		t.Errorf("New = %v", err)
	}
}

// TestRecordsAllocateNothing: a line costs its request no garbage.
func TestRecordsAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools drop what they are given")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pool
	for _, format := range []accesslog.Format{accesslog.JSON, accesslog.CF} {
		a := ordinary(func(*route.Access) {})
		l, err := accesslog.New(accesslog.Options{Format: format, Path: filepath.Join(t.TempDir(), "log"), Sample: 1, Queue: 1}, slog.New(slog.DiscardHandler))
		must(t, err)
		l.Record(&a)
		if n := testing.AllocsPerRun(1000, func() { l.Record(&a) }); n > 0 {
			t.Errorf("%s: %v allocations", format, n)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, format := range []accesslog.Format{accesslog.JSON, accesslog.CF} {
		b.Run(string(format), func(b *testing.B) {
			l, err := accesslog.New(accesslog.Options{Format: format, Path: filepath.Join(b.TempDir(), "log"), Sample: 1}, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Run(ctx) }()
			a := ordinary(func(a *route.Access) { a.Agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36" })
			b.ReportAllocs()
			for b.Loop() {
				l.Record(&a)
			}
			stop()
			<-ended
		})
	}
}
