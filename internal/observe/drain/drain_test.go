package drain_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

	"naru/internal/backoff"
	"naru/internal/fault"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var from = drain.Source{Org: "acme", Space: "prod", App: "shop", ID: "0190-a"}

// world is a log and a drain of it.
type world struct {
	t     *testing.T
	book  *logs.Book
	clock func() time.Time
	saved chan drain.State // the newest
	last  drain.State
	stop  func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: time.Now, saved: make(chan drain.State, 1000)}
	book, err := logs.Open(t.TempDir(), logs.Limits{Days: 3, Bytes: 1 << 20}, func() time.Time { return w.clock() }, slog.New(slog.DiscardHandler))
	must(t, err)
	w.book = book
	t.Cleanup(func() { must(t, book.Close()) })
	return w
}

func (w *world) say(texts ...string) {
	w.t.Helper()
	var lines []logs.Line
	for _, text := range texts {
		lines = append(lines, logs.Line{
			App: "a", Time: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC), Source: logs.App, Process: "web", Index: 2, Instance: "i-7", Stream: "stderr", Text: text,
		})
	}
	must(w.t, w.book.Append(w.t.Context(), lines, nil))
}

// run starts a drain behind a state; stop ends it.
func (w *world) run(url string, way drain.Way, at drain.State) {
	w.t.Helper()
	u, err := drain.Check(url)
	must(w.t, err)
	d := &drain.Drain{
		From: from, App: "a", To: drain.New(u, nil, way, 10*time.Second), Log: slog.New(slog.DiscardHandler), Clock: time.Now,
		Limits: drain.Limits{Lines: 100, Bytes: 1 << 20, Retry: backoff.Policy{First: time.Millisecond, Max: 5 * time.Millisecond}},
		Save: func(_ context.Context, s drain.State) error {
			w.saved <- s
			return nil
		},
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx, w.book, at) }()
	w.stop = func() {
		cancel()
		must(w.t, <-done)
	}
	w.t.Cleanup(cancel)
}

// until waits for a state.
func (w *world) until(is func(drain.State) bool) drain.State {
	w.t.Helper()
	for {
		select {
		case w.last = <-w.saved:
			if is(w.last) {
				return w.last
			}
		case <-time.After(time.Minute):
			w.t.Fatalf("the drain stands at %+v", w.last)
		}
	}
}

func sent(n int64) func(drain.State) bool {
	return func(s drain.State) bool { return s.Sent >= n }
}

// begin is a state before the first line of today.
func begin() drain.State { return drain.State{Cursor: logs.Cursor{Day: 1}} }

// frames reads RFC 6587 frames.
func frames(r *bufio.Reader) (out []string, err error) {
	for {
		n, err := r.ReadString(' ')
		if err != nil {
			return out, err
		}
		size, err := strconv.Atoi(strings.TrimSpace(n))
		if err != nil {
			return out, err
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return out, err
		}
		out = append(out, string(b))
	}
}

func TestSyslogFrames(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS ", secure), func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			way, url := drain.Outside(true, nil), "syslog://"+l.Addr().String()
			if secure {
				s := httptest.NewUnstartedServer(nil) // for its certificate
				s.StartTLS()
				t.Cleanup(s.Close)
				pool := x509.NewCertPool()
				pool.AddCert(s.Certificate())
				l = tls.NewListener(l, s.TLS)
				way, url = drain.Outside(true, pool), "syslog-tls://"+l.Addr().String()
			}
			got := make(chan []string)
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				all, _ := frames(bufio.NewReader(c)) // it ends with the connection
				got <- all
			}()
			w := newWorld(t)
			w.run(url, way, begin())
			w.say("card declined", `quote " and ] and \`, "two\nlines", "ünï")
			w.until(sent(4))
			w.stop()
			must(t, l.Close())
			all := <-got
			if len(all) != 4 {
				t.Fatalf("got %q", all)
			}
			want := `<11>1 2026-03-01T12:00:00.123456Z acme.prod.shop 0190-a [APP/PROC/WEB/2] - [tags@47450 organization_name="acme" space_name="prod" ` +
				`app_name="shop" app_id="0190-a" source_type="APP/PROC/WEB" process_type="web" instance_id="2" process_instance_id="i-7"] card declined`
			if all[0] != want {
				t.Errorf("frame\n%s\nwant\n%s", all[0], want)
			}
			for i, end := range []string{"] card declined", `] quote " and ] and \`, "] two\nlines", "] ünï"} {
				if !strings.HasSuffix(all[i], end) {
					t.Errorf("frame %d is %q, want its end %q", i, all[i], end)
				}
			}
		})
	}
}

// TestReceiverThatGoesAndComes has a receiver that closes every connection after
// some lines, and is away for a while: each line arrives.
func TestReceiverThatGoesAndComes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	var mu sync.Mutex
	got := map[string]bool{}
	serve := func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				all, _ := frames(bufio.NewReader(c)) // it ends with the connection
				mu.Lock()
				defer mu.Unlock()
				for _, f := range all {
					got[f[strings.LastIndex(f, "] ")+2:]] = true
				}
			}()
		}
	}
	go serve(l)
	w := newWorld(t)
	w.run("syslog://"+address, drain.Outside(true, nil), begin())
	w.say("before")
	w.until(sent(1))
	w.stop()
	must(t, l.Close())

	at := w.last
	w.run("syslog://"+address, drain.Outside(true, nil), at)
	w.say("while it is away")
	down := w.until(func(s drain.State) bool { return !s.Failing.IsZero() })
	if !strings.Contains(down.Error, "refused") || down.Sent != 1 || down.Cursor != at.Cursor {
		t.Errorf("away: %+v", down)
	}
	l, err = net.Listen("tcp", address)
	must(t, err)
	go serve(l)
	w.say("after")
	up := w.until(sent(3))
	if !up.Failing.IsZero() || up.Error != "" || up.Dropped != 0 {
		t.Errorf("back: %+v", up)
	}
	w.stop()
	must(t, l.Close())
}

func TestOTLP(t *testing.T) {
	type call struct {
		user string
		*collector.ExportLogsServiceRequest
	}
	calls := make(chan call, 10)
	answers := make(chan func(http.ResponseWriter), 10)
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil || r.URL.Path != "/v1/logs" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("asked %s with %v: %v", r.URL, r.Header, err)
			return
		}
		body, err := io.ReadAll(z)
		req := &collector.ExportLogsServiceRequest{}
		if err != nil || proto.Unmarshal(body, req) != nil {
			t.Errorf("body %q: %v", body, err)
		}
		user, _, _ := r.BasicAuth()
		(<-answers)(rw)
		calls <- call{user, req}
	}))
	defer s.Close()
	status := func(code int) func(http.ResponseWriter) {
		return func(rw http.ResponseWriter) { rw.WriteHeader(code) }
	}
	w := newWorld(t)
	w.run(strings.Replace(s.URL, "http://", "otlp+http://me:secret@", 1), drain.Outside(true, nil), begin())
	answers <- status(503) // sent again
	answers <- status(200)
	w.say(`{"msg":"x","trace_id":"0af7651916cd43dd8448eb211c80319c"}`)
	first, again := <-calls, <-calls
	if !proto.Equal(first, again) || again.user != "me" {
		t.Errorf("by %q at first %v, then %v", again.user, first, again)
	}
	rl := again.GetResourceLogs()[0]
	rec := rl.GetScopeLogs()[0].GetLogRecords()[0]
	attributes := map[string]string{}
	for _, a := range rl.GetResource().GetAttributes() {
		attributes[a.GetKey()] = a.GetValue().GetStringValue()
	}
	if attributes["service.name"] != "shop" || attributes["service.namespace"] != "acme.prod" || attributes["service.instance.id"] != "i-7" ||
		fmt.Sprintf("%x", rec.GetTraceId()) != "0af7651916cd43dd8448eb211c80319c" || rec.GetSeverityText() != "" || rec.GetSeverityNumber() != 17 ||
		time.Unix(0, int64(rec.GetTimeUnixNano())).UTC().Format(time.RFC3339Nano) != "2026-03-01T12:00:00.123456Z" {
		t.Errorf("of %v got %v", attributes, rec)
	}
	w.until(sent(1))

	answers <- func(rw http.ResponseWriter) {
		b, _ := proto.Marshal(&collector.ExportLogsServiceResponse{PartialSuccess: &collector.ExportLogsPartialSuccess{RejectedLogRecords: 2, ErrorMessage: "too old"}})
		_, _ = rw.Write(b) // the client sees what is missing
	}
	w.say("a", "b", "c")
	if s := w.until(sent(2)); s.Dropped != 2 || !strings.Contains(s.Error, "too old") {
		t.Errorf("some refused: %+v", s)
	}
	answers <- status(400) // never again
	w.say("d")
	if s := w.until(func(s drain.State) bool { return s.Dropped == 3 }); s.Sent != 2 || !s.Failing.IsZero() {
		t.Errorf("all refused: %+v", s)
	}
	answers <- status(302) // it is not followed, but may be mended
	answers <- status(202)
	w.say("e")
	w.until(sent(3))
	w.stop()
}

// TestWhatIsGoneIsCounted has a receiver that is away until the log had to drop
// lines.
func TestWhatIsGoneIsCounted(t *testing.T) {
	w := newWorld(t)
	w.say("first")
	random := make([]byte, 3000)
	f, err := os.Open("/dev/urandom")
	must(t, err)
	for range 8 {
		var big []string
		for range 100 {
			_, err := io.ReadFull(f, random)
			must(t, err)
			big = append(big, fmt.Sprintf("%x", random))
		}
		w.say(big...)
	}
	must(t, f.Close())
	lost, err := w.book.Prune(t.Context())
	must(t, err)
	if lost == 0 {
		t.Fatal("nothing had to go")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close() //nolint:errcheck // the end of the test
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(io.Discard, c) //nolint:errcheck // it ends with the connection
		}
	}()
	w.run("syslog://"+l.Addr().String(), drain.Outside(true, nil), begin())
	s := w.until(func(s drain.State) bool { return s.Sent+s.Dropped == 801 })
	if s.Dropped != lost {
		t.Errorf("%d lines were lost, %d counted", lost, s.Dropped)
	}
	w.stop()
}

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		"syslog://h":                     "syslog://h:514",
		"syslog-tls://h":                 "syslog-tls://h:6514",
		"syslog://h:99/":                 "syslog://h:99/",
		"otlp+http://h:4318":             "otlp+http://h:4318/v1/logs",
		"otlp+https://h/x?key=1":         "otlp+https://h/x?key=1",
		"https://h":                      "none of syslog",
		"syslog://":                      "names no host",
		"syslog://u:p@h":                 "nothing else",
		"syslog://h/path":                "nothing else",
		"otlp+https:///v1/logs":          "names no host",
		"otlp+https://h/#x":              "names no host",
		"otlp+https://user:secret@h:%zz": "no URL",
	} {
		u, err := drain.Check(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if u.String() != want {
			t.Errorf("%s is %s, want %s", text, u, want)
		}
	}
	for text, want := range map[string]string{
		"otlp+https://me:secret@h/v1/logs?api_key=secret": "otlp+https://***@h/v1/logs?***",
		"syslog://h:514": "syslog://h:514",
		"%%secret":       "***",
	} {
		if got := drain.Shown(text); got != want {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}

func TestThisMachineIsNotReached(t *testing.T) {
	way := drain.Outside(false, nil, netip.MustParsePrefix("10.64.0.0/10"))
	own := []string{"10.64.3.4:8080", "[fd00:ec2::254]:80"}
	all, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range all {
		own = append(own, net.JoinHostPort(netip.MustParsePrefix(a.String()).Addr().String(), "1"))
	}
	for _, address := range append(own, "127.0.0.1:1", "localhost:1", "[::1]:1", "169.254.169.254:80", "0.0.0.0:1", "[::ffff:127.0.0.1]:1") {
		if c, err := way.Dial(t.Context(), "tcp", address); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v %v", address, c, err)
		}
	}
}
